package mapping

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"tidings/devices"
)

// A Device is a device as people see it: what its driver announced merged with the configuration, which wins key by
// key. It never changes: a device that does gets a new one. It is safe for concurrent use.
type Device struct {
	ID           devices.ID
	Name         string
	Location     string // empty: none
	Class        string // light, sensor, …
	Driver       string // the connection's name
	Model        string
	Version      string   // of its firmware
	Match        string   // of a discovered device: what `match` in its table says, or would
	Address      string   // how the driver reaches it, for people
	Notes        []string // what of the device was not understood, and alerts that can never begin
	Labels       []string
	Disabled     bool
	Points       []Point       // in the order of the driver's Info, so in that of the registry's; shared: not to be changed
	Primary      []int         // indexes of Points; what presence shows
	OfflineAfter time.Duration // silent for this long: offline; 0: only its driver decides
	Settle       time.Duration // a change of online state shorter than this is not announced

	readable bool      // some point is read
	said     uint16    // of Notes: those of its driver; behind them are those of alerts
	faults   *[]string // by computed point: why it cannot be computed whatever is read, empty where it can; nil when all can
}

// Point finds a point by name, or returns nil.
func (d *Device) Point(name string) *Point {
	if i := d.index(name); i >= 0 {
		return &d.Points[i]
	}
	return nil
}

func (d *Device) index(name string) int {
	for i := range d.Points {
		if d.Points[i].Name == name {
			return i
		}
	}
	return -1
}

// watched reports whether silence of the device means anything.
func (d *Device) watched() bool { return d.OfflineAfter > 0 && d.readable }

// An Action is one command of a device, as command menus list it.
type Action struct {
	// Node names it among the device's: "power/on", "target/set", "bell/do". With Really, "/really" is added.
	Node  string
	Name  string // "Pump on", "Open valve", "Set target…", "Bell", "Really pump on"
	Point *Point
	Value devices.Value // what it sets; zero when Ask
	Verb  string        // what people say for it alone, in small letters: "on", "open", "arm home"; empty: nothing
	Ask   bool          // a value has to be given
	// Confirm: the point is dangerous, the person has to say yes before it is done.
	Confirm bool
	// Really: choosing this one is that yes, for clients that know one step only.
	Really bool
}

// Actions are the commands of the device: first its switches and actions, in the order of the points and with two
// commands for each switch and one for each state of what opens, locks or drives about, then the values that can be set; and
// behind those, in the same order, what configures it.
//
// A command is named after its point, never after the device, also when the device has a single one: "Power on" reads
// the same in every list and stays true when a second point comes. Points of classes that open or lock have verbs:
// "Open valve", "Unlock"; a point called like the state itself ("open") is not repeated: "Open", "Close".
//
// A device that is disabled has none.
func (d *Device) Actions() []Action {
	if d.Disabled {
		return nil
	}
	return d.appendActions(d.appendActions(nil, false), true)
}

// appendActions appends those of the minor points, or of the others.
func (d *Device) appendActions(out []Action, minor bool) []Action {
	for i := range d.Points {
		p := &d.Points[i]
		if !p.Writable || p.Minor != minor {
			continue
		}
		switch p.Kind {
		case devices.KindSwitch:
			for _, on := range []bool{true, false} {
				words := wordsOf(p.Class)
				verb := cmp.Or(strings.ToLower(words.verb(on)), plainWords.state(on))
				out = p.appendAction(out, map[bool]string{true: "/on", false: "/off"}[on], p.command(on), verb, devices.Bool(on))
			}
		case devices.KindAction:
			out = p.appendAction(out, "/do", p.Label, "", devices.Bool(true))
		case devices.KindChoice:
			for _, v := range p.verbs() {
				out = p.appendAction(out, "/"+v.state, p.verbed(v.say), strings.ToLower(v.say), devices.Text(v.state))
			}
		}
	}
	for i := range d.Points {
		p := &d.Points[i]
		if p.Writable && p.Minor == minor && p.Kind != devices.KindSwitch && p.Kind != devices.KindAction && len(p.verbs()) == 0 {
			out = append(out, Action{Node: p.Name + "/set", Name: "Set " + p.name() + "…", Point: p, Ask: true, Confirm: p.Danger})
		}
	}
	return out
}

// appendAction appends a one-step command, and the one that says yes at once when it is dangerous.
func (p *Point) appendAction(out []Action, node, name, verb string, v devices.Value) []Action {
	a := Action{Node: p.Name + node, Name: name, Point: p, Value: v, Verb: verb, Confirm: p.Danger}
	out = append(out, a)
	if p.Danger {
		a.Node, a.Name = a.Node+"/really", "Really "+lowerFirst(name)
		a.Confirm, a.Really = false, true
		out = append(out, a)
	}
	return out
}

// command is the name of the command that brings a state about.
func (p *Point) command(on bool) string {
	words := wordsOf(p.Class)
	verb := words.verb(on)
	switch {
	case verb == "" && strings.EqualFold(p.Label, plainWords.on): // a point called "on"
		return label(plainWords.state(on))
	case verb == "":
		return p.Label + " " + plainWords.state(on)
	case p.itself():
		return verb
	}
	return verb + " " + p.name()
}

