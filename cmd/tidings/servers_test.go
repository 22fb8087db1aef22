//go:build servers

package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/xmpptest"
)

// TestDemoWithClient logs in to `tidings demo` with a client that nobody here has written, certificate checked, and does
// what the demo promises.
func TestDemoWithClient(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	d := startDemo(t, "--data", data)
	host, port, err := net.SplitHostPort(d.server)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	login := xmpptest.Login{JID: d.jid, Password: d.password, Host: host, Port: number, CAFile: filepath.Join(data, "xmpp.pem")}
	wrong := login
	wrong.CAFile = filepath.Join(t.TempDir(), "other.pem")
	if err := os.WriteFile(wrong.CAFile, xmpptest.TestCA().PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := xmpptest.StartClient(t).TryLogin(wrong); err == nil {
		t.Error("a client that trusts somebody else logs in")
	}

	c := xmpptest.StartClient(t)
	c.Login(login)
	direct := xmpptest.StartClient(t)
	login.DirectTLS = true
	direct.Login(login)

	// The house is in the contact list, by room, and each device says how it is.
	rooms := map[string]string{"greenhouse": "Garden", "door": "Hall", "heater": "Hall", "lamp": "Living room", "washing": "Utility room"}
	for device := range rooms {
		c.ExpectPresence(xmpptest.Expect{From: device + "@localhost/" + device, Type: "available"})
	}
	roster := c.Roster()
	for device, room := range rooms {
		item := roster[device+"@localhost"]
		if !slices.Equal(item.Groups, []string{room}) || item.Subscription != "both" || item.Name == "" {
			t.Errorf("%s is in the contact list as %+v", device, item)
		}
	}

	// The command menu.
	const greenhouse = "greenhouse@localhost/greenhouse"
	commands := c.Commands(greenhouse)
	i := slices.IndexFunc(commands, func(i xmpptest.Item) bool { return i.Name == "Pump on" })
	if i < 0 {
		t.Fatalf("there is no \"Pump on\" among %+v", commands)
	}
	done := c.Command(commands[i].JID, commands[i].Node, xmpptest.Stage{})
	if done.Status != "completed" || len(done.Notes) != 1 || done.Notes[0].Text != "Pump is on (confirmed by the device)" {
		t.Errorf("\"Pump on\" says %+v", done)
	}

	// The chat, of the device and of the house.
	for _, words := range []struct{ to, say, hear string }{
		{"greenhouse@localhost", "pump off", "Pump is off (confirmed by the device)"},
		{"greenhouse@localhost", "pump on", "Pump is on (confirmed by the device)"},
		{"home@localhost", "washing on", "Power is on (confirmed by the device)"},
		{"home@localhost", "lamp on", "Light is on (confirmed by the device)"},
		{"lamp@localhost", "color red", "Color is red (confirmed by the device)"},
		{"blind@localhost", "close", "Cover is closing (accepted by the device)"},
	} {
		c.Say(words.to, words.say)
		answer := c.ExpectMessage(xmpptest.Expect{From: words.to, Contains: words.hear})
		if answer.Type != "chat" {
			t.Errorf("%q is answered by %+v", words.say, answer)
		}
	}
	c.ExpectPresence(xmpptest.Expect{From: "lamp@localhost/lamp", Status: "on · 100 %"})

	// The heater is dangerous: it asks.
	c.Say("heater@localhost", "on")
	c.ExpectMessage(xmpptest.Expect{From: "heater@localhost", Contains: "eally"})
	c.Say("heater@localhost", "yes")
	c.ExpectMessage(xmpptest.Expect{From: "heater@localhost", Contains: "Power is on (confirmed by the device)"})

	// It gets too hot within the minute, and that passes.
	for _, words := range []string{"open the window", "too-hot over"} {
		var heard struct{ Stanza xmpptest.Stanza }
		args := map[string]any{"kind": "message", "sender": greenhouse, "contains": words}
		if err := c.TryFor(90*time.Second, "expect", args, &heard); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(heard.Stanza.Body, "°C") {
			t.Errorf("the alert is %+v", heard.Stanza)
		}
	}

	// When the demo ends, so do the streams, without an error on its side.
	d.end(t, os.Interrupt)
}
