package discovery

import (
	"errors"
	"strings"
	"time"

	"tidings/devices"
)

// Bounds of what a convention keeps, so that a broker full of strangers does not fill the memory of a Pi.
const (
	MaxDevices      = 10_000  // of one convention on one connection
	MaxPoints       = 300     // of one device
	MaxNotes        = 20      // of one device
	MaxAnnouncement = 256_000 // bytes; longer ones are not understood
)

// A Convention turns announcements into devices.
type Convention interface {
	// Filters are the topic filters of its announcements; wildcards are allowed.
	Filters() []string
	// Start returns what to publish once the broker is there and the filters are granted, at each connection.
	Start() []Message
	// Take hears a message on one of the filters; an empty payload takes back what its topic said. It returns the keys of
	// the devices of which something else is known now, and what is to be published. An announcement that says the same
	// again, as all do at each connection, changes nothing.
	Take(m *Message) (changed []string, publish []Message)
	// Device makes a device of what is known; nil when nothing is left of it: it is gone.
	Device(key string) *Device
}

// A Reporter is a Convention that has something to say about announcements of which no device is made.
type Reporter interface {
	// Report returns what was not understood since it was last asked, with the topic and the reason; at most MaxNotes.
	Report() []string
}

// A Device is one that announced itself.
type Device struct {
	Key     string // within the convention: what stays the same whatever it is called and whenever it comes
	Name    string // what it calls itself; empty when it does not
	Model   string // with the maker: "Aqara Temperature and humidity sensor (WSDCGQ11LM)"
	Version string // of its firmware
	Area    string // where it says that it is
	Class   string // light, cover, sensor, …; empty: by its points
	Address string // for people: the topic it announces itself on, or that has its state
	// Available says whether it is there; nil: it is while the broker is, unless it is silent for Silence.
	Available *Availability
	Silence   time.Duration // 0: it never tells by silence
	Points    []Point
	Ask       []Message // what to publish when it has come, and its topics are subscribed to, so that it says how it is
	Notes     []string  // what was not understood, with the reason, in words
}

// A Point is one point with the ways to read and to write it.
type Point struct {
	devices.Point
	Sources []Source // where its readings come from; none and no Value: not Readable
	// Value is what the announcement itself says that it has, as a reading of the moment it is heard; the zero Value: nothing.
	Value devices.Value
	// Write makes what is published to set it; nil: not Writable. The error wraps devices.ErrValue.
	Write func(devices.Value) ([]Message, error)
	// Available says whether the point can be believed, where that is not the device's alone; nil: it is while the device is.
	Available *Availability
	Expire    time.Duration // a reading is stale after this; 0: never
	OffDelay  time.Duration // of a switch: it goes off by itself this long after on; 0: not
}

// A Source is one topic that has readings of a point, or several: what several receivers hear of one thing, each on a topic
// of its own (as "+/+/BTtoMQTT/A4C138010203"). The last level is a name, so that it is never all there is.
type Source struct {
	Topic string // with + for levels that may be anything, except the last one; see Matches
	// Read makes a value of a message. The zero Value without an error means that the device says it does not know; ErrAbsent
	// that the message says nothing about the point.
	Read func(*Message) (devices.Value, error)
}

// Matches reports whether a topic is one of a filter, which has a + for each level that may be anything.
func Matches(filter, topic string) bool {
	for filter != "" {
		want, restFilter, moreFilter := strings.Cut(filter, "/")
		level, restTopic, moreTopic := strings.Cut(topic, "/")
		if want != level && want != "+" || moreFilter != moreTopic {
			return false
		}
		filter, topic = restFilter, restTopic
	}
	return topic == ""
}

// ErrAbsent is for a message that has no value of a point: what is not said has not changed.
var ErrAbsent = errors.New("the message has no value of it")

// Mode says how several topics of an availability go together.
type Mode uint8

// The modes, as Home Assistant has them.
const (
	Latest Mode = iota // the one heard last counts
	All                // all have to say online
	Any                // one is enough
)

// An Availability is the topics that say whether something is there. It is not there until they were heard; without any, never.
type Availability struct {
	Mode   Mode
	Topics []AvailabilityTopic
}

// An AvailabilityTopic is one of them.
type AvailabilityTopic struct {
	Topic string
	// Read says what a message means; the error, that it means neither.
	Read func(*Message) (up bool, err error)
}

// PointName makes the name of a point ([a-z][a-z0-9_]*, at most 48 bytes) of what a device calls it; "value" of nothing.
func PointName(s string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(s) {
		if a, ok := plainLetters[r]; ok {
			b.WriteString(separated(&gap, b.Len()) + a)
			continue
		}
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteString(separated(&gap, b.Len()) + string(r))
			continue
		}
		gap = true
	}
	name := b.String()
	if name == "" {
		return "value"
	}
	if name[0] >= '0' && name[0] <= '9' {
		name = "p" + name
	}
	return strings.TrimRight(name[:min(len(name), maxPointName)], "_")
}

const maxPointName = 48

// separated is the underscore before a letter that follows others after something else.
func separated(gap *bool, written int) string {
	if *gap && written > 0 {
		*gap = false
		return "_"
	}
	*gap = false
	return ""
}

// plainLetters are letters of Latin alphabets as ASCII writes them.
var plainLetters = map[rune]string{
	'ä': "ae", 'ö': "oe", 'ü': "ue", 'ß': "ss", 'å': "a", 'æ': "ae", 'ø': "o", 'à': "a", 'á': "a", 'â': "a", 'ã': "a", 'ç': "c",
	'è': "e", 'é': "e", 'ê': "e", 'ë': "e", 'ì': "i", 'í': "i", 'î': "i", 'ï': "i", 'ñ': "n", 'ò': "o", 'ó': "o", 'ô': "o", 'õ': "o",
	'ù': "u", 'ú': "u", 'û': "u", 'ý': "y", 'ÿ': "y", 'č': "c", 'ď': "d", 'ě': "e", 'ň': "n", 'ř': "r", 'š': "s", 'ť': "t", 'ů': "u",
	'ž': "z", 'ą': "a", 'ć': "c", 'ę': "e", 'ł': "l", 'ń': "n", 'ś': "s", 'ź': "z", 'ż': "z",
}
