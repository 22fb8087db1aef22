package mqtt_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/mqtt"
)

// Each case is one mistake, and what is said about it.
func TestMistakes(t *testing.T) {
	t.Parallel()
	const driver = "[drivers.house]\ntype = \"mqtt\"\n"
	const ok = driver + "broker = \"mqtt://127.0.0.1\"\n"
	const device = ok + "[devices.lamp]\ndriver = \"house\"\n"
	const fake = ok + "discovery = [\"fake\"]\n[devices.lamp]\ndriver = \"house\"\n"
	const point = device + "[devices.lamp.points.power]\n"
	for _, c := range []struct{ toml, says string }{
		{driver, "3: "}, // replaced below: a missing broker is the check's to say
		{driver + `broker = "local"`, "there is no broker inside: add a [broker] section"},
		{driver + `broker = "127.0.0.1:1883"`, "is no address: write it as in"},
		{driver + `broker = "tcp://127.0.0.1:1883"`, "tcp:// is none of mqtt://, mqtts://, ws:// and wss://"},
		{driver + `broker = "mqtt://"`, "is no address"},
		{driver + `broker = "mqtt://:1883"`, "names no host"},
		{driver + `broker = "mqtt://me:pw@host"`, "belongs into username"},
		{driver + `broker = "mqtt://host/path"`, "has a path"},
		{ok + `qos = 3`, "qos: 3 is none of 0, 1 and 2"},
		{ok + `qos = "1"`, "takes a whole number"},
		{ok + `password = "x"`, "there is no username"},
		{ok + `tls_ca_file = "ca.pem"`, `has no TLS: make the broker "mqtts://…"`},
		{driver + "broker = \"mqtts://h\"\ntls_cert_file = \"c.pem\"", "one is there without the other"},
		{ok + `discovery = ["homeassist"]`, `discovery: there is no "homeassist"`},
		{ok + `discovery = ["fake", "fake"]`, `"fake" is there twice`},
		{ok + `birth = true`, `birth: is of Home Assistant's convention: add "homeassistant" to discovery`},
		{ok + `discovery_prefix = "ha/#"`, "has a wildcard"},
		{ok + "discovery = [\"homie\"]\ndiscovery_prefix = \"ha\"", `discovery_prefix: nothing is discovered by "homeassistant" here`},
		{ok + `homie_domain = "h"`, `homie_domain: nothing is discovered by "homie" here`},
		{ok + `ignore = ["[a"]`, `"[a" is no pattern`},
		{ok + `user = "x"`, `unknown key "user"`},
		{ok + `username = "a\u0000b"` + "\n" + `client_id = "a\u0000b"`, `client_id: "a\x00b" is no text`},
		{device + `availability = "tele/+/LWT"`, "has a wildcard"},
		{device + `availability = ""`, "availability: is empty"},
		{device + `online = "up"`, "there is none"},
		{device + "availability = \"a\"\nonline = \"x\"\noffline = \"x\"", `are both "x"`},
		{device + "match = \"fake:x\"", `nothing is discovered by "fake" here: add it to discovery`},
		{device + "match = \"no:x\"", `there is no convention "no", only `},
		{device + "match = \"lamp\"", `is not the name of a discovered device`},
		{device + "match = \"fake:\"", `is not the name of a discovered device`},
		{fake + "match = \"fake:x\"\n[devices.other]\nmatch = \"fake:x\"", "fake:x is [devices.lamp] already"},
		{fake + "match = \"fake:x\"\n[devices.lamp.points.p]\npath = \"a..b\"", "has an empty step"},
		{fake + "match = \"fake:x\"\n[devices.lamp.points.p]\nmax_size = \"9MB\"", "between 1KB and 4MB"},
		{fake + "match = \"fake:x\"\n[devices.lamp.points.p]\nkind = \"number\"\non = \"1\"", "is for switches, and this is a number"},
		{fake + "match = \"fake:x\"\nonline = \"x\"\noffline = \"x\"", `are both "x"`},
		{point, "neither source nor command"},
		{point + `source = "stat/#"`, "has a wildcard"},
		{point + `source = ""`, "is empty"},
		{point + `source = 3`, "takes a string"},
		{point + "source = \"a\"\npath = \"a..b\"", "has an empty step"},
		{point + "command = \"a\"\npath = \"a\"", "there is no source to look in"},
		{point + "source = \"a\"\non = \"X\"\noff = \"X\"", `on and off are both "X"`},
		{point + "source = \"a\"\non = \"off\"\noff = \" off\"", "has space around it"},
		{point + "source = \"a\"\nkind = \"number\"\non = \"1\"", "is for switches, and this is a number"},
		{point + "source = \"a\"\nwrite = \"x\"", "there is no command"},
		{point + "source = \"a\"\nkind = \"image\"\ncommand = \"b\"", "a picture cannot be set"},
		{point + "source = \"a\"\nkind = \"image\"\nmax_size = \"20MB\"", "between 1KB and 4MB"},
		{point + "source = \"a\"\nmax_size = \"1MB\"", "is for pictures, and this is a number"},
		{point + "source = \"a\"\nretain = true", "there is no command"},
		{point + "source = \"a\"\nkind = \"switch\"\nsafe = false", "it has no command"},
		{point + "command = \"a\"\nwrite = \"{{.Value\"", "write: unclosed action"},
		{point + "command = \"a\"\nwrite = \"{{.Valeu}}\"", "Valeu"},
		{point + "command = \"a\"\nwrite = \"{{frob .Value}}\"", `function "frob" not defined`},
		{point + "command = \"a\"\nkind = \"event\"", "an event happens"},
		{point + "command = \"a\"\nsource = \"b\"\nkind = \"action\"", "an action has nothing to read"},
	} {
		if c.says == "3: " {
			c.says = "broker is missing"
		}
		lines := drivertest.Problems(t, mqtt.Type(mqtt.Options{}), c.toml)
		if !strings.Contains(strings.Join(lines, "\n"), c.says) {
			t.Errorf("%s\n%s\nwant %q", c.toml, strings.Join(lines, "\n"), c.says)
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, "gateway.toml:") {
				t.Errorf("%q has no place", line)
			}
		}
	}
}

