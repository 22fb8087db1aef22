package mqtt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"tidings/firmware-sim/mqtt/wire"
)

const (
	defaultInterval = 10 * time.Second
	defaultReboot   = time.Second
	sendTimeout     = time.Second
	retryAfter      = 200 * time.Millisecond
)

// A Fault is something that goes wrong.
type Fault string

// The faults there are.
const (
	Garbage Fault = "garbage" // says what nobody understands
	Silence Fault = "silence" // connected, and says nothing; it still obeys
	Reboot  Fault = "reboot"  // once: gone without a word, so that the last will is published, and back after Options.Reboot
	Stuck   Fault = "stuck"   // takes commands, does nothing about them and confirms none
)

// Faults are all faults there are.
func Faults() []Fault { return []Fault{Garbage, Silence, Reboot, Stuck} }

// Options say what a device is and where its broker is.
type Options struct {
	// Broker is where to connect: mqtt://host:port. Ignored with Dial.
	Broker string
	// Dial connects instead; for a broker in the same process.
	Dial               func(ctx context.Context) (net.Conn, error)
	Username, Password string

	Topic    string        // the device's name in its topics, and its client id; "lamp" or "plug" when empty
	Interval time.Duration // between telemetry; 10 s when 0
	Reboot   time.Duration // how long a reboot takes; 1 s when 0
	Log      *slog.Logger  // nil: none
}

// A Device is one simulated device. Its methods are safe for concurrent use; Run is called once at a time.
type Device struct {
	options Options
	meters  bool
	sees    bool // a camera: its power is whether somebody is there
	log     *slog.Logger
	asked   chan string // payloads of commands; bounded, and what does not fit is forgotten

	mu      sync.Mutex
	power   bool
	faults  map[Fault]bool
	total   float64       // kWh
	since   time.Time     // what total is counted up to
	changed chan struct{} // closed and replaced when power changes
	reboot  chan struct{} // holds a token while a reboot is asked for
	pressed chan struct{} // holds a token while a state is to be told
}

// NewLamp makes a lamp, off.
func NewLamp(o Options) *Device {
	o.Topic = cmp.Or(o.Topic, "lamp")
	return newDevice(o)
}

// NewPlug makes a plug that meters what it switches, off.
func NewPlug(o Options) *Device {
	o.Topic = cmp.Or(o.Topic, "plug")
	d := newDevice(o)
	d.meters = true
	return d
}

func newDevice(o Options) *Device {
	o.Interval = cmp.Or(o.Interval, defaultInterval)
	o.Reboot = cmp.Or(o.Reboot, defaultReboot)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Device{
		options: o, log: o.Log, faults: map[Fault]bool{}, asked: make(chan string, 16), since: time.Now(),
		changed: make(chan struct{}), reboot: make(chan struct{}, 1), pressed: make(chan struct{}, 1),
	}
}

// Power reports whether the relay is on.
func (d *Device) Power() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.power
}

