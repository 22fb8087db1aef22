package mapping

import (
	"time"

	"tidings/devices"
)

// The ways the gateway joins XMPP, as [xmpp] mode has them.
const (
	Component = "component"
	Client    = "client"
	Local     = "local"
)

// The address layouts, as [xmpp] layout has them. Client mode always is LayoutResource.
const (
	LayoutContact  = "contact"
	LayoutResource = "resource"
)

// A Config is what mapping reads from the configuration. It does not change after [Read].
type Config struct {
	Devices map[devices.ID]*DeviceConfig
	Alerts  []*AlertConfig // in the order of the file
	Access  *Access        // never nil

	silence map[string]time.Duration // offline_after of the tables of [drivers] that have it
}

// A DeviceConfig is one table of [devices], from mapping's side.
type DeviceConfig struct {
	ID       devices.ID
	Driver   string // empty: all of its points are computed
	Match    string // the discovered device it is about; empty: it is none
	Name     string // empty: what the device calls itself, or the table's name
	Location string
	Class    string // empty: by its points
	Labels   []string
	Disabled bool // enabled = false: it is shown, and no driver has it
	Settle   time.Duration
	Primary  []string // nil: the first two

	offlineAfter time.Duration // notSet: the driver's
	points       []*pointConfig
}

// notSet stands for a duration that the configuration leaves open.
const notSet time.Duration = -1

// defaultSettle is `settle` where it is not given.
const defaultSettle = 5 * time.Second

// defaultConfirm is `confirm_within` where it is not given.
const defaultConfirm = 2 * time.Second

// pointConfig is one table of points from mapping's side. It is comparable, so that equal tables of many devices
// are one in memory. A nil-able setting that is absent has its `has` bit unset.
type pointConfig struct {
	name          string
	kind          devices.PointKind
	class         string
	unit          string
	said          string // the unit that its driver gives it, where that is known before the device is there
	options       string // joined with optionSep
	precision     int8   // -1: as it comes
	min, max      float64
	rng           Span
	step          float64
	deadband      float64
	scale, offset float64
	readOnly      bool // its driver says so
	danger        bool
	programs      bool
	noHistory     bool
	confirmWithin time.Duration
	safe          devices.Value // mapped
	delayOn       time.Duration
	delayOff      time.Duration
	value         *expression // of a computed point; one for each source
	rank          uint16      // of a computed point: higher than of those it is made of
	has           pointKeys
}

// optionSep joins the options of a choice in pointConfig; no option may hold it.
const optionSep = "\x00"

type pointKeys uint8

const (
	hasKind pointKeys = 1 << iota
	hasUnit
	hasOptions
)

// A Level says how bad an alert is.
type Level uint8

// The levels of an alert. Critical shows in the device's presence.
const (
	Info Level = iota
	Warning
	Critical
)

var levelNames = [...]string{Info: "info", Warning: "warning", Critical: "critical"}

// String is the word the configuration uses.
func (l Level) String() string { return levelNames[l] }

// An AlertConfig is one table of [alerts], compiled.
type AlertConfig struct {
	Name   string
	Device string   // a pattern
	To     []string // normalised bare JIDs
	Level  Level
	For    time.Duration
	// Repeat is how often it is said again until somebody acknowledges it; 0: never.
	Repeat   time.Duration
	Escalate *Escalation // nil: to nobody else
	Offer    []string    // commands of the device, in words
	Chart    time.Duration

	quiet       *quietHours // nil: none
	when, until *expression // until nil: when `when` no longer holds
	text        *text       // nil: the default
}

// An Escalation is whom else an alert is said to when nobody has acknowledged it.
type Escalation struct {
	After time.Duration // at least this long after it was said
	To    []string      // normalised bare JIDs
}
