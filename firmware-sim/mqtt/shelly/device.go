package shelly

import (
	"cmp"
	"math"
	"strings"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

// A Model is a product.
type Model uint8

// The products there are.
const (
	Plus1PM Model = iota // a relay that meters
	Plus2PM              // a cover
	Dimmer               // Plus 0-10V: a light
	Pro3EM               // a meter of three phases
	PlusI4               // four inputs: buttons
	PlusHT               // temperature and humidity
)

// model is what GetDeviceInfo says of one.
type model struct{ app, model, id string }

var models = map[Model]model{
	Plus1PM: {"Plus1PM", "SNSW-001P16EU", "shellyplus1pm"},
	Plus2PM: {"Plus2PM", "SNSW-102P16EU", "shellyplus2pm"},
	Dimmer:  {"Plus10V", "SNDM-00100WW", "shellyplus010v"},
	Pro3EM:  {"Pro3EM", "SPEM-003CEBEU", "shellypro3em"},
	PlusI4:  {"PlusI4", "SNSN-0024X", "shellyplusi4"},
	PlusHT:  {"PlusHT", "SNSN-0013A", "shellyplusht"},
}

// A Device is firmware. What is exported is set before it starts.
type Device struct {
	Model  Model
	MAC    string // 12 digits, upper case
	Name   string
	Prefix string // of its topics; default its id
	Status bool   // status_ntf: whole states, too
	Every  time.Duration

	Load                  func(time.Time) float64 // W; of a meter the sum of its phases
	Temperature, Humidity func(time.Time) float64
	Travel                time.Duration // of a cover; default 10 s

	begun    time.Time
	said     time.Time
	renamed  bool
	on       bool
	bright   int
	position float64
	target   float64
	moves    string // opening or closing; empty: it stands
	last     string // which way it went
	moved    time.Time
	energy   float64 // Wh
	metered  time.Time
	source   string
}

// The id of the device, which its topics begin with.
func (d *Device) id() string { return models[d.Model].id + "-" + strings.ToLower(d.MAC) }

func (d *Device) prefix() string { return cmp.Or(d.Prefix, d.id()) }

// ID is the client's.
func (d *Device) ID() string { return d.id() }

// Will says that the device is offline.
func (d *Device) Will() board.Message { return d.presence("false") }

func (d *Device) presence(word string) board.Message {
	return board.Message{Topic: d.prefix() + "/online", Payload: word, Retained: true, QoS: 1, About: board.Presence}
}

// Filters are what it listens to.
func (d *Device) Filters() []string {
	return []string{d.prefix() + "/rpc", d.prefix() + "/command", d.prefix() + "/command/+"}
}

// Start says that it is there, and how.
func (d *Device) Start(now time.Time) []board.Message {
	if d.begun.IsZero() {
		d.begun, d.metered, d.moved = now, now, now
		d.Every, d.Travel = cmp.Or(d.Every, 15*time.Second), cmp.Or(d.Travel, 10*time.Second)
		d.bright, d.position, d.target, d.energy, d.source = 60, 100, 100, 18_400, "init"
		if d.Load == nil {
			d.Load = func(time.Time) float64 { return 60 }
		}
		for _, f := range []*func(time.Time) float64{&d.Temperature, &d.Humidity} {
			if *f == nil {
				*f = func(time.Time) float64 { return 40 }
			}
		}
	}
	d.said = now
	out := []board.Message{d.presence("true")}
	full := d.status(now)
	full["ts"] = seconds(now)
	out = append(out, d.notify("NotifyFullStatus", full))
	return append(out, d.whole(now)...)
}

// Step says what goes on and what is due.
func (d *Device) Step(now time.Time) []board.Message {
	moving := d.moves != ""
	if moving {
		d.move(now)
	}
	if !moving && now.Sub(d.said) < d.Every {
		return nil
	}
	return d.changed(now)
}

// changed notifies of the component.
func (d *Device) changed(now time.Time) []board.Message {
	d.said = now
	s := map[string]any{"ts": seconds(now)}
	for name, status := range d.components(now) {
		s[name] = status
	}
	return append([]board.Message{d.notify("NotifyStatus", s)}, d.whole(now)...)
}

// whole is status_ntf.
func (d *Device) whole(now time.Time) []board.Message {
	if !d.Status {
		return nil
	}
	components := d.components(now)
	var out []board.Message
	for _, name := range d.names() {
		out = append(out, board.Message{Topic: d.prefix() + "/status/" + name, Payload: board.JSON(components[name])})
	}
	return out
}

func (d *Device) notify(method string, params map[string]any) board.Message {
	return board.Message{Topic: d.prefix() + "/events/rpc",
		Payload: board.JSON(map[string]any{"src": d.id(), "dst": d.prefix() + "/events", "method": method, "params": params})}
}

// Press has a button of an I4 pressed; how is "single_push", "double_push" or "long_push".
func (d *Device) Press(now time.Time, input int, how string) []board.Message {
	return []board.Message{d.notify("NotifyEvent", map[string]any{"ts": seconds(now), "events": []map[string]any{
		{"component": "input:" + string(rune('0'+input%10)), "id": input, "event": how, "ts": seconds(now)}}})}
}

// Stop says what the last will would.
func (d *Device) Stop() []board.Message { return []board.Message{d.presence("false")} }

// Rename gives it another name; its configuration has changed, as NotifyEvent says.
func (d *Device) Rename(now time.Time, on bool) []board.Message {
	d.renamed = on
	return []board.Message{d.notify("NotifyEvent", map[string]any{"ts": seconds(now), "events": []map[string]any{
		{"component": "sys", "event": "config_changed", "restart_required": false, "ts": seconds(now), "cfg_rev": 12}}})}
}

// Vanish takes its retained word back.
func (d *Device) Vanish(_ time.Time, on bool) []board.Message {
	if !on {
		return []board.Message{d.presence("true")}
	}
	m := d.presence("")
	m.About = board.Announcement
	return []board.Message{m}
}

func (d *Device) name() any {
	switch {
	case d.Name == "":
		return nil
	case d.renamed:
		return d.Name + " 2"
	}
	return d.Name
}

func (d *Device) move(now time.Time) {
	step := float64(now.Sub(d.moved)) / float64(d.Travel) * 100
	d.moved = now
	switch d.moves {
	case "opening":
		d.position = min(d.position+step, d.target)
	case "closing":
		d.position = max(d.position-step, d.target)
	}
	if d.position == d.target {
		d.moves = ""
	}
}

// drive has the cover go to a position.
func (d *Device) drive(now time.Time, to float64) {
	d.move(now)
	d.moved, d.target, d.moves = now, to, ""
	if to > d.position {
		d.moves, d.last = "opening", "open"
	} else if to < d.position {
		d.moves, d.last = "closing", "close"
	}
}

func (d *Device) meter(now time.Time) {
	if d.on || d.Model == Pro3EM {
		d.energy += d.Load(now) * now.Sub(d.metered).Hours()
	}
	d.metered = now
}

func seconds(now time.Time) float64 { return round(float64(now.UnixMilli())/1000, 2) }

func round(f float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(f*p) / p
}