// itself reports whether a switch is called like what is done with it, "open" or "lock": it stands for its device.
func (p *Point) itself() bool {
	words := wordsOf(p.Class)
	return words.turnOn != "" && (p.Name == "open" || p.Label == words.turnOn || p.Label == words.turnOff)
}

// verbed is the name of the command that a verb of a choice is. A point called like its class is the device itself, which is not
// repeated: "Open", and "Open left blind" where there are two.
func (p *Point) verbed(say string) string {
	if p.Name == p.Class {
		return say
	}
	return say + " " + p.name()
}

// A shape is what devices that are alike share: the driver's points and what the configuration makes of them.
type shape struct {
	raw     []devices.Point // the driver's and, behind them, the computed ones
	own     int             // of raw: those of the driver
	config  []*pointConfig
	class   string // of the device; decides words
	zone    *time.Location
	points  []Point
	primary []int // what is shown of it by default
	telling []int // and of a device that announced itself
	// readable: some point is read.
	readable bool

	key   string // in Rules.shapes
	users int    // devices that have it
}

// newShape merges the driver's points with the configuration of their device, which wins key by key. Points of the
// configuration that are neither announced by the driver nor computed are left out: nothing stands behind them. It takes raw over.
func newShape(raw []devices.Point, config []*pointConfig, class string, zone *time.Location) *shape {
	raw = slices.DeleteFunc(raw, func(p devices.Point) bool { c := findPoint(config, p.Name); return c != nil && c.value != nil })
	own := len(raw)
	for _, c := range config {
		if c.value != nil {
			raw = append(raw, devices.Point{Name: c.name, Kind: c.kind, Unit: c.unit, Readable: true})
		}
	}
	s := &shape{raw: raw, own: own, config: config, class: class, zone: zone, points: make([]Point, len(raw))}
	for i := range raw {
		s.points[i] = mergePoint(&raw[i], findPoint(config, raw[i].Name), class)
		s.points[i].zone = zone
		s.readable = s.readable || raw[i].Readable && i < own
		if p := &s.points[i]; len(s.primary) < 2 && p.Measured() && p.Kind != devices.KindEvent {
			s.primary = append(s.primary, i)
		}
	}
	s.aims()
	s.telling = s.most()
	return s
}

func findPoint(config []*pointConfig, name string) *pointConfig {
	for _, c := range config {
		if c.name == name {
			return c
		}
	}
	return nil
}

func mergePoint(raw *devices.Point, c *pointConfig, deviceClass string) Point {
	p := Point{
		Name: raw.Name, Label: label(raw.Name), Kind: raw.Kind, Class: cutLine(raw.Class, maxLabel), Unit: cutLine(normalUnit(raw.Unit), maxLabel), Options: raw.Options,
		States: raw.States, Readable: raw.Readable, Writable: raw.Writable, Confirms: raw.Confirms, Minor: raw.Minor, Step: raw.Step,
		Precision: int(raw.Digits) - 1, Min: math.Inf(-1), Max: math.Inf(1), Scale: 1, ConfirmWithin: defaultConfirm, Programs: true, History: true,
	}
	if raw.Label != "" {
		p.Label, p.called = cutLine(raw.Label, maxLabel), true
		if !strings.Contains(p.Label, " ") { // a name for programs
			p.Label = strings.ReplaceAll(p.Label, "_", " ")
		}
	}
	if raw.Low < raw.High {
		p.Range = Span{Low: raw.Low, High: raw.High}
	}
	if c != nil {
		p.configure(c)
	}
	if p.Kind == devices.KindImage {
		p.History = false
	}
	if p.Class == "" && p.Kind == devices.KindSwitch {
		p.Class = switchClass(p.Name, p.Writable, deviceClass)
	}
	if p.Kind == devices.KindSwitch && p.Name == "open" && strings.EqualFold(p.Label, p.Name) && wordsOf(p.Class) == openWords {
		p.Label = label(p.Class) // "Valve is closed", not "Open is closed"
	}
	if units := numberClasses[p.Class]; p.Kind == devices.KindNumber && len(units) > 0 && p.Unit == "" {
		p.Unit = units[0]
	}
	if p.Kind != devices.KindNumber {
		p.Unit, p.Range, p.Step, p.Precision = "", Span{}, 0, -1
	}
	return p
}

// configure has what the configuration says of the point go before what the device does.
func (p *Point) configure(c *pointConfig) {
	if c.has&hasKind != 0 {
		p.Kind = c.kind
	}
	if c.has&hasOptions != 0 {
		p.Options, p.States = strings.Split(c.options, optionSep), nil
	}
	if c.class != "" {
		p.Class = c.class
	}
	p.Scale, p.Offset = c.scale, c.offset
	if c.has&hasUnit != 0 {
		p.convert(c.unit)
	}
	if c.value != nil {
		p.short = true
	}
	if !p.Writable {
		p.DelayOn, p.DelayOff = c.delayOn, c.delayOff
	}
	if c.precision >= 0 {
		p.Precision = int(c.precision)
	}
	if p.Range.Set() { // what the device takes is raw
		low, high := sum(p.Range.Low*p.Scale, p.Offset), sum(p.Range.High*p.Scale, p.Offset)
		p.Range, p.Step = Span{Low: min(low, high), High: max(low, high)}, math.Abs(p.Step*p.Scale)
	}
	if c.rng.Set() {
		p.Range = c.rng
	}
	if c.step > 0 {
		p.Step = c.step
	}
	p.Min, p.Max, p.Deadband, p.ConfirmWithin, p.Safe = c.min, c.max, c.deadband, c.confirmWithin, c.safe
	p.Danger, p.Programs, p.History = c.danger, c.programs, !c.noHistory
}

