package config

import (
	"tidings/devices/schema"
	"tidings/drivers/mqtt/broker"
	"tidings/mapping"
)

var gatewayKeys = []schema.Key{
	{Name: "name", Kind: schema.String, Default: `"Home"`, Help: "what people see in their client"},
	{Name: "data_dir", Kind: schema.String, Path: true, Help: "where the gateway keeps what survives a restart; default: $STATE_DIRECTORY, else $XDG_STATE_HOME/tidings, else ~/.local/state/tidings"},
	{Name: "log_level", Kind: schema.String, Default: `"info"`, Choices: []string{"debug", "info", "warn", "error"}, Help: "how much is logged: changes of state at info, traffic at debug"},
	{Name: "timezone", Kind: schema.String, Help: `for times in messages, such as "Europe/Berlin"; default: the system's`},
	{Name: "include", Kind: schema.Strings, Help: "files over this one, patterns in name order: tables merge, everything else replaces; an included file includes none"},
	{Name: "labels", Kind: schema.Strings, Later: true, Help: "for whoever looks after many gateways"},
}

var xmppKeys = []schema.Key{
	{Name: "mode", Kind: schema.String, Required: true, Choices: []string{Component, Client, Local}, Help: `how the gateway joins the network: "component" of your server, "client" with an account on any server, or "local", the server inside`},
	{Name: "address", Kind: schema.String, Required: true, Help: "component: its domain; client: the account's bare JID; local: the domain"},
	{Name: "server", Kind: schema.String, Help: `where the server is: HOST:PORT, for a component also unix:/PATH; default: "127.0.0.1:5347" for a component, for a client what DNS says`},
	{Name: "secret", Kind: schema.String, Secret: true, Help: "the component's secret or the account's password; the systemd credential is xmpp-secret"},
	{Name: "layout", Kind: schema.String, Default: `"contact"`, Choices: []string{ContactLayout, ResourceLayout}, Help: "component, local: a contact a device (lamp@things.example.org/lamp), or a resource of the gateway a device (home@things.example.org/lamp), as always in client mode"},
	{Name: "hub", Kind: schema.String, Default: `"home"`, Help: "the name of the gateway itself in addresses"},
	{Name: "streams", Kind: schema.String, Default: `"auto"`, Choices: []string{StreamsAuto, StreamsPerDevice, StreamsSingle}, Help: "client: a stream a device, so that each is online by itself, or a single one, on which the hub speaks for all; auto: a stream a device until the server shows that it limits them, then a single one"},
	{Name: "tls", Kind: schema.String, Choices: []string{TLSRequired, TLSPinned, TLSOff, TLSDirect}, Help: "client: required (default) or pinned; component: off (default, and allowed, to this machine only), direct (default elsewhere) or pinned"},
	{Name: "tls_ca_file", Kind: schema.String, Help: "a private CA's certificates, in PEM, believed instead of the system's"},
	{Name: "tls_pin", Kind: schema.Strings, Help: `SHA-256 of the server's public key, in hexadecimal or base64, with tls = "pinned"`},
	{Name: "upload", Kind: schema.String, Help: `the service that takes pictures (XEP-0363), such as "upload.example.org"; default: found by asking the server`},
	{Name: "presence_interval", Kind: schema.Duration, Default: `"10s"`, Help: "at most one presence for new values in this time, a device"},
	{Name: "local", Kind: schema.SubTable, Spec: &schema.Spec{Keys: localKeys}, Help: "the server inside"},
}

var localKeys = []schema.Key{
	{Name: "listen", Kind: schema.Strings, Default: `["[::]:5222"]`, Help: "addresses for clients: STARTTLS, and direct TLS on the same port"},
	{Name: "cert_file", Kind: schema.String, Help: "the server's certificate, in PEM; default: one made once and kept in data_dir"},
	{Name: "key_file", Kind: schema.String, Help: "its key"},
	{Name: "websocket", Kind: schema.String, Help: `an address for web clients (RFC 7395), such as "127.0.0.1:5280": in the clear where only this machine reaches it, else with TLS; default: none`},
	{Name: "archive", Kind: schema.Duration, Help: "how long messages are kept for people's clients; without it they are not"},
	{Name: "upload", Kind: schema.SubTable, Spec: &schema.Spec{Keys: uploadKeys}, Help: "a place for people's files and the gateway's pictures; default: none"},
}

