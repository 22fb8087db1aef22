package chips

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/handover"
)

// Bounds of the configuration.
const (
	minPoll     = 10 * time.Millisecond
	maxPoll     = 24 * time.Hour
	defaultPoll = 10 * time.Second
)

// I2C describes the driver of a bus. open is what opens it; nil is the kernel's buses.
func I2C(open I2COpener) devices.Type {
	if open == nil {
		open = openI2C
	}
	typ := devices.Type{
		Name: "i2c",
		Help: "Chips on an I²C bus: sensors, converters, port expanders and PWM outputs. Each is a device, and its points come by " +
			"themselves; tables of points override what is known of them. `i2cdetect -y 1` lists what answers on /dev/i2c-1. The user needs the group i2c.",
		Connection: []schema.Key{
			{Name: "bus", Kind: schema.String, Default: "/dev/i2c-1", Help: "the bus: a path"},
			pollKey("how often its sensors are read; default: 10s"),
		},
		Device: append([]schema.Key{
			{Name: "chip", Kind: schema.String, Choices: modelNames(false), Help: "which chip it is"},
			{Name: addressKey, Kind: schema.Int, Help: "where it answers, as in 0x76; default: the chip's usual address"},
		}, deviceKeys...),
		Point: pointKeys,
	}
	return complete(typ, func(path string) (Bus, error) { return open(path) })
}

// SPI describes the driver of a chip behind an SPI chip select. open is what opens it; nil is the kernel's buses.
func SPI(open SPIOpener) devices.Type {
	if open == nil {
		open = openSPI
	}
	typ := devices.Type{
		Name: "spi",
		Help: "A chip behind a chip select of an SPI bus. Its points come by themselves; tables of points override what is known of " +
			"them. The user needs the group spi.",
		Connection: []schema.Key{
			{Name: "bus", Kind: schema.String, Default: "/dev/spidev0.0", Help: "the bus with the chip select: a path"},
			pollKey("how often its sensors are read; default: 10s"),
		},
		Device: append([]schema.Key{
			{Name: "chip", Kind: schema.String, Choices: modelNames(true), Help: "which chip it is"},
		}, deviceKeys...),
		Point: pointKeys,
	}
	return complete(typ, func(path string) (Bus, error) { return open(path) })
}

// addressKey is a chip's key on I²C; there is none behind a chip select.
const addressKey = "address"

func pollKey(help string) schema.Key {
	return schema.Key{Name: "poll", Kind: schema.Duration, Help: help}
}

var deviceKeys = []schema.Key{
	pollKey("how often it is read; default: as the bus says, and 50ms where pins are looked at"),
	{Name: "only", Kind: schema.Strings, Help: "those of the chip's points that there are; default: all"},
	{Name: "shunt", Kind: schema.Float, Default: "0.1", Help: "ina219: the resistor that is measured at, in Ω"},
	{Name: "max_current", Kind: schema.Float, Default: "3.2", Help: "ina219: the most that flows, in A"},
	{Name: "frequency", Kind: schema.Float, Default: "200", Help: "pca9685: of all outputs, in Hz; 50 for servos"},
}

var pointKeys = []schema.Key{
	{Name: "source", Kind: schema.Scalar, Help: "the chip's pin or channel, as in \"A0\" or 3; of a sensor what it measures, where the point has another name"},
	{Name: "direction", Kind: schema.String, Default: "in", Choices: []string{"in", "out"}, Help: "mcp23…: whether the pin is read or set"},
	{Name: "pull", Kind: schema.String, Choices: []string{"up", "none"}, Help: "mcp23…: the chip's own resistor at an input"},
	{Name: "active_low", Kind: schema.Bool, Default: "false", Help: "mcp23…: on is the low level"},
	{Name: "initial", Kind: schema.Scalar, Help: "what an output is set to when the chip is found; default: off"},
	{Name: "full_scale", Kind: schema.Float, Default: "4.096", Help: "ads1…: the largest voltage of the input, in V"},
}

func complete(typ devices.Type, open func(string) (Bus, error)) devices.Type {
	typ.Points = points
	typ.Build = func(c devices.Connection) devices.Driver { return build(c, typ.Name, open) }
	return typ
}

