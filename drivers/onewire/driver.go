package onewire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"tidings/devices"
)

const (
	// lookEvery is how often a bus is looked for that is not there.
	lookEvery = 2 * time.Second

	// maxFound bounds how many sensors without a table there are: a disturbed bus must not fill the house.
	maxFound = 100
)

// driver is one bus and the sensors on it. Everything is fixed when it is built.
type driver struct {
	name     string
	root     string
	open     Opener
	poll     time.Duration
	discover bool
	log      *slog.Logger
	sensors  []*sensor       // with a table
	ignored  map[string]bool // by ROM id
}

// sensor is one that is configured, or was found.
type sensor struct {
	rom   string
	id    devices.ID
	point string
	match string // of one that is found, or is described by `match`
}

// present is a sensor while Run runs.
type present struct {
	*sensor
	told bool  // whether it is up was told
	why  error // why it is down
}

// Run reads the sensors until ctx is done.
func (d *driver) Run(ctx context.Context, out devices.Sink) error {
	r := &run{driver: d, out: out, files: d.open(d.root)}
	for _, s := range d.sensors {
		r.announce(s)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		begun := time.Now()
		timer.Reset(time.Until(begun.Add(r.round(ctx))))
	}
}

// run is one Run.
type run struct {
	*driver
	out     devices.Sink
	files   fs.FS
	present []*present
	found   int
}

func (r *run) announce(s *sensor) *present {
	p := temperature
	p.Name = s.point
	info := devices.Info{ID: s.id, Driver: r.name, Model: families[s.rom[:2]], Match: s.match, Points: []devices.Point{p}, Address: s.rom}
	if s.id == devices.ID(s.match) {
		info.Name = s.rom
	}
	r.out.Announce(info)
	here := &present{sensor: s}
	r.present = append(r.present, here)
	return here
}

// round reads every sensor once and says when the next is due.
func (r *run) round(ctx context.Context) time.Duration {
	entries, err := fs.ReadDir(r.files, ".")
	if err != nil {
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathErr.Err
		}
		err = fmt.Errorf("onewire %s: %s: %w%s", r.name, r.root, err, wayOut(err))
		r.out.Health(err)
		for _, s := range r.present {
			r.down(s, err)
		}
		return min(lookEvery, r.poll)
	}
	r.out.Health(nil)
	for _, s := range slices.Clone(r.present) {
		if ctx.Err() != nil {
			return 0
		}
		r.read(s)
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return 0
		}
		r.find(e.Name())
	}
	return r.poll
}

// find announces a sensor that nobody knew, once it was read well.
func (r *run) find(rom string) {
	if !r.discover || !thermometer(rom) || r.ignored[rom] || r.found >= maxFound ||
		slices.ContainsFunc(r.present, func(s *present) bool { return s.rom == rom }) {
		return
	}
	celsius, err := r.measure(rom)
	if err != nil {
		return
	}
	if r.found++; r.found == maxFound {
		r.log.Warn("no further sensors are taken in", "sensors", maxFound)
	}
	r.log.Info("sensor found", "address", rom)
	s := r.announce(&sensor{rom: rom, id: devices.ID(scheme + rom), match: scheme + rom, point: temperature.Name})
	r.publish(s, celsius, nil)
}

// read reads a sensor, twice if need be: on long wires a bit is lost now and then.
func (r *run) read(s *present) {
	celsius, err := r.measure(s.rom)
	if _, disturbed := errors.AsType[*faultError](err); disturbed {
		celsius, err = r.measure(s.rom)
	}
	if _, disturbed := errors.AsType[*faultError](err); err != nil && !disturbed {
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathErr.Err
		}
		r.down(s, fmt.Errorf("onewire %s: %s does not answer: check its wires: %w", r.name, s.rom, err))
		return
	}
	r.publish(s, celsius, err)
}

func (r *run) measure(rom string) (celsius float64, err error) {
	text, err := fs.ReadFile(r.files, rom+"/w1_slave")
	if err != nil {
		return 0, err
	}
	return parse(string(text))
}

// publish publishes a reading, or a fault. Either means that the sensor is there.
func (r *run) publish(s *present, celsius float64, err error) {
	if !s.told || s.why != nil {
		s.told, s.why = true, nil
		r.out.Link(s.id, true, nil)
	}
	reading := devices.Reading{Device: s.id, Point: s.point, At: time.Now(), Err: err}
	if err != nil {
		reading.Quality = devices.Faulty
	} else {
		reading.Value = devices.Number(celsius)
	}
	r.out.Publish(reading)
}

// down tells that a sensor is, once for the same reason.
func (r *run) down(s *present, err error) {
	if s.why == nil || s.why.Error() != err.Error() {
		r.log.Warn("sensor is down", "device", s.id, "err", err)
		r.out.Link(s.id, false, err)
	}
	s.told, s.why = true, err
}

func wayOut(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ": switch the bus on (on a Raspberry Pi: dtoverlay=w1-gpio in /boot/firmware/config.txt)"
	case errors.Is(err, fs.ErrPermission):
		return ": let the gateway read it"
	}
	return ""
}
