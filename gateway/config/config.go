package config

import (
	"log/slog"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt/broker"
	"tidings/mapping"
	"tidings/xmppbridge/link"
)

// A Config is one configuration without a mistake in it.
type Config struct {
	File    string // as it was given to Load
	Gateway Gateway
	XMPP    XMPP
	Rooms   []Room // in the order of the file
	Control Control
	Publish Publish // the zero value where there is no [publish]
	Mapping *mapping.Config
	Drivers []Driver        // in the order of the file; those taken out are not among them
	Broker  *broker.Options // nil: no broker inside
	History *History        // nil: no readings are kept
}

// Gateway is the section [gateway].
type Gateway struct {
	Name     string
	DataDir  string // absolute; may not exist yet
	LogLevel slog.Level
	Location *time.Location // for times that people see
}

// The modes of [XMPP].
const (
	Component = mapping.Component
	Client    = mapping.Client
	Local     = mapping.Local
)

// The layouts of [XMPP].
const (
	ContactLayout  = mapping.LayoutContact
	ResourceLayout = mapping.LayoutResource
)

// How a stream is encrypted, as [XMPP].TLS has it.
const (
	TLSRequired = "required" // client: TLS, the certificate verified
	TLSPinned   = "pinned"   // TLS, the server's key being one of Pins
	TLSDirect   = "direct"   // component: TLS from the first byte, the certificate verified
	TLSOff      = "off"      // component: plain text, to this machine only
)

// How many streams a client has, as [XMPP].Streams has it.
const (
	StreamsAuto      = "auto"       // one a device, until the server limits them; then a single one
	StreamsPerDevice = "per-device" // one a device
	StreamsSingle    = "single"     // the hub's
)

// XMPP is the section [xmpp].
type XMPP struct {
	Mode    string // Component, Client or Local
	Address string // normalised: the component's or the local server's domain, or the account's bare JID
	Server  string // "host:port", or "unix:/path" of a component; empty: a client asks DNS, local has none
	Secret  link.Secret
	Layout  string // ContactLayout or ResourceLayout; always the latter in client mode
	Hub     string // localpart or resource of the gateway itself
	Streams string // of a client, one of the constants; else empty
	TLS     string // one of the constants; empty in local mode
	CAFile  string // absolute, or empty
	Pins    []link.Pin
	Upload  string // the service that takes pictures; empty: found by asking the server

	PresenceInterval time.Duration
	Local            LocalServer
}

// LocalServer is the section [xmpp.local].
type LocalServer struct {
	Listen   []string // host:port
	CertFile string   // both or neither; neither: a certificate made once
	KeyFile  string
	Archive  time.Duration // how long messages are kept for people's clients; 0: not at all

	WebSocket string // host:port, or empty
	Upload    Upload
}

// Upload is [xmpp.local] upload: a place for people's files and for pictures.
type Upload struct {
	Listen  string // host:port; empty: no such place
	MaxSize int64  // bytes
	Keep    time.Duration
	URL     string // without a slash at the end, or empty
}

// History is the section [history].
type History struct {
	Keep    time.Duration
	MaxSize int64 // bytes
	Flush   time.Duration
}

// Publish is the section [publish].
type Publish struct {
	Enabled bool
	Service string // a domain; empty: the gateway itself, or its account's nodes
}

// Control is the section [control].
type Control struct {
	Socket string // absolute
}

// A Driver is one table of [drivers], built.
type Driver struct {
	Name string
	Type string
	// Connection is what the driver was built from; of its devices only the ID is kept.
	Connection devices.Connection
	Driver     devices.Driver
	// Canonical is equal for two drivers that are configured the same: what the driver itself reads, secrets included
	// (as a digest), and nothing of what only mapping reads. A reload leaves a driver with the same Canonical running.
	Canonical string
	// Discovers: devices without a table may announce themselves on it.
	Discovers bool
}

// Driver returns the driver of that name.
func (c *Config) Driver(name string) (Driver, bool) {
	for _, d := range c.Drivers {
		if d.Name == name {
			return d, true
		}
	}
	return Driver{}, false
}
