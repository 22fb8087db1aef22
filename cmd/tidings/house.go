package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"

	"tidings/drivers"
	gpiodriver "tidings/drivers/gpio"
	gpiosim "tidings/firmware-sim/gpio"
	mqttsim "tidings/firmware-sim/mqtt"
	serialsim "tidings/firmware-sim/serial"
	"tidings/gateway"
)

//go:embed demo.toml
var demoTemplate string

// The lines of the simulated chip and what is wired to them, as demo.toml has it.
const (
	chipLabel = "demo"
	doorLine  = "GPIO17"
	relayLine = "GPIO27"
)

// A house is the gateway of a demo and what is simulated around it.
type house struct {
	demo    *demo
	gateway *gateway.Gateway
	serving chan serving // one value: the server inside listens

	greenhouse *serialsim.Node
	chip       *gpiosim.Chip
	lamp, plug *mqttsim.Device
}

type serving struct {
	addr        net.Addr
	fingerprint string
}

// newHouse makes everything and starts nothing.
func newHouse(ctx context.Context, d *demo) (*house, error) {
	h := &house{demo: d, serving: make(chan serving, 1), chip: gpiosim.NewChip(chipLabel, doorLine, relayLine)}
	journal := newJournal(d.stderr)
	journal.level.Set(slog.LevelWarn) // what a person came to see is on standard output
	var err error
	// Not plugged in before run, which takes the port away again.
	h.greenhouse, err = serialsim.New(serialsim.Options{Kind: serialsim.Greenhouse, Link: d.file("greenhouse"), Period: d.heat, Unplugged: true})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	onMQTT := mqttsim.Options{Dial: h.dialBroker, Interval: 5 * time.Second}
	h.lamp, h.plug = mqttsim.NewLamp(onMQTT), mqttsim.NewPlug(onMQTT)
	file, err := d.writeConfig()
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	// Being ended meanwhile is noticed in run, which takes everything down in order.
	h.gateway, err = gateway.New(context.WithoutCancel(ctx), gateway.Options{
		Config: file, Version: versionText(), Log: journal.log, Tail: journal.tail,
		Backends: drivers.Backends{GPIO: h.openChip},
		Listening: func(addrs []net.Addr, fingerprint string) {
			select {
			case h.serving <- serving{addrs[0], fingerprint}:
			default: // after a reload: who logs in has been told
			}
		},
	})
	return h, err
}

// writeConfig writes the demo's configuration. Its name is not gateway.toml: --data may be a directory that has one.
func (d *demo) writeConfig() (file string, err error) {
	interval := "10s"
	if d.tour {
		interval = "1s"
	}
	t, err := template.New("demo").Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(demoTemplate)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	host, _, err := net.SplitHostPort(d.listen) // whoever can log in can see pictures
	if err != nil {
		return "", err
	}
	err = t.Execute(&text, map[string]string{"Data": d.data, "Listen": d.listen, "Pictures": net.JoinHostPort(host, "0"), "MQTT": d.mqtt, "Interval": interval,
		"Serial": d.file("greenhouse"), "Socket": d.file("tidings.sock")})
	if err != nil {
		return "", err
	}
	file = d.file("demo.toml")
	return file, os.WriteFile(file, []byte(text.String()), 0o600)
}

// openChip is the simulated chip as the driver wants one.
func (h *house) openChip(name string) (gpiodriver.Chip, error) {
	if name != h.chip.Label() {
		return nil, fmt.Errorf("chip %s: %w", name, fs.ErrNotExist)
	}
	handle, err := h.chip.Open()
	if err != nil {
		return nil, err
	}
	return handle, nil
}

// dialBroker connects a simulated device to the broker inside, once that listens.
func (h *house) dialBroker(ctx context.Context) (net.Conn, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-h.gateway.Ready():
	}
	addrs, err := h.gateway.BrokerAddrs(ctx)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, errors.New("broker: it listens nowhere")
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addrs[0].String())
}

// run runs the gateway and the simulated devices until ctx is done or the tour is over. The first thing that fails ends
// everything.
func (h *house) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The devices outlive the gateway: its last word to them is to be safe.
	simulating, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()

	// Before the gateway looks for it: a driver that comes first reports a port that is missing and waits.
	plugged := h.greenhouse.SetFault(serialsim.Unplug, false)
	if plugged != nil {
		plugged = fmt.Errorf("greenhouse: %w", plugged)
		cancel(plugged)
	}

	var devices, parts sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	run := func(group *sync.WaitGroup, ctx context.Context, part func(context.Context) error) {
		group.Go(func() {
			if err := part(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
				cancel(err)
			}
		})
	}
	run(&devices, simulating, h.greenhouse.Run) // takes the port away in the end
	run(&devices, simulating, h.runDoor)
	run(&devices, simulating, h.lamp.Run)
	run(&devices, simulating, h.plug.Run)
	run(&parts, ctx, h.gateway.Run)
	run(&parts, ctx, func(ctx context.Context) error {
		err := h.greet(ctx)
		if h.demo.tour {
			cancel(err)
		}
		return err
	})
	parts.Wait()
	end()
	devices.Wait()
	return errors.Join(append(failed, plugged)...)
}

// runDoor opens the front door now and then.
func (h *house) runDoor(ctx context.Context) error {
	return h.chip.Contact(doorLine).Run(ctx, 3*h.demo.heat/4, h.demo.heat/4)
}

// greet makes the account and says how to log in, or takes the tour.
func (h *house) greet(ctx context.Context) error {
	err := h.receive(ctx)
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return err
	case h.demo.tour && (errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded)):
		return errors.New("tour: it was ended before it had seen everything")
	}
	return nil // it was ended, or something else has failed
}

func (h *house) receive(ctx context.Context) error {
	on, err := h.listening(ctx)
	if err != nil {
		return err
	}
	password, err := h.account(ctx)
	if err != nil {
		return err
	}
	if !h.demo.tour {
		return h.welcome(on, password)
	}
	t := &tour{out: h.demo.out, patience: h.demo.patience, server: on.addr.String(), password: password, certificate: h.demo.file("xmpp.pem")}
	if err := t.take(ctx); err != nil {
		return fmt.Errorf("tour: %w", err)
	}
	return nil
}

// listening waits until clients can log in.
func (h *house) listening(ctx context.Context) (on serving, err error) {
	select {
	case <-ctx.Done():
		return on, ctx.Err()
	case on = <-h.serving:
	}
	select {
	case <-ctx.Done():
		return on, ctx.Err()
	case <-h.gateway.Ready():
		return on, nil
	}
}
