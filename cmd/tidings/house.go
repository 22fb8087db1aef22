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
	"tidings/drivers/chips"
	gpiodriver "tidings/drivers/gpio"
	sim "tidings/firmware-sim/house"
	"tidings/firmware-sim/mqtt/board"
	"tidings/gateway"
)

//go:embed demo.toml
var demoTemplate string

// demoDay is how long a day lasts in the demo, so that something goes on.
const demoDay = time.Hour

// demoOffline has an empty battery.
const demoOffline = "Stairs motion"

// A house is the gateway of a demo and what is simulated around it.
type house struct {
	demo    *demo
	gateway *gateway.Gateway
	serving chan serving // one value: the server inside listens

	sim *sim.House
}

type serving struct {
	addr        net.Addr
	fingerprint string
}

// newHouse makes everything and starts nothing.
func newHouse(ctx context.Context, d *demo) (*house, error) {
	h := &house{demo: d, serving: make(chan serving, 1)}
	journal := newJournal(d.stderr)
	journal.level.Set(slog.LevelWarn) // what a person came to see is on standard output
	var err error
	// Its ports are not there before run, which takes them away again.
	every := 5 * time.Second
	if d.tour {
		every = time.Second
	}
	h.sim, err = sim.New(sim.Options{Dial: h.dialBroker, Dir: d.data, Day: demoDay, Every: every, Heat: d.heat, Settle: time.Second})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if err := h.sim.SetFault(demoOffline, board.Offline, true); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	file, err := d.writeConfig()
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	// Being ended meanwhile is noticed in run, which takes everything down in order.
	h.gateway, err = gateway.New(context.WithoutCancel(ctx), gateway.Options{
		Config: file, Version: versionText(), Log: journal.log, Tail: journal.tail,
		Backends: drivers.Backends{GPIO: h.openChip, I2C: h.openBus},
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
	t, err := template.New("demo").Funcs(template.FuncMap{
		"quote": strconv.Quote, "port": func(name string) string { return strconv.Quote(d.file(name)) },
	}).Parse(demoTemplate)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	host, _, err := net.SplitHostPort(d.listen) // whoever can log in can see pictures
	if err != nil {
		return "", err
	}
	err = t.Execute(&text, map[string]string{"Data": d.data, "Listen": d.listen, "Pictures": net.JoinHostPort(host, "0"), "MQTT": d.mqtt, "Interval": interval,
		"Socket": d.file("tidings.sock")})
	if err != nil {
		return "", err
	}
	file = d.file("demo.toml")
	return file, os.WriteFile(file, []byte(text.String()), 0o600)
}

// openChip is the simulated chip as the driver wants one.
func (h *house) openChip(name string) (gpiodriver.Chip, error) {
	if name != sim.ChipLabel {
		return nil, fmt.Errorf("chip %s: %w", name, fs.ErrNotExist)
	}
	handle, err := h.sim.Chip.Open()
	if err != nil {
		return nil, err
	}
	return handle, nil
}

// openBus is the simulated bus as the driver wants one.
func (h *house) openBus(name string) (chips.I2CBus, error) {
	if name != "house" {
		return nil, fmt.Errorf("bus %s: %w", name, fs.ErrNotExist)
	}
	handle, err := h.sim.Bus.Open()
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

	// Before the gateway looks for them: a driver that comes first reports a port that is missing and waits.
	plugged := h.sim.Plug()
	if plugged != nil {
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
	run(&devices, simulating, h.sim.Run) // takes the ports away in the end
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
	var residents []string
	for _, d := range h.sim.Devices() {
		residents = append(residents, d.Name)
	}
	t := &tour{residents: residents, out: h.demo.out, patience: h.demo.patience, server: on.addr.String(), password: password, certificate: h.demo.file("xmpp.pem")}
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