// WaitPower waits until the relay is as asked, or for ctx's end.
func (d *Device) WaitPower(ctx context.Context, on bool) error {
	for {
		d.mu.Lock()
		power, changed := d.power, d.changed
		d.mu.Unlock()
		if power == on {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Press switches the relay as the button on the device does; the device tells.
func (d *Device) Press(on bool) {
	d.set(on)
	select {
	case d.pressed <- struct{}{}:
	default:
	}
}

// SetFault switches a fault on or off; a reboot is over by itself. The error is an unknown fault.
func (d *Device) SetFault(f Fault, on bool) error {
	if !slices.Contains(Faults(), f) {
		return fmt.Errorf("fault: %q is none of %v", f, Faults())
	}
	if f == Reboot {
		if on {
			select {
			case d.reboot <- struct{}{}:
			default:
			}
		}
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[f] = on
	return nil
}

func (d *Device) has(f Fault) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faults[f]
}

func (d *Device) set(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.meter(time.Now())
	if d.power != on {
		d.power = on
		close(d.changed)
		d.changed = make(chan struct{})
	}
}

// meter counts the energy up to now; it needs the lock. The load wavers around 40 W with a period of a minute.
func (d *Device) meter(now time.Time) (watts float64) {
	if d.power {
		watts = 40 + 10*math.Sin(2*math.Pi*float64(now.UnixMilli()%60_000)/60_000)
		d.total += watts * now.Sub(d.since).Hours() / 1000
	}
	d.since = now
	return watts
}

// Run keeps the device connected until ctx is done; it then says Offline and leaves. A broker that is not there is
// tried again.
func (d *Device) Run(ctx context.Context) error {
	if err := d.place().Check(); err != nil {
		return err
	}
	for {
		wait := retryAfter
		switch err := d.serve(ctx); {
		case errors.Is(err, errReboot):
			wait = d.options.Reboot
		case err != nil && ctx.Err() == nil:
			d.log.Debug("not connected", "device", d.options.Topic, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

var errReboot = errors.New("reboot")

// serve is one connection.
func (d *Device) serve(ctx context.Context) error {
	c, err := d.open(ctx)
	if err != nil {
		return err
	}
	telemetry := time.NewTicker(d.options.Interval)
	defer telemetry.Stop()
	c.send("tele", "LWT", "Online", true)
	c.tellAll()
	for {
		select {
		case <-ctx.Done():
			c.send("tele", "LWT", "Offline", true)
			c.Client.Disconnect(250)
			return nil
		case <-c.Lost():
			return c.Err()
		case <-d.reboot:
			c.Break()
			return errReboot
		case <-d.pressed:
			c.tellPower()
			if d.sees {
				c.tellPicture()
			}
		case payload := <-d.asked:
			d.command(c, payload)
		case <-telemetry.C:
			if d.sees {
				c.tellPicture()
			} else {
				c.tellTelemetry()
			}
		}
	}
}

// command does what a payload on cmnd/…/POWER asks.
func (d *Device) command(c *link, payload string) {
	if d.has(Stuck) {
		return
	}
	if d.sees {
		c.tellPicture()
		return
	}
	switch strings.ToUpper(payload) {
	case "ON", "1", "TRUE":
		d.set(true)
	case "OFF", "0", "FALSE":
		d.set(false)
	case "TOGGLE", "2":
		d.set(!d.Power())
	}
	c.tellPower()
}

// link is one connection to the broker.
type link struct {
	*wire.Link
	device *Device
}

func (d *Device) place() wire.Place {
	return wire.Place{Broker: d.options.Broker, Dial: d.options.Dial}
}

func (d *Device) open(ctx context.Context) (*link, error) {
	what := "/POWER"
	if d.sees {
		what = "/SNAPSHOT"
	}
	l, err := wire.Open(ctx, wire.Options{
		Place: d.place(), ID: "firmware-" + d.options.Topic, Username: d.options.Username, Password: d.options.Password,
		KeepAlive: 10 * time.Second, WriteTimeout: time.Second,
		Will:    wire.Will{Topic: "tele/" + d.options.Topic + "/LWT", Payload: "Offline", QoS: 1, Retained: true},
		Filters: map[string]byte{"cmnd/" + d.options.Topic + what: 1},
		Heard: func(_, payload string) {
			select {
			case d.asked <- payload:
			default:
			}
		},
	})
	return &link{l, d}, err
}

// tellAll says everything there is.
func (c *link) tellAll() {
	c.tellPower()
	if c.device.sees {
		c.tellPicture()
		return
	}
	c.tellTelemetry()
}

// tellPower says how the relay is.
func (c *link) tellPower() {
	if c.device.sees {
		c.send("stat", "MOTION", onOff(c.device.Power()), true)
		return
	}
	power := onOff(c.device.Power())
	c.send("stat", "RESULT", fmt.Sprintf(`{"POWER":%q}`, power), false)
	c.send("stat", "POWER", power, true)
}

// tellTelemetry says what is said again and again.
func (c *link) tellTelemetry() {
	d := c.device
	d.mu.Lock()
	power, watts := d.power, d.meter(time.Now())
	total := d.total
	d.mu.Unlock()
	now := time.Now().Format("2006-01-02T15:04:05")
	c.send("tele", "STATE", fmt.Sprintf(`{"Time":%q,"POWER":%q}`, now, onOff(power)), false)
	if d.meters {
		c.send("tele", "SENSOR", fmt.Sprintf(`{"Time":%q,"ENERGY":{"Total":%.3f,"Power":%.1f}}`, now, total, watts), false)
	}
}

// send publishes with QoS 1, as the fault has it. What the connection does not take in time is lost.
func (c *link) send(prefix, what, payload string, retained bool) {
	if what != "LWT" {
		switch {
		case c.device.has(Silence):
			return
		case c.device.has(Garbage):
			payload = "\xff\x00" + payload[:len(payload)/2] + "{"
		}
	}
	topic := prefix + "/" + c.device.options.Topic + "/" + what
	token := c.Client.Publish(topic, 1, retained, payload)
	select {
	case <-token.Done():
	case <-c.Lost():
	case <-time.After(sendTimeout):
	}
}

func onOff(on bool) string {
	if on {
		return "ON"
	}
	return "OFF"
}