// points are the points of a device by its table.
func points(_, device *schema.Table) []devices.Point {
	m := findModel(device.String("chip"))
	if m == nil {
		return nil
	}
	var out []devices.Point
	for _, ch := range m.channels(device, func(*schema.Table, string, string, ...any) {}) {
		out = append(out, ch.Point)
	}
	return out
}

// build makes the driver of a table. What contradicts itself is recorded, and then there is no driver.
func build(c devices.Connection, kind string, open func(string) (Bus, error)) devices.Driver {
	d := &driver{kind: kind, name: c.Name, open: open, log: c.Log}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	b := builder{spi: kind == "spi"}
	d.path = c.Table.StringOr("bus", map[bool]string{false: "/dev/i2c-1", true: "/dev/spidev0.0"}[b.spi])
	if d.path == "" {
		b.mistake(c.Table, "bus", "bus is empty: name one, as in %q", "/dev/i2c-1")
	}
	owner := map[uint16]devices.ID{}
	for _, dc := range c.Devices {
		chip := b.chip(c, dc)
		if chip == nil {
			continue
		}
		if other, taken := owner[chip.addr]; taken && b.spi {
			b.mistake(dc.Table, "", "%s is behind this chip select already: one chip each, in a table of [drivers] of its own", other)
		} else if taken {
			b.mistake(dc.Table, addressKey, "address 0x%02x is already that of %s", chip.addr, other)
		}
		owner[chip.addr] = dc.ID
		d.chips = append(d.chips, chip)
	}
	if b.mistakes {
		return nil
	}
	return d
}

type builder struct {
	spi      bool
	mistakes bool
}

func (b *builder) mistake(t *schema.Table, key, format string, args ...any) {
	t.Errorf(key, format, args...)
	b.mistakes = true
}

// chip reads the table of one chip.
func (b *builder) chip(c devices.Connection, dc devices.DeviceConfig) *config {
	t := dc.Table
	m := findModel(t.String("chip"))
	if m == nil || !slices.Contains(modelNames(b.spi), m.name) {
		if !t.Has("chip") {
			b.mistake(t, "chip", "chip is missing: it says which chip this is, as in chip = %q", modelNames(b.spi)[0])
		}
		b.mistakes = true // Check said so of one that is not known
		return nil
	}
	out := &config{id: dc.ID, model: m, memory: c.Memory, addr: b.address(t, m), poll: b.poll(c.Table, t, m), desk: handover.New[job]()}
	out.shunt, out.maxCurrent, out.frequency = t.Float("shunt", 0.1), t.Float("max_current", 3.2), t.Float("frequency", 200)
	for _, key := range []string{"shunt", "max_current", "frequency"} {
		if t.Has(key) && !slices.Contains(m.keys, key) {
			b.mistake(t, key, "%s is not a matter of %s", key, m.title)
		}
	}
	out.channels = m.channels(t, b.mistake)
	for _, p := range dc.Points {
		i := slices.IndexFunc(out.channels, func(ch channel) bool { return ch.Name == p.Name })
		if i < 0 {
			continue // told already
		}
		ch := &out.channels[i]
		if ch.Kind != p.Kind {
			b.mistake(p.Table, "kind", "kind is %s, and %s of %s is a %s", p.Kind, ch.source, m.title, ch.Kind)
		}
		if ch.safe = p.Safe; !p.Safe.IsZero() && (!ch.Writable || !ch.takes(p.Safe)) {
			b.mistake(p.Table, "safe", "safe is %s, and %s cannot be set to that", p.Safe, ch.source)
		}
	}
	if m.check != nil {
		m.check(out, b.mistakeAt(t))
	}
	return out
}

// mistakeAt is mistake for those who have no table.
func (b *builder) mistakeAt(t *schema.Table) mistake {
	return func(_ *schema.Table, key, format string, args ...any) { b.mistake(t, key, format, args...) }
}

func (b *builder) address(t *schema.Table, m *model) uint16 {
	if b.spi {
		return 0
	}
	addr := t.Int(addressKey, int(m.addresses[0]))
	if !slices.Contains(m.addresses, uint16(min(max(addr, 0), 0xffff))) {
		list := make([]string, len(m.addresses))
		for i, a := range m.addresses {
			list[i] = fmt.Sprintf("0x%02x", a)
		}
		b.mistake(t, addressKey, "address is 0x%02x: %s can be at %s", addr, m.title, strings.Join(list, ", "))
	}
	return uint16(addr)
}

