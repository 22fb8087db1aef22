package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

func TestPath(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"temperature":     {"temperature"},
		"sensors.0.t":     {"sensors", "0", "t"},
		`a\.b.c`:          {"a.b", "c"},
		`a\\.b`:           {`a\`, "b"},
		`a\b`:             {`a\b`},
		"ENERGY.Power":    {"ENERGY", "Power"},
		"with space.ünï":  {"with space", "ünï"},
		"0":               {"0"},
		`ends\.`:          {"ends."},
		`back\\`:          {`back\`},
		`trailing\`:       {`trailing\`},
		`C:\\x\.y`:        {`C:\x.y`},
		"[0].a":           {"[0]", "a"},
		"a-b.c_d.e:f":     {"a-b", "c_d", "e:f"},
		`\.`:              {"."},
		`a.\..b`:          {"a", ".", "b"},
		`StatusSNS.DS\.1`: {"StatusSNS", "DS.1"},
	} {
		p, err := parsePath(text)
		if err != nil || !slices.Equal(p, want) {
			t.Errorf("%s: %q, %v, want %q", text, p, err, want)
			continue
		}
		if again, err := parsePath(p.String()); err != nil || !slices.Equal(again, p) {
			t.Errorf("%s prints as %s, which is %q, %v", text, p, again, err)
		}
	}
	for _, text := range []string{"", ".", "a.", ".a", "a..b"} {
		if p, err := parsePath(text); err == nil {
			t.Errorf("%q was taken as %q", text, p)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	number := codec{kind: devices.KindNumber}
	onOff := codec{kind: devices.KindSwitch}
	power := codec{kind: devices.KindSwitch, on: "ON", off: "OFF"}
	onlyOn := codec{kind: devices.KindSwitch, on: "1"}
	text := codec{kind: devices.KindText}
	choice := codec{kind: devices.KindChoice, options: []string{"eco", "comfort"}}
	at := func(p codec, path ...string) codec {
		p.path = path
		return p
	}
	unknown := devices.Value{}
	for _, c := range []struct {
		point   codec
		payload string
		want    devices.Value
		err     string
	}{
		{number, "21.5", devices.Number(21.5), ""},
		{number, " -3e2\n", devices.Number(-300), ""},
		{number, "0", devices.Number(0), ""},
		{number, "None", unknown, ""},
		{number, "null", unknown, ""},
		{number, "nan", unknown, ""},
		{number, "inf", unknown, "is not a number"},
		{number, "0x10", unknown, "is not a number"},
		{number, "21,5", unknown, "is not a number"},
		{number, "\xff\x00", unknown, "is not a number"},
		{number, strings.Repeat("9", 100), devices.Number(1e100), ""},
		{at(number, "ENERGY", "Power"), `{"ENERGY":{"Power":12.3,"Total":1.234}}`, devices.Number(12.3), ""},
		{at(number, "sensors", "1", "t"), `{"sensors":[{"t":1},{"t":2}]}`, devices.Number(2), ""},
		{at(number, "0"), `[7]`, devices.Number(7), ""},
		{at(number, "0"), `{"0":8}`, devices.Number(8), ""},
		{at(number, "t"), `{"t":"21.5"}`, devices.Number(21.5), ""},
		{at(number, "t"), `{"t":null}`, unknown, ""},
		{at(number, "t"), `{"t":true}`, unknown, "is not a number"},
		{at(number, "t"), `{"t":{}}`, unknown, "t is an object"},
		{at(number, "t"), `{"t":[1]}`, unknown, "t is an array: the path goes on with an index, as in t.0"},
		{at(number, "t"), `{"h":1}`, unknown, "the message has no value of it: t in"},
		{at(number, "t", "u"), `{"t":1}`, unknown, "has no value of it"},
		{at(number, "2"), `[1,2]`, unknown, "has no value of it"},
		{at(number, "-1"), `[1,2]`, unknown, "has no value of it"},
		{at(number, "t"), `{"t":1`, unknown, "is not JSON"},
		{at(number, "t"), `{"t":1}{"t":2}`, unknown, "has more after its JSON"},
		{at(number, "t"), `Online`, unknown, "is not JSON"},
		{at(number, "t"), strings.Repeat("[", 100_000), unknown, "is not JSON"},
		{onOff, "on", devices.Bool(true), ""},
		{onOff, "OFF", devices.Bool(false), ""},
		{onOff, "1", devices.Bool(true), ""},
		{onOff, "closed", devices.Bool(false), ""},
		{onOff, "half", unknown, "neither on nor off"},
		{at(onOff, "state"), `{"state":true}`, devices.Bool(true), ""},
		{at(onOff, "state"), `{"state":0}`, devices.Bool(false), ""},
		{power, "ON", devices.Bool(true), ""},
		{power, " OFF\r\n", devices.Bool(false), ""},
		{power, "off", devices.Bool(false), ""},
		{power, "true", unknown, `neither "ON" nor "OFF"`},
		{power, "None", unknown, ""},
		{onlyOn, "1", devices.Bool(true), ""},
		{onlyOn, "OFF", devices.Bool(false), ""},
		{onlyOn, "0", unknown, `neither "1" nor "OFF"`},
		{text, "Hello  wörld", devices.Text("Hello  wörld"), ""},
		{text, "\xff", unknown, "is not UTF-8"},
		{text, strings.Repeat("x", maxText+1), unknown, "a text of 4097 bytes"},
		{at(text, "id"), `{"id":12345678901234567890}`, devices.Text("12345678901234567890"), ""},
		{at(text, "id"), `{"id":""}`, devices.Text(""), ""},
		{at(text, "id"), `{"id":false}`, devices.Text("false"), ""},
		{choice, "eco", devices.Text("eco"), ""},
		{choice, "turbo", unknown, `"turbo" is none of eco, comfort`},
	} {
		got, err := c.point.read(discovery.NewMessage("t", []byte(c.payload)))
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s %v: %.80q: %v, %v, want %v and %q", c.point.kind, c.point.path, c.payload, got, err, c.want, c.err)
		}
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	with := func(kind devices.PointKind, write string) codec {
		p := codec{kind: kind}
		if write != "" {
			var err error
			if p.write, err = parseWrite(write); err != nil {
				t.Fatal(err)
			}
		}
		return p
	}
	for _, c := range []struct {
		point codec
		value devices.Value
		want  string
	}{
		{with(devices.KindNumber, ""), devices.Number(21.5), "21.5"},
		{with(devices.KindNumber, ""), devices.Number(1e6), "1000000"},
		{with(devices.KindNumber, `{"set":{{.Value}}}`), devices.Number(1e6), `{"set":1000000}`},
		{with(devices.KindNumber, `{{printf "%.1f" .Value}}`), devices.Number(20), "20.0"},
		{with(devices.KindNumber, `{{json .Value}}`), devices.Number(1e6), "1000000"},
		{with(devices.KindSwitch, ""), devices.Bool(true), "ON"},
		{codec{kind: devices.KindSwitch, on: "1", off: "0"}, devices.Bool(false), "0"},
		{with(devices.KindSwitch, `{"on":{{.Value}}}`), devices.Bool(false), `{"on":false}`},
		{with(devices.KindSwitch, `{{if .Value}}up{{else}}down{{end}}`), devices.Bool(true), "up"},
		{with(devices.KindText, ""), devices.Text(`a "b"`), `a "b"`},
		{with(devices.KindText, `{"say":{{json .Value}}}`), devices.Text(`a "b"`), `{"say":"a \"b\""}`},
		{with(devices.KindChoice, `{"mode":"{{.Value}}"}`), devices.Text("eco"), `{"mode":"eco"}`},
		{with(devices.KindAction, ""), devices.Value{}, "ON"},
		{codec{kind: devices.KindAction, on: "PRESS"}, devices.Bool(true), "PRESS"},
		{with(devices.KindAction, `reboot`), devices.Number(3), "reboot"},
	} {
		if got, err := c.point.encode(c.value); err != nil || string(got) != c.want {
			t.Errorf("%s: %v: %q, %v, want %q", c.point.kind, c.value, got, err, c.want)
		}
	}
	for _, c := range []struct {
		kind  devices.PointKind
		value devices.Value
	}{
		{devices.KindNumber, devices.Text("1")}, {devices.KindNumber, devices.Value{}}, {devices.KindSwitch, devices.Number(1)},
		{devices.KindText, devices.Bool(true)}, {devices.KindChoice, devices.Number(1)},
	} {
		p := codec{kind: c.kind}
		if got, err := p.encode(c.value); !errors.Is(err, devices.ErrValue) {
			t.Errorf("%s: %v was encoded as %q, %v", c.kind, c.value, got, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{"", "21.5", "ON", "None", `{"a":[1,{"b":null}]}`, `{"a":`, "\xff\x00{", `"x"`, "1e999", "[[[["} {
		f.Add([]byte(seed), "a.0.b", uint8(0))
		f.Add([]byte(seed), `a\.b`, uint8(1))
	}
	f.Fuzz(func(t *testing.T, payload []byte, where string, kind uint8) {
		p := codec{kind: devices.PointKind(kind % uint8(len(devices.PointKinds()))), on: "ON"}
		for _, path := range []string{"", where} {
			p.path = nil
			if path != "" {
				var err error
				if p.path, err = parsePath(path); err != nil {
					return
				}
			}
			v, err := p.read(discovery.NewMessage("t", payload))
			if err != nil && !v.IsZero() {
				t.Errorf("value %v with the error %v", v, err)
			}
			if text, ok := v.Text(); ok && (!utf8.ValidString(text) || len(text) > maxText) {
				t.Errorf("text %q", text)
			}
			if err == nil && !v.IsZero() && p.kind != devices.KindAction {
				if _, err := p.encode(v); err != nil {
					t.Errorf("%v was read and cannot be written: %v", v, err)
				}
			}
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	b := backoff{first: firstRetry, last: lastRetry}
	if d := b.next(); d < 225*time.Millisecond || d > 275*time.Millisecond {
		t.Errorf("first %v", d)
	}
	for range 20 {
		b.next()
	}
	if d := b.next(); d < 27*time.Second || d > 33*time.Second {
		t.Errorf("at last %v", d)
	}
	b.reset()
	if d := b.next(); d > time.Second {
		t.Errorf("after a reset %v", d)
	}
}

func TestSecretDoesNotShow(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	logger := newTextLogger(&log)
	logger.Info("x", "password", secret("hunter2"), "config", config{password: "hunter2"}.password)
	if strings.Contains(log.String(), "hunter2") || secret("hunter2").String() != "[secret]" {
		t.Error(log.String())
	}
}

func newTextLogger(w *strings.Builder) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func BenchmarkReadPlain(b *testing.B) {
	p := codec{kind: devices.KindNumber}
	for b.Loop() {
		if _, err := p.read(discovery.NewMessage("t", []byte("21.5"))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadJSON(b *testing.B) {
	p := codec{kind: devices.KindNumber, path: path{"ENERGY", "Power"}}
	payload := []byte(`{"Time":"2026-01-01T00:00:00","ENERGY":{"Total":1.234,"Power":12.3,"Voltage":230}}`)
	for b.Loop() {
		if _, err := p.read(discovery.NewMessage("t", payload)); err != nil {
			b.Fatal(err)
		}
	}
}

func TestRefusalsWaitLonger(t *testing.T) {
	t.Parallel()
	for _, err := range []error{packets.ErrorRefusedBadUsernameOrPassword, fmt.Errorf("x: %w", packets.ErrorRefusedNotAuthorised)} {
		if !isRefusal(err) {
			t.Errorf("%v is no refusal", err)
		}
	}
	for _, err := range []error{packets.ErrorRefusedServerUnavailable, errClosed, context.DeadlineExceeded} {
		if isRefusal(err) {
			t.Errorf("%v is a refusal", err)
		}
	}
}

func TestExposed(t *testing.T) {
	t.Parallel()
	for broker, want := range map[string]bool{
		"mqtt://127.0.0.1": false, "mqtt://localhost": false, "ws://[::1]": false, "mqtts://example.org": false,
		"wss://192.0.2.1": false, "mqtt://192.0.2.1": true, "ws://example.org": true,
	} {
		u, err := parseBroker(broker)
		if err != nil {
			t.Fatal(err)
		}
		if c := (config{broker: u, password: "x"}); c.exposed() != want {
			t.Errorf("%s: exposed is %t", broker, !want)
		}
	}
}