var uploadKeys = []schema.Key{
	{Name: "listen", Kind: schema.String, Default: `"[::]:5281"`, Help: "the address for HTTPS, with the server's certificate"},
	{Name: "max_size", Kind: schema.Size, Default: `"10MB"`, Help: "the largest file"},
	{Name: "keep", Kind: schema.Duration, Default: `"30d"`, Help: "how long a file is kept"},
	{Name: "url", Kind: schema.String, Help: `where clients find it, such as "https://files.example.org"; default: the domain with the port of listen where the domain's name leads to this machine, else the address that the client is connected to`},
}

var historyKeys = []schema.Key{
	{Name: "keep", Kind: schema.Duration, Default: `"90d"`, Help: "older readings are removed"},
	{Name: "max_size", Kind: schema.Size, Default: `"200MB"`, Help: "of the file, history.db in data_dir: the oldest readings are removed"},
	{Name: "flush", Kind: schema.Duration, Default: `"30s"`, Help: "readings are written in batches this often, to spare an SD card; a crash loses what came since"},
}

var publishKeys = []schema.Key{
	{Name: "enabled", Kind: schema.Bool, Default: "false", Help: "readings are published, each to who may see its device"},
	{Name: "service", Kind: schema.String, Help: `component, client: a pubsub service to publish to, such as "pubsub.example.org"; default: the gateway itself (component, local) or the account's own nodes (client)`},
}

var controlKeys = []schema.Key{
	{Name: "socket", Kind: schema.String, Path: true, Help: "where `tidings devices`, `tidings send` and the others reach the running gateway, as its permissions allow; default: tidings.sock in $RUNTIME_DIRECTORY, else in $XDG_RUNTIME_DIR, else in data_dir"},
}

// enabledKey is what every driver and alert has; mapping's is a device's.
var enabledKey = schema.Key{Name: "enabled", Kind: schema.Bool, Default: "true", Help: "false takes it out, as an included file may; a driver's devices are then disabled"}

// typeKey is what every driver has.
var typeKey = schema.Key{Name: "type", Kind: schema.String, Required: true, Help: "which driver it is"}

// pointsKey is the table of points of every device.
var pointsKey = schema.Key{Name: "points", Kind: schema.Named, Help: "what it measures and does, by name"}

// rootSpec is the whole file, but for what others walk: the tables of [drivers] and [devices], whose keys depend
// on the type of the driver (checkDrivers, checkDevices), and [access], whose keys are people (mapping.Read).
func rootSpec() schema.Spec {
	alert := schema.Join(mapping.AlertKeys, []schema.Key{enabledKey})
	return schema.Spec{Keys: []schema.Key{
		{Name: "gateway", Kind: schema.SubTable, Spec: &schema.Spec{Keys: gatewayKeys}, Help: "the gateway itself"},
		{Name: "xmpp", Kind: schema.SubTable, Spec: &schema.Spec{Keys: xmppKeys}, Help: "how the gateway joins the network"},
		{Name: "access", Kind: schema.SubTable, Help: "who may see and do what"},
		{Name: "rooms", Kind: schema.Named, Spec: &schema.Spec{Keys: roomKeys}, Help: "rooms that the gateway joins"},
		{Name: "drivers", Kind: schema.Named, Help: "the connections, one table each"},
		{Name: "broker", Kind: schema.SubTable, Spec: &schema.Spec{Keys: broker.Keys}, Help: "the MQTT broker inside"},
		{Name: "devices", Kind: schema.Named, Help: "what the drivers' data means"},
		{Name: "alerts", Kind: schema.Named, Spec: &alert, Help: "what is said to whom when something happens"},
		{Name: "history", Kind: schema.SubTable, Spec: &schema.Spec{Keys: historyKeys}, Help: "readings that are kept"},
		{Name: "control", Kind: schema.SubTable, Spec: &schema.Spec{Keys: controlKeys}, Help: "the socket of the command line"},
		{Name: "interlocks", Kind: schema.Named, Later: true, Help: "what must never happen together"},
		{Name: "publish", Kind: schema.SubTable, Spec: &schema.Spec{Keys: publishKeys}, Help: "readings as pubsub items"},
		{Name: "web", Kind: schema.SubTable, Later: true, Help: "the status page"},
	}}
}
