package mapping

import (
	"time"

	"tidings/devices"
)

// An Intent is something the gateway should do: a [Presence], an [Alert], an [Appeared], a [Gone] or a [Misfit].
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

// An Occasion is why something is said of an alert.
type Occasion uint8

// The occasions, in the order in which they come in an alert's life.
const (
	Begun        Occasion = iota
	Repeated              // nobody has acknowledged it yet
	Acknowledged          // By has
	Escalated             // nobody has, and now others are told
	Over
)

var occasionNames = [...]string{Begun: "begun", Repeated: "repeated", Acknowledged: "acknowledged", Escalated: "escalated", Over: "over"}

// Active reports whether what is said is that the alert is active.
func (o Occasion) Active() bool { return o == Begun || o == Repeated || o == Escalated }

// String is for logs.
func (o Occasion) String() string { return occasionNames[o] }

// An Alert is a message for people, or, from [Rules.Active], what is active.
type Alert struct {
	Key      string // the alert's name and the device's ID: the same for an alert and its recovery
	Name     string // of the alert
	Device   devices.ID
	Level    Level
	To       []string // normalised bare JIDs, as the configuration has them; shared: not to be changed. It may be empty
	Text     string
	Occasion Occasion
	By       string        // who has acknowledged it; empty: nobody
	Began    time.Time     // when it became active, by the clock of that moment: tells it from an earlier one of the same key
	Offer    []string      // commands of the device to have at hand; shared
	Chart    time.Duration // how much of the time before to show; 0: none
	At       time.Time     // of this message; of what is active, when it became so
}

// Appeared says that a device is new or has another model: another name, location, point, …
type Appeared struct{ Device *Device }

// Gone says that a device is gone for good.
type Gone struct{ ID devices.ID }

// Misfit says that an alert cannot begin on the device that it is for, as that has announced itself, or be over. The device's notes say
// so, too, for as long as that is the case.
type Misfit struct {
	Device devices.ID
	Alert  string
	Why    string
}

func (Presence) intent() {}
func (Alert) intent()    {}
func (Appeared) intent() {}
func (Gone) intent()     {}
func (Misfit) intent()   {}
