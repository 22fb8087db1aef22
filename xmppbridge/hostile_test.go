package xmppbridge

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// nasty is what a stranger may call things, beside what XML and XMPP do not allow.
var nasty = []string{
	"a\x00b\x1b[31m\r\nc", "<script>&\"'</script>]]>", "\ufffe\uffff\ud7ff\ufdd0", "\xed\xa0\x80\xff", "\u202eroof tnorF", "Fr\u200bont", strings.Repeat("x", 100_000),
	"", " ", "yes", "help", "all off", "status", "alerts", "history", "home", "lamp on", "{{.value}}", "%s%d", "'/><presence from='x'/>",
}

// wellFormed checks that a stanza is XML 1.0 as everybody reads it, and not too long for a server.
func wellFormed(t *testing.T, st *stream.Element) {
	t.Helper()
	text := st.String()
	if len(text) > 250_000 {
		t.Errorf("a stanza of %d bytes: %.200s", len(text), text)
	}
	dec, depth := xml.NewDecoder(strings.NewReader(text)), 0
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v: %.500q", err, text)
		}
		switch token.(type) {
		case xml.StartElement:
			if depth++; depth == 1 && dec.InputOffset() > 0 && strings.Count(text[:1], "<") != 1 {
				t.Errorf("not one stanza: %.200q", text)
			}
		case xml.EndElement:
			if depth--; depth == 0 && int(dec.InputOffset()) != len(text) {
				t.Fatalf("more than one stanza: %.500q", text)
			}
		}
	}
}

// TestHostileDevices: whatever devices that announce themselves are called and say, each stanza that speaks of them is one, is not too
// long, and the lamp of the configuration is still the lamp.
func TestHostileDevices(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		f.sent()
		for i, bad := range nasty {
			id := devices.ID(fmt.Sprintf("homeassistant:%d", i))
			info := devices.Info{ID: id, Driver: "line", Match: string(id), Name: bad, Model: bad, Version: bad, Area: bad, Class: bad, Address: bad, Notes: []string{bad, bad}}
			info.Name, info.Notes = bad[:min(len(bad), 300)], []string{bad[:min(len(bad), 300)]}
			options := append([]string{"a", "A", "a"}, nasty[:6]...)
			for n := range 240 { // as many and as long as the mqtt driver lets through
				options = append(options, fmt.Sprint(strings.Repeat("o", 250), n))
			}
			all := func(name string, kind devices.PointKind) devices.Point {
				return devices.Point{Name: name, Kind: kind, Label: bad, Unit: bad, Class: bad, Readable: true, Writable: true, Confirms: true}
			}
			number, choice := all("number", devices.KindNumber), all("choice", devices.KindChoice)
			number.Low, number.High, number.Step = -1e308, 1e308, 1e-300
			choice.Options, choice.States = options, options
			info.Points = []devices.Point{number, choice, all("online", devices.KindSwitch), all("set", devices.KindText), all("do", devices.KindAction),
				{Name: "alerts", Kind: devices.KindEvent, Label: bad, Readable: true}}
			for n := range 290 {
				info.Points = append(info.Points, all(fmt.Sprintf("p%058d", n), devices.KindText))
			}
			f.addresses().Introduce(id, info.Name)
			f.house.step(mapping.Change{Announce: &info})
			f.house.step(mapping.Change{Link: &mapping.Link{ID: id, Up: true}})
			now := time.Now()
			readings := []devices.Reading{{Device: id, Point: "number", Value: devices.Number(1e308), At: now}, {Device: id, Point: "choice", Value: devices.Text(bad), At: now},
				{Device: id, Point: "alerts", Value: devices.Text(bad), At: now}, {Device: id, Point: "online", Quality: devices.Faulty, Err: errors.New(bad + "!"), At: now}}
			for n := range 290 {
				readings = append(readings, devices.Reading{Device: id, Point: fmt.Sprintf("p%058d", n), Value: devices.Text(bad), At: now})
			}
			f.house.step(mapping.Change{Readings: readings})
			f.house.step(mapping.Change{Link: &mapping.Link{ID: id, Cause: errors.New(bad + ".")}})
			f.house.step(mapping.Change{Link: &mapping.Link{ID: id, Up: true}})
		}
		var sent []*stream.Element
		sent = append(sent, f.sent()...)
		n := 0
		iq := func(typ, to, payload string) *stream.Element {
			n++
			f.deliver(fmt.Sprintf("<iq from='%s' to='%s' type='%s' id='h%d'>%s</iq>", otto, to, typ, n, payload))
			out := f.sent()
			sent = append(sent, out...)
			if len(out) == 0 {
				t.Fatalf("%s to %s is not answered", payload, to)
			}
			return out[0]
		}
		chat := func(to, body string) {
			f.deliver(fmt.Sprintf("<message from='%s' to='%s' type='chat'><body>%s</body></message>", otto, to, body))
			sent = append(sent, f.sent()...)
			time.Sleep(20 * time.Second) // so that it is no machine
		}
		iq("get", hub, "<query xmlns='"+nsDiscoItems+"'/>")
		for _, words := range []string{"devices", "help", "alerts", "all off"} {
			chat(hubBare, words)
		}
		for i := range nasty {
			slug := f.addresses().Slug(devices.ID(fmt.Sprintf("homeassistant:%d", i)))
			bare := slug + "@things.example.org"
			full := bare + "/" + slug
			f.deliver(fmt.Sprintf("<presence from='otto@example.org' to='%s' type='subscribe'/>", bare))
			for _, payload := range []string{"<query xmlns='" + nsDiscoInfo + "'/>", "<query xmlns='" + nsDiscoItems + "'/>", "<query xmlns='" + nsDiscoItems + "' node='" + nsCommands + "'/>",
				"<query xmlns='" + nsDiscoInfo + "' node='" + slug + "/choice/set'/>", "<vCard xmlns='vcard-temp'/>", "<query xmlns='jabber:iq:version'/>"} {
				iq("get", full, payload)
			}
			for _, node := range []string{"choice/set", "number/set", "status", "do/do", "set/set"} {
				iq("set", full, "<command xmlns='"+nsCommands+"' node='"+slug+"/"+node+"'/>")
			}
			iq("get", full, "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true'/>")
			iq("get", full, "<getForm xmlns='urn:xmpp:iot:control'/>")
			for _, words := range []string{"status", "help", "set choice nothing of it", "set number 5"} {
				chat(bare, words)
			}
		}
		for _, st := range append(sent, f.sent()...) {
			wellFormed(t, st)
		}
		f.requests()
		chat(hubBare, "lamp on")
		if got := f.requests(); len(got) != 1 || got[0].Device != "lamp" {
			t.Errorf("lamp on: %+v", got)
		}
	})
}