func (b *builder) poll(connection, t *schema.Table, m *model) time.Duration {
	poll := m.poll
	for _, table := range []*schema.Table{connection, t} {
		if !table.Has("poll") || table == connection && m.poll == glance {
			continue
		}
		if poll = table.Duration("poll", poll); poll < minPoll || poll > maxPoll {
			b.mistake(table, "poll", "poll is %v: from %v to %v", poll, minPoll, maxPoll)
			poll = defaultPoll
		}
	}
	return max(poll, minPoll)
}

// channels are the points of a chip: those that tables describe, and those that the chip has by itself.
func (m *model) channels(device *schema.Table, mistake mistake) []channel {
	only := device.Strings("only")
	var out []channel
	described := false
	taken := map[string]string{} // by source
	for _, t := range device.Table("points").Tables() {
		if t.Has("value") { // computed
			continue
		}
		described = true
		ch, ok := m.channel(t, mistake)
		if !ok {
			continue
		}
		key := ch.source
		if m.pins != nil {
			key = strconv.Itoa(ch.pin) // "A0" is 0
		}
		if other, is := taken[key]; is {
			mistake(t, "source", "%s is already %s", ch.source, other)
			continue
		}
		taken[key] = ch.Name
		out = append(out, ch)
	}
	own := m.points
	if m.pins != nil && !described {
		own = m.pins.unasked
	}
	for _, p := range own {
		if _, is := taken[p.Name]; !is && (only == nil || slices.Contains(only, p.Name)) {
			ch := channel{Point: p, source: p.Name}
			if m.pins != nil {
				ch, _ = m.pins.channel(p.Name, p.Name, nil)
			}
			out = append(out, ch)
		}
	}
	for _, name := range only {
		if !slices.ContainsFunc(own, func(p devices.Point) bool { return p.Name == name }) {
			mistake(device, "only", "only: %s has no point %q: it has %s", m.title, name, m.has())
		}
	}
	if len(out) == 0 && m.pins != nil && !described {
		mistake(device, "chip", "%s needs points, each with a source such as %s", m.title, m.pins.example)
	}
	return out
}

// has lists the points a chip has by itself.
func (m *model) has() string {
	names := make([]string, len(m.points))
	for i, p := range m.points {
		names[i] = p.Name
	}
	if len(names) == 0 {
		return "none by itself"
	}
	return strings.Join(names, ", ")
}

// channel reads the table of a point.
func (m *model) channel(t *schema.Table, mistake mistake) (channel, bool) {
	source := t.Name()
	if v, ok := t.Get("source"); ok {
		switch s := v.V.(type) {
		case string:
			source = strings.TrimSpace(s)
		case int64:
			source = strconv.FormatInt(s, 10)
		}
	}
	for _, key := range []string{"direction", "pull", "active_low", "initial", "full_scale"} {
		if t.Has(key) && (m.pins == nil || !slices.Contains(m.pins.keys, key)) {
			mistake(t, key, "%s is not a matter of %s", key, m.title)
		}
	}
	if m.pins != nil {
		ch, ok := m.pins.channel(t.Name(), source, t)
		if !ok {
			mistake(t, "source", "source is %q: write a pin of %s as in %s", source, m.title, m.pins.example)
			return channel{}, false
		}
		m.pins.read(&ch, t, mistake)
		return ch, true
	}
	i := slices.IndexFunc(m.points, func(p devices.Point) bool { return p.Name == source })
	if i < 0 {
		names := make([]string, len(m.points))
		for n, p := range m.points {
			names[n] = p.Name
		}
		hint := ": it has " + m.has()
		if near := schema.Nearest(source, names); near != "" {
			hint = fmt.Sprintf(": did you mean %q?", near)
		}
		mistake(t, "source", "%s measures no %q%s", m.title, source, hint)
		return channel{}, false
	}
	ch := channel{Point: m.points[i], source: source}
	ch.Name = t.Name()
	return ch, true
}
