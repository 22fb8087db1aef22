package mqtt

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// safeTime bounds what Run does when its context is done.
const safeTime = 500 * time.Millisecond

// driver is one connection to a broker and the devices behind it. What has no lock is owned by the goroutine in Run.
type driver struct {
	name    string
	config  config
	options Options
	log     *slog.Logger
	tables  []*table          // of the configuration
	matched map[string]*table // those with match, by it
	filters []string          // of all conventions

	out         devices.Sink
	conventions []*convention
	topics      map[string]*topic   // by name: those that devices want
	wild        map[string][]*topic // those with a +, by their last level
	wanted      map[string]bool     // of topics: to be subscribed to, once more where they are
	unwanted    map[string]bool     // no device's any more
	refused     map[string]bool     // by the broker
	strangers   map[string]bool     // topics nobody here wants, of which a message has come in this session
	uses        int                 // of topics, by all devices
	work        work                // of all templates
	held        int                 // bytes of the messages that topics hold
	alarms      alarms
	looks       looks
	began       time.Time       // of the session
	warned      map[string]bool // by text
	echoes      map[string]echo // by topic
	seed        maphash.Seed    // of echoes
	alike       []devices.Point // the points announced last: ten thousand devices that are alike share one list

	homeAssistant bool // it has said that it is there

	mu      sync.Mutex // for writing what follows, for reading it elsewhere, and likewise for every device's up and cause
	session *session   // nil while there is none
	reason  error      // why there is none
	devices map[devices.ID]*device
	events  map[string]int // the events on a topic
	passing map[string]int // likewise of topics with a +
}

// A message is one that came, and when.
type message struct {
	discovery.Message
	at time.Time
}

var (
	_ devices.Driver   = (*driver)(nil)
	_ devices.Actuator = (*driver)(nil)
)

var (
	errNotRunning = errors.New("the driver is not running")
	errConnecting = errors.New("not connected to the broker yet")
)

// reset forgets everything but the configuration.
func (d *driver) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session, d.reason = nil, errNotRunning
	d.topics, d.wanted, d.unwanted, d.refused = map[string]*topic{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	d.wild = map[string][]*topic{}
	d.devices, d.warned = make(map[devices.ID]*device, len(d.tables)), map[string]bool{}
	d.events, d.passing = map[string]int{}, map[string]int{}
	d.echoes, d.seed = map[string]echo{}, maphash.MakeSeed()
	d.conventions, d.alarms, d.held, d.uses = nil, nil, 0, 0
	for _, name := range d.config.discovery {
		d.conventions = append(d.conventions, newConvention(name, conventionNamed(name).make(d.config)))
	}
	for _, t := range d.tables {
		if !t.disabled {
			d.devices[t.id] = d.fromTable(t)
		}
	}
}

// newDevice makes a device, sharing its list of points with the one before where they are the same.
func (d *driver) newDevice(id devices.ID, match string, t *table, said *discovery.Device) *device {
	dev := newDevice(d.name, id, match, t, said, d.alike)
	d.alike = dev.info.Points
	return dev
}

// fromTable is the device as its table alone has it. That of a device by hand is made once.
func (d *driver) fromTable(t *table) *device {
	if t.device != nil {
		t.device.restart()
		return t.device
	}
	dev := d.newDevice(t.id, t.match, t, t.hand)
	if t.match == "" {
		t.device, t.hand = dev, nil
	} else {
		dev.absent, dev.uses = true, nil
	}
	return dev
}

// Run keeps a session with the broker until ctx is done.
func (d *driver) Run(ctx context.Context, out devices.Sink) error {
	d.reset()
	defer d.setSession(nil, errNotRunning)
	d.out = out
	d.setSession(nil, errConnecting)
	for _, t := range d.tables {
		if dev := d.devices[t.id]; dev != nil {
			d.put(dev)
		}
	}
	if d.config.exposed() {
		d.log.Warn("mqtt password goes over the network unencrypted: use mqtts:// if the broker has it", "broker", d.where())
	}
	retry := backoff{first: firstRetry, last: lastRetry}
	refused := backoff{first: firstRefused, last: lastRefused}
	for {
		began := time.Now()
		err := d.serve(ctx)
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
		d.down(d.explain(err))
		if !sleep(ctx, wait()) {
			return nil
		}
	}
}

// serve opens one session and handles its messages until it is lost, or ctx is done.
func (d *driver) serve(ctx context.Context) error {
	s, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer s.end()
	d.log.Info("mqtt connected", "broker", d.where())
	d.connected(s)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			d.setSession(nil, devices.ErrStopping)
			d.makeSafe(s)
			return nil
		case <-s.lost:
			return s.loss()
		case a := <-s.wire.answers:
			if a.err != nil {
				return a.err
			}
			d.answer(a)
			if a.last {
				d.tellHealth()
			}
		case <-s.in.more:
			messages, coalesced, dropped := s.in.take()
			if coalesced > 0 {
				d.log.Debug("mqtt messages came faster than they are taken: the latest count", "coalesced", coalesced)
			}
			if dropped > 0 {
				d.log.Warn("mqtt events came faster than they are taken: some are lost", "dropped", dropped)
			}
			for i := range messages {
				d.handle(messages[i])
				messages[i] = incoming{}
			}
		case <-timer.C:
		}
		timer.Reset(d.alarms.ring(time.Now()))
		d.ask()
	}
}