// convert gives the point another unit than it has. A number of the same quantity is converted, unless it is scaled: then scale
// and offset say all that is to be said.
func (p *Point) convert(unit string) {
	scale, offset, ok := conversion(p.Unit, unit)
	if ok && p.Unit != unit && p.Scale == 1 && p.Offset == 0 {
		if p.Class == "temperature_delta" {
			offset = 0
		}
		p.Scale, p.Offset, p.short = scale, offset, true
		p.Precision = -1 // the device's digits are of its own unit
	}
	p.Unit = unit
}

// switchClass is the class of a switch that has none of its own: of the device it is the point of, or of the sensor
// it is called after. A switch that people operate keeps "on" and "off" unless it is plainly one that opens.
func switchClass(name string, writable bool, deviceClass string) string {
	switch {
	case name == "open":
		if class := deviceWords[deviceClass]; class != "" && class != "lock" {
			return class
		}
		return "opening"
	case deviceWords[deviceClass] == name:
		return name
	case writable:
		return ""
	}
	switch name {
	case "door", "garage_door", "motion", "moisture", "occupancy", "presence", "problem", "smoke", "tamper", "vibration", "window":
		return name
	}
	return ""
}

// defaultClass is what a device is whose table does not say.
func defaultClass(points []Point) string {
	class := "sensor"
	for i := range points {
		p := &points[i]
		switch {
		case p.Writable && p.Kind == devices.KindChoice && choiceClasses[p.Class] != nil:
			return deviceClass(p.Class)
		case p.Writable && p.Kind == devices.KindColor:
			return "light"
		case p.Writable && p.Kind == devices.KindSwitch:
			class = "switch"
		}
	}
	return class
}

// model makes the effective model of a device.
func (c *Config) model(info *devices.Info, s *shape) *Device {
	d := &Device{
		ID: info.ID, Name: cutLine(info.Name, maxName), Location: cutLine(info.Area, maxName), Driver: info.Driver, Model: cutLine(info.Model, maxName),
		Version: cutLine(info.Version, maxName), Match: info.Match, Address: info.Address, Notes: info.Notes,
		Disabled: info.Disabled, Points: s.points, Primary: s.primary, OfflineAfter: info.Silence, Settle: defaultSettle,
		readable: s.readable, said: uint16(len(info.Notes)),
	}
	if info.Match != "" {
		d.Primary = s.telling
	}
	if silence, ok := c.silence[info.Driver]; ok {
		d.OfflineAfter = silence
	}
	if cfg := c.Devices[info.ID]; cfg != nil {
		d.Class, d.Labels, d.Settle = cfg.Class, cfg.Labels, cfg.Settle
		if cfg.Location != "" {
			d.Location = cfg.Location
		}
		d.Disabled = d.Disabled || cfg.Disabled
		if cfg.Name != "" {
			d.Name = cfg.Name
		}
		if cfg.offlineAfter != notSet {
			d.OfflineAfter = cfg.offlineAfter
		}
		if cfg.Primary != nil {
			d.Primary = nil
			for _, name := range cfg.Primary {
				if i := d.index(name); i >= 0 {
					d.Primary = append(d.Primary, i)
				}
			}
		}
	}
	if d.Name == "" {
		d.Name = string(info.ID)
	}
	d.Class = cmp.Or(d.Class, deviceClass(info.Class), defaultClass(s.points))
	return d
}

// maxName bounds what a device may say of itself, in bytes.
const maxName = 120

// appendPoints appends a text that is the same for equal points of drivers.
func appendPoints(dst []byte, points []devices.Point) []byte {
	for i := range points {
		p := &points[i]
		dst = append(append(dst, p.Name...), 0, byte(p.Kind))
		for _, flag := range [...]bool{p.Readable, p.Writable, p.Confirms, p.Minor} {
			if flag {
				dst = append(dst, 1)
			} else {
				dst = append(dst, 0)
			}
		}
		dst = append(dst, p.Digits)
		for _, f := range [...]float64{p.Low, p.High, p.Step} {
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
		}
		for _, s := range [...]string{p.Unit, p.Label, p.Class} {
			dst = append(append(dst, s...), 0)
		}
		for _, o := range p.Options {
			dst = append(append(dst, o...), 0)
		}
		dst = append(dst, 1)
		for _, o := range p.States {
			dst = append(append(dst, o...), 0)
		}
		dst = append(dst, 1)
	}
	return dst
}
