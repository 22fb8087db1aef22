package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"tidings/devices"
)

// safeTime bounds what Run does when its context is done.
const safeTime = 500 * time.Millisecond

// driver is one connection to a broker and the devices behind it.
type driver struct {
	name    string
	config  config
	options Options
	log     *slog.Logger
	devices []*device
	topics  map[string]*topic // by name; not changed after build

	mu      sync.Mutex // for session, reason and every device's up and cause
	session *session   // nil while there is none
	reason  error      // why there is none
}

// A device is one configured device. The goroutine in Run owns it; up and cause are written under driver.mu.
type device struct {
	id              devices.ID
	info            devices.Info
	points          []*point
	availability    string // empty: there while the broker is
	online, offline string

	up    bool
	cause error
	held  map[string]message // by topic: what came while the device was down, told once it is up
}

// A topic is one the driver subscribes to, and whom it concerns.
type topic struct {
	name         string
	availability []*device
	readers      []reader
}

// A reader is a device with the points of one topic.
type reader struct {
	device *device
	points []*point
}

var (
	_ devices.Driver   = (*driver)(nil)
	_ devices.Actuator = (*driver)(nil)
)

var (
	errNotRunning = errors.New("the driver is not running")
	errConnecting = errors.New("not connected to the broker yet")
)

// add takes a device in while the driver is built.
func (d *driver) add(dev *device) {
	d.devices = append(d.devices, dev)
	d.reason = errNotRunning
	if dev.availability != "" {
		t := d.topic(dev.availability)
		t.availability = append(t.availability, dev)
	}
	for _, p := range dev.points {
		if p.source == "" {
			continue
		}
		d.config.cameras = d.config.cameras || p.kind == devices.KindImage
		t := d.topic(p.source)
		if n := len(t.readers); n == 0 || t.readers[n-1].device != dev {
			t.readers = append(t.readers, reader{device: dev})
		}
		last := &t.readers[len(t.readers)-1]
		last.points = append(last.points, p)
	}
}

func (d *driver) topic(name string) *topic {
	t := d.topics[name]
	if t == nil {
		t = &topic{name: name}
		d.topics[name] = t
	}
	return t
}

// Run keeps a session with the broker until ctx is done.
func (d *driver) Run(ctx context.Context, out devices.Sink) error {
	for _, dev := range d.devices {
		out.Announce(dev.info)
	}
	if d.config.exposed() {
		d.log.Warn("mqtt password goes over the network unencrypted: use mqtts:// if the broker has it", "broker", d.where())
	}
	d.setSession(nil, errConnecting)
	defer d.setSession(nil, errNotRunning)
	retry := backoff{first: firstRetry, last: lastRetry}
	refused := backoff{first: firstRefused, last: lastRefused}
	for {
		began := time.Now()
		err := d.serve(ctx, out)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > stable {
			retry.reset()
			refused.reset()
		}
		wait := retry.next
		if isRefusal(err) {
			wait = refused.next
		}
		d.down(out, d.explain(err))
		if !sleep(ctx, wait()) {
			return nil
		}
	}
}

// serve opens one session and handles its messages until it is lost, or ctx is done.
func (d *driver) serve(ctx context.Context, out devices.Sink) error {
	s, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer s.end()
	refused, err := s.subscribe(ctx, d.topics)
	if err != nil {
		return err
	}
	d.log.Info("mqtt connected", "broker", d.where())
	d.setSession(s, nil)
	d.connected(out, refused)
	for {
		select {
		case <-ctx.Done():
			d.setSession(nil, devices.ErrStopping)
			d.makeSafe(s)
			return nil
		case <-s.lost:
			return s.loss()
		case name := <-s.strange:
			s.forget(name, d.log)
		case <-s.in.more:
			messages, coalesced := s.in.take()
			if coalesced > 0 {
				d.log.Debug("mqtt messages came faster than they are taken: the latest count", "dropped", coalesced)
			}
			for _, m := range messages {
				d.handle(out, m)
			}
		}
	}
}

// connected says how the devices are now that the broker is there. One with an availability topic is down until that
// has been heard.
func (d *driver) connected(out devices.Sink, refused map[string]bool) {
	var health error
	refusal := func(topic string) error {
		err := fmt.Errorf("mqtt %s: the broker refuses the topic %q: allow user %q to read it", d.name, topic, d.config.username)
		health = err
		return err
	}
	for _, dev := range d.devices {
		dev.held = nil
		var faults []devices.Reading
		readable := 0
		for _, p := range dev.points {
			p.heard = false
			if p.source != "" {
				readable++
			}
			if refused[p.source] {
				faults = append(faults, devices.Reading{Device: dev.id, Point: p.name, Quality: devices.Faulty, At: time.Now(), Err: refusal(p.source)})
			}
		}
		switch {
		case refused[dev.availability]:
			d.link(out, dev, refusal(dev.availability))
		case dev.availability != "":
			d.link(out, dev, fmt.Errorf("nothing heard from it: %s says nothing yet", dev.availability))
		case readable > 0 && len(faults) == readable:
			d.link(out, dev, faults[0].Err)
		default:
			d.link(out, dev, nil)
			if len(faults) > 0 {
				out.Publish(faults...)
			}
		}
	}
	out.Health(health)
}

