package component

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/template"
)

// A Built is what became of a component.
type Built struct {
	Parts []Part
	// Main: the component is a thing of several parts, and maybe all there is to its device.
	Main bool
	// Class is what a device is that has such a component: "light", "cover"; empty when that says nothing.
	Class     string
	Available *discovery.Availability // nil: it is always there
	Signature string                  // equal for availabilities that are the same
	Apart     bool                    // it is of a kind that has no availability
	Notes     []string                // what was not understood
}

// A Part is one point of a component. Its name is still to be made.
type Part struct {
	discovery.Point
	Suffix string // "" for the component itself
	// Named is the name of a point that several components share, as triggers of one button do; empty: it is this component's.
	Named string
}

// A builder has what the parts of one component have in common.
type builder struct {
	Config
	kind      string
	templates *Templates
	qos       int8
	retain    bool
	parts     []Part
	notes     []string
	class     string
	expire    time.Duration
}

// kinds are the components that are understood.
var kinds = map[string]func(*builder) error{
	"alarm_control_panel": (*builder).alarm,
	"binary_sensor":       (*builder).binarySensor,
	"button":              (*builder).button,
	"camera":              (*builder).camera,
	"climate":             (*builder).climate,
	"cover":               (*builder).cover,
	"date":                (*builder).date,
	"datetime":            (*builder).datetime,
	"device_automation":   (*builder).trigger,
	"device_tracker":      (*builder).tracker,
	"event":               (*builder).event,
	"fan":                 (*builder).fan,
	"humidifier":          (*builder).humidifier,
	"image":               (*builder).image,
	"lawn_mower":          (*builder).mower,
	"light":               (*builder).light,
	"lock":                (*builder).lock,
	"notify":              (*builder).notify,
	"number":              (*builder).numeric,
	"scene":               (*builder).scene,
	"select":              (*builder).choice,
	"sensor":              (*builder).sensor,
	"siren":               (*builder).siren,
	"switch":              (*builder).toggle,
	"tag":                 (*builder).tag,
	"text":                (*builder).text,
	"time":                (*builder).clock,
	"update":              (*builder).update,
	"vacuum":              (*builder).vacuum,
	"valve":               (*builder).valve,
	"water_heater":        (*builder).waterHeater,
}

// mains are the components that are things of several parts.
var mains = []string{"alarm_control_panel", "climate", "cover", "fan", "humidifier", "lawn_mower", "light", "lock", "siren", "vacuum",
	"valve", "water_heater"}

// Ranks are the components in the order in which they may choose a name when two of a device would have the same.
var Ranks = []string{"light", "cover", "climate", "fan", "lock", "valve", "vacuum", "lawn_mower", "alarm_control_panel", "siren",
	"humidifier", "water_heater", "switch", "sensor", "binary_sensor", "number", "select", "text", "button", "event",
	"device_automation", "tag", "device_tracker", "scene", "date", "time", "datetime", "notify", "image", "camera", "update"}

// Build makes the parts of a component. The error says why there are none; a part that only half works is there, and has a note.
func Build(kind string, c Config, templates *Templates) (Built, error) {
	build, ok := kinds[kind]
	if !ok {
		return Built{}, fmt.Errorf("there is no such component here")
	}
	b := &builder{Config: c, kind: kind, templates: templates, qos: -1, retain: c.Flag("retain", false)}
	if c.Has("qos") {
		b.qos = int8(max(0, min(2, c.number("qos", 0))))
	}
	if s := c.number("expire_after", 0); s > 0 {
		b.expire = seconds(s)
	}
	if e := c.Text("encoding", "utf-8"); !slices.Contains([]string{"utf-8", "utf8", "ascii", "us-ascii", ""}, strings.ToLower(e)) {
		return Built{}, fmt.Errorf("its encoding %q is not known here, only UTF-8 is", e)
	}
	available, signature, err := b.availability()
	if err != nil {
		return Built{}, err
	}
	if err := build(b); err != nil {
		return Built{}, err
	}
	out := Built{Parts: b.parts, Main: slices.Contains(mains, kind), Class: b.class, Available: available, Signature: signature,
		Apart: kind == "device_automation" || kind == "tag", Notes: b.notes}
	if out.Main && out.Class == "" {
		out.Class = kind
	}
	return out, nil
}

// seconds is a length of time, of at most a year.
func seconds(s float64) time.Duration {
	const year = 365 * 24 * time.Hour
	return time.Duration(min(s, year.Seconds()) * float64(time.Second))
}

// note says what of the component was not understood.
func (b *builder) note(format string, args ...any) {
	if len(b.notes) < discovery.MaxNotes {
		b.notes = append(b.notes, fmt.Sprintf(format, args...))
	}
}

// add adds a part: what it is, where it is read and how it is written, either of which may be missing. Without both there is
// nothing to add, and what it returns is of no use. It is valid until the next one is added.
func (b *builder) add(suffix string, p devices.Point, sources []discovery.Source, write writeFunc) *Part {
	if len(sources) == 0 && write == nil {
		return &Part{}
	}
	p.Readable, p.Writable = len(sources) > 0, write != nil
	p.Confirms = p.Readable && p.Writable && !b.Flag("optimistic", false)
	b.parts = append(b.parts, Part{Suffix: suffix, Point: discovery.Point{Point: p, Sources: sources, Write: write, Expire: b.expire}})
	return &b.parts[len(b.parts)-1]
}

// Templates are compiled templates by their source, of which a house has the same few again and again, and the availability
// that was made of some last. They belong to one goroutine.
type Templates struct {
	known map[string]*template.Template
	last  struct {
		available *discovery.Availability
		signature string
	}
}

const (
	maxTemplates = 4096 // that are shared
	maxShared    = 512  // bytes of one
)

func (t *Templates) parse(source string) (*template.Template, error) {
	if known, ok := t.known[source]; ok {
		return known, nil
	}
	parsed, err := template.Parse(source)
	if err != nil {
		return nil, err
	}
	if t.known == nil {
		t.known = make(map[string]*template.Template)
	}
	if len(t.known) < maxTemplates && len(source) <= maxShared {
		t.known[source] = parsed
	}
	return parsed, nil
}
