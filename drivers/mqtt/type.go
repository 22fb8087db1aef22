package mqtt

import (
	"context"
	"net"

	"tidings/devices"
	"tidings/devices/schema"
)

// Options are what the driver needs from its surroundings.
type Options struct {
	// Local connects to the broker inside the gateway, for `broker = "local"`; nil when there is none.
	Local func(ctx context.Context) (net.Conn, error)
}

// Type describes the driver.
func Type(o Options) devices.Type {
	return devices.Type{
		Name: "mqtt",
		Help: "Devices behind an MQTT broker: those that announce themselves by a convention, and others with each point by its topics. Payloads are plain (`ON`, `21.5`) or JSON with a " +
			"path. With an availability topic, such as a last will, the device itself says whether it is there. " +
			"`broker = \"local\"` is the broker inside the gateway.",
		Kind: devices.KindNumber,
		Connection: []schema.Key{
			{Name: "broker", Kind: schema.String, Required: true, Help: "where the broker is: mqtt://, mqtts://, ws:// or wss:// with host and port, or \"local\" for the one inside the gateway"},
			{Name: "username", Kind: schema.String, Help: "the user name the broker knows the gateway by"},
			{Name: "password", Kind: schema.String, Secret: true, Help: "its password; better in a file, password_file, or the credential mqtt-NAME"},
			{Name: "password_file", Kind: schema.String, Secret: true, Help: "the file with its password"},
			{Name: "client_id", Kind: schema.String, Default: "tidings-${MACHINE_ID}", Help: "what the broker knows this connection by; no two may share one"},
			{Name: "qos", Kind: schema.Int, Default: "0", Help: "quality of service of what is subscribed to and published: 0, 1 or 2"},
			{Name: "tls_ca_file", Kind: schema.String, Help: "the authority that signed the broker's certificate, in PEM; the system's by default"},
			{Name: "tls_cert_file", Kind: schema.String, Help: "a client certificate, in PEM, with tls_key_file"},
			{Name: "tls_key_file", Kind: schema.String, Help: "the key of the client certificate"},
			{Name: "discovery", Kind: schema.Strings, Help: "conventions by which devices announce themselves: homeassistant, homie, tasmota, shelly"},
			{Name: "discovery_prefix", Kind: schema.String, Default: "homeassistant", Help: "what the topics of Home Assistant's announcements begin with"},
			{Name: "homie_domain", Kind: schema.String, Default: "homie", Help: "what the topics of Homie begin with"},
			{Name: "birth", Kind: schema.Bool, Default: "false", Help: "ask devices to announce themselves, as Home Assistant does when it starts, where there is none that does"},
			{Name: "ignore", Kind: schema.Strings, Help: "discovered devices and points that are left out: patterns such as \"*_linkquality\""},
		},
		Device: []schema.Key{
			{Name: "availability", Kind: schema.String, Help: "the topic that says whether the device is there; without one it is, while the broker is"},
			{Name: "online", Kind: schema.String, Default: "online", Help: "the payload that says it is there"},
			{Name: "offline", Kind: schema.String, Default: "offline", Help: "the payload that says it is not"},
			{Name: "match", Kind: schema.String, Help: "the discovered device that this table is about, as `tidings devices` names it: what stands here goes before what it announces"},
		},
		Point: []schema.Key{
			{Name: "source", Kind: schema.String, Help: "the topic with the point's state"},
			{Name: "path", Kind: schema.String, Help: "where in a JSON payload: names and indexes with dots between, as in sensors.0.t; a dot in a name is \\."},
			{Name: "on", Kind: schema.Scalar, Default: "ON", Help: "the payload for on, read and, without write, written; by default any of on, true, 1, yes and open is read"},
			{Name: "off", Kind: schema.Scalar, Default: "OFF", Help: "the payload for off, likewise"},
			{Name: "max_size", Kind: schema.Size, Default: "1MB", Help: "of a picture (kind = \"image\"): a larger one is refused; at most 4MB. The payload is a JPEG, PNG or WebP file, with path base64"},
			{Name: "command", Kind: schema.String, Help: "the topic that sets the point; without one it is read-only"},
			{Name: "write", Kind: schema.String, Default: "{{.Value}}", Help: "what is published there: a template of .Value, which is true or false, a number or a text; {{json .Value}} quotes a text"},
			{Name: "retain", Kind: schema.Bool, Default: "false", Help: "let the broker keep the command for a device that is away; few devices want that"},
		},
		Discovers: func(t *schema.Table) bool { return len(t.Strings("discovery")) > 0 },
		Writes:    func(p *schema.Table) bool { return p.String("command") != "" },
		Build:     func(c devices.Connection) devices.Driver { return build(c, o) },
	}
}
