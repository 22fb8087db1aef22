package devices

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// An ID names a device in the gateway: the name of its table in the configuration, or for a discovered device
// the driver's stable unique id ("homeassistant:0x00158d0001"). It never changes with what people call the device.
type ID string

// PointKind says what a point is to a person.
type PointKind uint8

// The kinds of a point. What each takes as a value is in the comment.
const (
	KindNumber PointKind = iota // Number
	KindSwitch                  // Bool
	KindText                    // Text
	KindChoice                  // Text, one of Point.Options
	KindAction                  // nothing to read; any command value does it
	KindImage                   // Image; never written
	KindColor                   // Color
	KindTime                    // Time
	KindEvent                   // Text: what happened at this moment; never written, and never replaced by a later one
)

var pointKinds = [...]string{KindNumber: "number", KindSwitch: "switch", KindText: "text", KindChoice: "choice", KindAction: "action",
	KindImage: "image", KindColor: "color", KindTime: "time", KindEvent: "event"}

// String is the word the configuration uses: "number", "switch", …
func (k PointKind) String() string { return pointKinds[k] }

// PointKinds are the words of the configuration for the kinds there are.
func PointKinds() []string { return pointKinds[:] }

// ParsePointKind reads such a word.
func ParsePointKind(s string) (PointKind, error) {
	for k, name := range pointKinds {
		if name == s {
			return PointKind(k), nil
		}
	}
	return 0, fmt.Errorf("kind: %q is none of %s", s, strings.Join(pointKinds[:], ", "))
}

// A Point is one thing a device measures or does, as its driver knows it: a device that describes itself says much, a line of
// pins nothing but the name. What the configuration says goes before it; what people see is mapping's to say. Numbers are raw.
type Point struct {
	Name     string // [a-z][a-z0-9_]*
	Kind     PointKind
	Label    string   // what the device calls it; empty: made of Name
	Class    string   // Home Assistant's device class, or the component that a switch or choice is the state of: "lock", "cover"
	Unit     string   // as the device says it; empty when it says nothing
	Options  []string // of a choice: what it may be set to, or, of one that is only read, what it may be
	States   []string // of a choice: what it may be beside Options, as a cover may be "opening"
	Low      float64  // with High, of a number: what it may be set to; equal: anything
	High     float64
	Step     float64 // of a number that is set; 0: any
	Digits   uint8   // of a number: how many are shown after the point, and one; 0: as it comes
	Readable bool    // readings come
	Writable bool    // commands are taken
	// Confirms: after a command, a reading tells what the device then has. A device without is never "confirmed".
	Confirms bool
	Minor    bool // it configures the device or says how that itself does; what people have the device for are other points
}

// Info announces a device: what it is and what it can do.
type Info struct {
	ID      ID
	Driver  string // the name of the connection, from its table
	Name    string // what the device calls itself; empty when it does not
	Model   string
	Version string // of its firmware
	Area    string // where it says that it is
	Class   string // light, cover, …; empty: by its points
	// Match is the name of a discovered device, as "homeassistant:0x00158d0001": what `match` in its table says, or would.
	Match    string
	Points   []Point
	Address  string        // how the driver reaches it, for people: "/dev/ttyUSB0", "tele/lamp"
	Silence  time.Duration // the driver's default for offline_after; 0: the driver itself knows when it goes
	Notes    []string      // what of the device was not understood, in words
	Disabled bool
}

// Quality says how far a value can be believed.
type Quality uint8

// The qualities of a reading.
const (
	Good    Quality = iota
	Unknown         // the device says that it does not know
	Stale           // it was good, but is too old to stand for the present
	Faulty          // the device reports a fault, or the value cannot be
)

var qualities = [...]string{Good: "good", Unknown: "unknown", Stale: "stale", Faulty: "faulty"}

func (q Quality) String() string { return qualities[q] }

// A Reading is one value of one point at one time. From a driver the value is raw, as the device says it.
type Reading struct {
	Device  ID
	Point   string
	Value   Value // zero unless Quality is Good
	Quality Quality
	At      time.Time // when it was taken, with Go's monotonic clock
	Err     error     // why it is not good; nil when it is
}

// Why says why a device is withdrawn.
type Why uint8

// The reasons to withdraw a device.
const (
	Restarting Why = iota // its driver is being restarted: it will be announced again
	Gone                  // for good: its contacts and subscriptions go too
)

// A Sink takes what a driver has to say. It is safe for concurrent use and never waits for anything but memory:
// readings of one point coalesce to the latest while the receiver is busy.
type Sink interface {
	// Announce says that a device exists; announcing it again replaces what was said.
	Announce(Info)
	// Withdraw says that it no longer does.
	Withdraw(ID, Why)
	// Publish hands over readings of announced devices; others are dropped and counted.
	Publish(...Reading)
	// Link says whether a device can be reached and, when it cannot, why. A device is down until Link(id, true, nil).
	Link(id ID, up bool, cause error)
	// Health tells of the connection itself: nil when it works. The same error again is not news.
	Health(error)
}

// A Driver is one connection to the outside and the devices on it.
type Driver interface {
	// Run keeps the connection until ctx is done, which it answers promptly with nil. It may be called again. On
	// return every output is in its safe state and no goroutine is left. Trouble with the outside (a port that is not
	// there, a broker that refuses) is reported by Health and Link and retried inside; Run returns an error only for
	// what no retry can mend.
	Run(ctx context.Context, out Sink) error
}

// An Actuator is a Driver whose devices can be told to do something.
type Actuator interface {
	// Do writes one value. It may be called from any goroutine at any time and returns when the write is on its way
	// or has failed: with ErrDown while the device cannot be reached, with ErrUnknownPoint or ErrNotWritable for what
	// cannot be, with ctx's error when that is done first. Once a part of the write may have left, whatever goes wrong
	// is an *AskedError: nobody knows then what the device does. Any other error says that it was never asked. Do does
	// not wait for the device to confirm.
	Do(ctx context.Context, cmd Command) (Result, error)
}

// A Command asks a driver to set one point. The value is raw, as the device takes it.
type Command struct {
	Device ID
	Point  string
	Value  Value
}

// A Result says what became of a write.
type Result struct {
	// Written is when the write left, before the device could answer: a reading taken after it that equals what was
	// asked confirms the command.
	Written time.Time
}