// connected begins with a new session: nothing has been heard on it yet.
func (d *driver) connected(s *session) {
	d.began = time.Now()
	d.setSession(s, nil)
	clear(d.refused)
	d.strangers = map[string]bool{}
	d.looks = looks{open: true}
	filters := slices.Clone(d.filters)
	if s.resumed {
		s.wire.unsubscribe(d.otherFilters())
	}
	if d.config.birth {
		filters = append(filters, d.config.statusTopic())
	}
	// With quality of service 0: of the others brokers keep a thousand or so for a client and drop the rest, and a filter may stand
	// for many thousand announcements.
	s.wire.subscribe(filters, 0)
	d.begin(s)
	for name, t := range d.topics {
		*t = topic{name: name, uses: t.uses}
		d.wanted[name] = true
	}
	d.held = 0
	for _, dev := range d.devices {
		dev.available.forget()
		for i := range dev.points {
			dev.points[i].watch().forget()
			dev.points[i].heard = false
		}
		for i := range dev.uses {
			dev.uses[i].waiting = false
		}
		d.judge(dev)
	}
	if len(d.topics) == 0 && len(filters) == 0 { // nothing to be asked
		d.tellHealth()
	}
	d.ask()
}

// tellHealth tells how the connection is once the broker has answered.
func (d *driver) tellHealth() {
	var health error
	if names := sorted(d.refused); len(names) > 0 {
		health = d.refusal(names[0])
	}
	d.out.Health(health)
}

// down says that every device is, and why.
func (d *driver) down(why error) {
	// Health tells people; this is for whoever wants to know what was underneath.
	d.log.Debug("mqtt broker away", "err", why, "raw", errors.Unwrap(why))
	d.setSession(nil, why)
	for _, dev := range d.devices {
		d.link(dev, why)
	}
	d.out.Health(why)
}

func (d *driver) setSession(s *session, reason error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session, d.reason = s, reason
}

// whole reports whether messages on a topic do not stand for each other: what happens, and announcements, of which several may
// come on one.
func (d *driver) whole(topic string) bool {
	for _, c := range d.conventions {
		if c.matches(topic) {
			return true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.events[topic] > 0 {
		return true
	}
	for name := range d.passing {
		if matches(name, topic) {
			return true
		}
	}
	return false
}

// countEvents notes that a topic has one event more, or one less.
func (d *driver) countEvents(topic string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	events := d.events
	if strings.Contains(topic, "+") {
		events = d.passing
	}
	if events[topic] += n; events[topic] <= 0 {
		delete(events, topic)
		delete(d.echoes, topic)
	}
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// Do publishes a command.
func (d *driver) Do(ctx context.Context, cmd devices.Command) (devices.Result, error) {
	if err := ctx.Err(); err != nil {
		return devices.Result{}, err
	}
	s, p, err := d.find(cmd)
	if err != nil {
		return devices.Result{}, err
	}
	messages, err := d.write(p, cmd.Value)
	if err != nil {
		return devices.Result{}, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, err)
	}
	if len(messages) == 0 { // any reading would confirm it
		return devices.Result{}, fmt.Errorf("%s: %s: %w: nothing is published for %q", cmd.Device, cmd.Point, devices.ErrValue, cmd.Value)
	}
	var result devices.Result
	for i, m := range messages {
		left, err := s.publish(ctx, m)
		asked, ok := errors.AsType[*devices.AskedError](err)
		switch {
		case ok:
			return devices.Result{}, &devices.AskedError{Err: fmt.Errorf("%s: %w", cmd.Device, asked.Err)}
		case err != nil && i > 0: // a part of it has left
			return devices.Result{}, &devices.AskedError{Err: fmt.Errorf("%s: %w", cmd.Device, err)}
		case err != nil:
			return devices.Result{}, fmt.Errorf("%s: %w", cmd.Device, err)
		case i == 0:
			result.Written = left
		}
	}
	return result, nil
}

// find is the session and the point for a command.
func (d *driver) find(cmd devices.Command) (*session, *point, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dev := d.devices[cmd.Device]
	if dev == nil {
		return nil, nil, fmt.Errorf("%s: %w", cmd.Device, devices.ErrUnknownDevice)
	}
	p := dev.find(cmd.Point)
	down := func(cause error) error { return fmt.Errorf("%s: %w: %w", cmd.Device, devices.ErrDown, cause) }
	switch {
	case p == nil && dev.absent:
		return nil, nil, down(dev.table.absent())
	case p == nil:
		return nil, nil, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, devices.ErrUnknownPoint)
	case p.write == nil:
		return nil, nil, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, devices.ErrNotWritable)
	case d.session == nil:
		return nil, nil, down(d.reason)
	case !dev.up:
		return nil, nil, down(dev.cause)
	case p.down != nil:
		return nil, nil, down(p.down)
	}
	return d.session, p, nil
}

// makeSafe publishes what outputs are to be left at, within safeTime in all.
func (d *driver) makeSafe(s *session) {
	ctx, cancel := context.WithTimeout(context.Background(), safeTime)
	defer cancel()
	var all sync.WaitGroup
	for _, t := range d.tables {
		dev := d.devices[t.id]
		if dev == nil || dev.absent {
			continue
		}
		for name, v := range t.safe {
			p := dev.find(name)
			if p == nil || p.write == nil {
				continue
			}
			all.Go(func() {
				messages, err := d.write(p, v)
				for i := 0; err == nil && i < len(messages); i++ {
					_, err = s.publish(ctx, messages[i])
				}
				if err != nil {
					d.log.Warn("mqtt output may not be safe", "device", dev.info.ID, "point", name, "err", err)
				}
			})
		}
	}
	all.Wait()
}
