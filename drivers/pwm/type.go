package pwm

import (
	"log/slog"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/handover"
)

// Bounds of the configuration.
const (
	minFrequency     = 0.1
	maxFrequency     = 10e6
	defaultFrequency = 1000
	defaultRoot      = "/sys/class/pwm"
	defaultChip      = "pwmchip0"
)

// Type describes the driver. open is what opens the kernel's files; nil is those of the machine.
func Type(open Opener) devices.Type {
	if open == nil {
		open = func(root string) Files { return tree(root) }
	}
	return devices.Type{
		Name: "pwm",
		Help: "Outputs that the machine modulates in hardware: light, fans, servos, from 0 to 100 %. On a Raspberry Pi: dtoverlay=pwm-2chan in " +
			"/boot/firmware/config.txt. The user has to be able to write the files below /sys/class/pwm.",
		Connection: []schema.Key{
			{Name: "chip", Kind: schema.String, Default: defaultChip, Help: "the chip, as `ls /sys/class/pwm` lists it"},
			{Name: "root", Kind: schema.String, Default: defaultRoot, Help: "where the kernel's files are"},
		},
		Point: []schema.Key{
			{Name: "source", Kind: schema.Int, Help: "the channel of the chip"},
			{Name: "frequency", Kind: schema.Float, Default: "1000", Help: "in Hz; 50 for servos, 25000 for fans"},
			{Name: "inverted", Kind: schema.Bool, Default: "false", Help: "on is the low level"},
			{Name: "initial", Kind: schema.Float, Default: "0", Help: "what the output is set to when the chip is found, in %"},
		},
		Points: points,
		Build:  func(c devices.Connection) devices.Driver { return build(c, open) },
	}
}

// points are the points of a device's tables.
func points(_, device *schema.Table) (out []devices.Point) {
	for _, t := range device.Table("points").Tables() {
		if !t.Has("value") {
			out = append(out, point(t.Name()))
		}
	}
	return out
}

func point(name string) devices.Point {
	return devices.Point{Name: name, Kind: devices.KindNumber, Unit: "%", Low: 0, High: 100, Readable: true, Writable: true, Confirms: true}
}

var chipName = regexp.MustCompile(`^pwmchip[0-9]+$`)

// build makes the driver of a table. What contradicts itself is recorded, and then there is no driver.
func build(c devices.Connection, open Opener) devices.Driver {
	d := &driver{name: c.Name, chip: strings.TrimPrefix(c.Table.StringOr("chip", defaultChip), defaultRoot+"/"),
		root: c.Table.StringOr("root", defaultRoot), open: open, log: c.Log, desk: handover.New[job]()}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	mistakes := false
	mistake := func(t *schema.Table, key, format string, args ...any) {
		t.Errorf(key, format, args...)
		mistakes = true
	}
	if !chipName.MatchString(d.chip) {
		mistake(c.Table, "chip", "chip is %q: write it as in %q", d.chip, defaultChip)
	}
	owner := map[int]string{}
	for _, dc := range c.Devices {
		dev := &device{id: dc.ID}
		for _, p := range dc.Points {
			o := &output{device: dc.ID, point: p.Name, inverted: p.Table.Bool("inverted", false), initial: p.Table.Float("initial", 0), safe: p.Safe}
			o.channel = p.Table.Int("source", -1)
			switch other, taken := owner[o.channel]; {
			case o.channel < 0 || o.channel > 1000:
				mistake(p.Table, "source", "source is the channel of the chip: 0 or more")
			case taken:
				mistake(p.Table, "source", "channel %d is already that of %s", o.channel, other)
			}
			owner[o.channel] = string(dc.ID) + "." + p.Name
			frequency := p.Table.Float("frequency", defaultFrequency)
			if !(frequency >= minFrequency && frequency <= maxFrequency) {
				mistake(p.Table, "frequency", "frequency is %g: from %g to %g Hz", frequency, minFrequency, maxFrequency)
				frequency = defaultFrequency
			}
			o.period = int(math.Round(float64(time.Second) / frequency))
			if !(o.initial >= 0 && o.initial <= 100) {
				mistake(p.Table, "initial", "initial is %g: from 0 to 100 %%", o.initial)
			}
			if safe, ok := p.Safe.Number(); !p.Safe.IsZero() && !(ok && safe >= 0 && safe <= 100) {
				mistake(p.Table, "safe", "safe is %s: from 0 to 100 %%", p.Safe)
			}
			if p.Kind != devices.KindNumber {
				mistake(p.Table, "kind", "kind is %s: an output is a number, from 0 to 100", p.Kind)
			}
			dev.outputs = append(dev.outputs, o)
		}
		d.devices = append(d.devices, dev)
	}
	if mistakes {
		return nil
	}
	return d
}

// file is a file of an output.
func (d *driver) file(o *output, name string) string {
	return d.chip + "/pwm" + strconv.Itoa(o.channel) + "/" + name
}