// down says that every device is, and why.
func (d *driver) down(out devices.Sink, why error) {
	// Health tells people; this is for whoever wants to know what was underneath.
	d.log.Debug("mqtt broker away", "err", why, "raw", errors.Unwrap(why))
	d.setSession(nil, why)
	for _, dev := range d.devices {
		d.link(out, dev, why)
	}
	out.Health(why)
}

func (d *driver) setSession(s *session, reason error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session, d.reason = s, reason
}

// link takes a device up, when cause is nil, or down.
func (d *driver) link(out devices.Sink, dev *device, cause error) {
	d.mu.Lock()
	dev.up, dev.cause = cause == nil, cause
	d.mu.Unlock()
	out.Link(dev.id, dev.up, cause)
}

// handle makes readings of a message.
func (d *driver) handle(out devices.Sink, m message) {
	d.log.Debug("mqtt message", "topic", m.topic, "retained", m.retained, "bytes", len(m.payload))
	t := d.topics[m.topic]
	for _, dev := range t.availability {
		d.available(out, dev, m)
	}
	doc := &document{payload: m.payload}
	for _, r := range t.readers {
		if r.device.up {
			out.Publish(r.readings(doc, m.at)...)
		} else {
			if r.device.held == nil {
				r.device.held = map[string]message{}
			}
			r.device.held[m.topic] = m
		}
	}
}

// available hears an availability topic.
func (d *driver) available(out devices.Sink, dev *device, m message) {
	switch word := strings.TrimSpace(string(m.payload)); word {
	case dev.online:
		if dev.up {
			return
		}
		d.link(out, dev, nil)
		for name, held := range dev.held {
			doc := &document{payload: held.payload}
			for _, r := range d.topics[name].readers {
				if r.device == dev {
					out.Publish(r.readings(doc, held.at)...)
				}
			}
		}
		dev.held = nil
	case dev.offline:
		d.link(out, dev, fmt.Errorf("%s says %s", dev.availability, quote(m.payload)))
	default:
		d.link(out, dev, fmt.Errorf("%s says %s, which is neither online (%q) nor offline (%q)", dev.availability, quote(m.payload), dev.online, dev.offline))
	}
}

// readings are those of the points of one message.
func (r *reader) readings(doc *document, at time.Time) []devices.Reading {
	out := make([]devices.Reading, 0, len(r.points))
	for _, p := range r.points {
		rd := devices.Reading{Device: r.device.id, Point: p.name, At: at}
		v, err := p.read(doc)
		switch {
		case errors.Is(err, errAbsent) && p.heard:
			continue // what is not said has not changed
		case errors.Is(err, errAbsent):
			rd.Quality, rd.Err = devices.Unknown, err
		case err != nil:
			rd.Quality, rd.Err = devices.Faulty, err
		case v.IsZero():
			rd.Quality = devices.Unknown
			p.heard = true
		default:
			rd.Value = v
			p.heard = true
		}
		out = append(out, rd)
	}
	return out
}

// Do publishes a command.
func (d *driver) Do(ctx context.Context, cmd devices.Command) (devices.Result, error) {
	if err := ctx.Err(); err != nil {
		return devices.Result{}, err
	}
	dev, p, err := d.find(cmd)
	if err != nil {
		return devices.Result{}, err
	}
	payload, err := p.encode(cmd.Value)
	if err != nil {
		return devices.Result{}, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, err)
	}
	d.mu.Lock()
	s, cause := d.session, d.reason
	if s != nil && !dev.up {
		s, cause = nil, dev.cause
	}
	d.mu.Unlock()
	if s == nil {
		return devices.Result{}, fmt.Errorf("%s: %w: %w", cmd.Device, devices.ErrDown, cause)
	}
	written, err := s.publish(ctx, p.command, p.retain, payload)
	if asked, ok := errors.AsType[*devices.AskedError](err); ok {
		return devices.Result{}, &devices.AskedError{Err: fmt.Errorf("%s: %w", cmd.Device, asked.Err)}
	} else if err != nil {
		return devices.Result{}, fmt.Errorf("%s: %w", cmd.Device, err)
	}
	return devices.Result{Written: written}, nil
}

func (d *driver) find(cmd devices.Command) (*device, *point, error) {
	for _, dev := range d.devices {
		if dev.id != cmd.Device {
			continue
		}
		for _, p := range dev.points {
			switch {
			case p.name != cmd.Point:
			case p.command == "":
				return nil, nil, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, devices.ErrNotWritable)
			default:
				return dev, p, nil
			}
		}
		return nil, nil, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, devices.ErrUnknownPoint)
	}
	return nil, nil, fmt.Errorf("%s: %w", cmd.Device, devices.ErrUnknownDevice)
}

// makeSafe publishes what outputs are to be left at, within safeTime in all.
func (d *driver) makeSafe(s *session) {
	ctx, cancel := context.WithTimeout(context.Background(), safeTime)
	defer cancel()
	var all sync.WaitGroup
	for _, dev := range d.devices {
		for _, p := range dev.points {
			if p.safe == nil {
				continue
			}
			payload, err := p.encode(*p.safe)
			if err != nil { // tried when the driver was built
				continue
			}
			all.Go(func() {
				if _, err := s.publish(ctx, p.command, p.retain, payload); err != nil {
					d.log.Warn("mqtt output may not be safe", "device", dev.id, "point", p.name, "err", err)
				}
			})
		}
	}
	all.Wait()
}