func TestAnnounced(t *testing.T) {
	t.Parallel()
	const config = `
[drivers.house]
type = "mqtt"
broker = "local"
[devices.lamp]
availability = "tele/lamp/LWT"
[devices.lamp.points.power]
source = "stat/lamp/POWER"
command = "cmnd/lamp/POWER"
on = "ON"
off = "OFF"
[devices.lamp.points.mode]
kind = "choice"
options = ["eco", "comfort"]
command = "cmnd/lamp/MODE"
[devices.plug.points.watts]
source = "tele/plug/SENSOR"
path = "ENERGY.Power"
`
	refuse := func(context.Context) (net.Conn, error) { return nil, context.Canceled }
	d := drivertest.Build(t, mqtt.Type(mqtt.Options{Local: refuse}), config)
	sink := &drivertest.Sink{}
	stop := drivertest.Start(t, d, sink)
	lamp, plug := sink.WaitAnnounced(t, "lamp"), sink.WaitAnnounced(t, "plug")
	stop()
	if lamp.Silence != 0 || plug.Silence.Minutes() != 5 {
		t.Errorf("silence: lamp %v, plug %v", lamp.Silence, plug.Silence)
	}
	if lamp.Address != "tele/lamp/LWT" || plug.Address != "tele/plug/SENSOR" {
		t.Errorf("addresses: %s, %s", lamp.Address, plug.Address)
	}
	want := map[string]devices.Point{
		"power": {Name: "power", Kind: devices.KindSwitch, Readable: true, Writable: true, Confirms: true},
		"mode":  {Name: "mode", Kind: devices.KindChoice, Writable: true},
		"watts": {Name: "watts", Kind: devices.KindNumber, Readable: true},
	}
	for _, p := range append(lamp.Points, plug.Points...) {
		w := want[p.Name]
		if p.Kind != w.Kind || p.Readable != w.Readable || p.Writable != w.Writable || p.Confirms != w.Confirms {
			t.Errorf("%+v, want %+v", p, w)
		}
		if p.Name == "mode" && len(p.Options) != 2 {
			t.Errorf("options %q", p.Options)
		}
	}
}
