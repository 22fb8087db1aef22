package mapping

import (
	"time"

	"tidings/devices"
)

// An Intent is something the gateway should do: a [Presence], an [Alert], an [Appeared] or a [Gone].
type Intent interface{ intent() }

// The show of a presence, as RFC 6121 has it; empty is plainly available.
const (
	ShowAway = "away" // readings are late
	ShowDND  = "dnd"  // a critical alert is active
	ShowXA   = "xa"   // the device is disabled
)

// shows is a Show constant in a byte.
type shows uint8

const (
	plain shows = iota
	away
	dnd
	xa
)

var showNames = [...]string{plain: "", away: ShowAway, dnd: ShowDND, xa: ShowXA}

// A Presence says what the presence of a device should be from now on.
type Presence struct {
	Device devices.ID
	Online bool
	Show   string    // one of the Show constants, or empty; empty when offline
	Status string    // "21.4 °C · 48 %", or why it is offline
	Since  time.Time // when it came online or went offline
}

// An Alert is a message for people.
type Alert struct {
	Key      string // the alert's name and the device's ID: the same for an alert and its recovery
	Name     string // of the alert
	Device   devices.ID
	Level    Level
	To       []string // normalised bare JIDs; shared: not to be changed
	Text     string
	Recovery bool // it is over
	At       time.Time
}

// Appeared says that a device is new or has another model: another name, location, point, …
type Appeared struct{ Device *Device }

// Gone says that a device is gone for good.
type Gone struct{ ID devices.ID }

func (Presence) intent() {}
func (Alert) intent()    {}
func (Appeared) intent() {}
func (Gone) intent()     {}
