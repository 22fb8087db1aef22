package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/mdp/qrterminal/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tidings/drivers"
	gpiodriver "tidings/drivers/gpio"
	gpiosim "tidings/firmware-sim/gpio"
	mqttsim "tidings/firmware-sim/mqtt"
	serialsim "tidings/firmware-sim/serial"
	"tidings/gateway"
	"tidings/gateway/store"
)

//go:embed demo.toml
var demoTemplate string

// A demo is a simulated house with a gateway in it, in this one process.
type demo struct {
	listen string // of the XMPP server
	mqtt   string // of the MQTT broker
	data   string // empty: a directory that is removed in the end
	last   time.Duration
	tour   bool

	out      io.Writer
	password string
	heat     time.Duration // from one crossing of the threshold to the next
}

func demoCommand() *cobra.Command {
	d := &demo{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole simulated house to log in to, with nothing installed",
		Long: "Run the gateway with an XMPP server and an MQTT broker inside and simulated firmware around it: a greenhouse node on a\n" +
			"serial line, a door contact and a heater's relay on a GPIO chip, a lamp and a metering plug on MQTT. Log in with any\n" +
			"XMPP client, or let --tour do it and print what a person would see.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d.out = c.OutOrStdout()
			return d.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&d.listen, "listen", "", "where the XMPP server listens (default 127.0.0.1:5222, or a free port where that is taken)")
	f.StringVar(&d.mqtt, "mqtt", "127.0.0.1:0", "where the MQTT broker listens")
	f.StringVar(&d.data, "data", "", "keep what the gateway remembers in this directory (default: one that is removed in the end)")
	f.DurationVar(&d.last, "for", 0, "end after this long (default: on Ctrl-C)")
	f.BoolVar(&d.tour, "tour", false, "log in as a client, print what a person would see, and end; fails when something does not happen")
	return c
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.last > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.last)
		defer cancel()
	}
	d.heat = time.Minute
	if d.tour {
		d.heat = 12 * time.Second // a tour does not wait for a minute
	}
	remove, err := d.directory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	house, err := newHouse(d)
	if err != nil {
		return err
	}
	return house.run(ctx)
}

// directory makes the data directory; remove takes it away again if it was not asked for.
func (d *demo) directory() (remove func() error, err error) {
	if d.data != "" {
		if d.data, err = filepath.Abs(d.data); err != nil {
			return nil, err
		}
		return func() error { return nil }, os.MkdirAll(d.data, 0o700)
	}
	if d.data, err = os.MkdirTemp("", "tidings-demo-"); err != nil {
		return nil, err
	}
	return func() error { return os.RemoveAll(d.data) }, nil
}

// A house is the gateway and what is simulated around it.
type house struct {
	demo    *demo
	log     *slog.Logger
	gateway *gateway.Gateway
	node    *serialsim.Node
	chip    *gpiosim.Chip
	serving chan serving // one value: the server inside listens
}

type serving struct {
	addr        net.Addr
	fingerprint string
}

func newHouse(d *demo) (*house, error) {
	h := &house{demo: d, chip: gpiosim.NewChip("demo", "GPIO17", "GPIO27"), serving: make(chan serving, 1)}
	journal := newJournal(os.Stderr)
	journal.level.Set(slog.LevelWarn)
	h.log = journal.log
	var err error
	h.node, err = serialsim.New(serialsim.Options{Kind: serialsim.Greenhouse, Link: filepath.Join(d.data, "greenhouse"), Period: d.heat})
	if err != nil {
		return nil, err
	}
	file, err := d.writeConfig()
	if err != nil {
		return nil, err
	}
	h.gateway, err = gateway.New(context.Background(), gateway.Options{
		Config: file, Version: versionText(), Log: h.log, Tail: journal.tail,
		Backends: drivers.Backends{GPIO: h.openChip},
		Listening: func(addrs []net.Addr, fingerprint string) {
			h.serving <- serving{addrs[0], fingerprint}
		},
	})
	return h, err
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

// writeConfig writes the demo's gateway.toml.
func (d *demo) writeConfig() (file string, err error) {
	listen := d.listen
	switch {
	case listen == "" && d.tour:
		listen = "127.0.0.1:0"
	case listen == "":
		listen = freeOr("127.0.0.1:5222", "127.0.0.1:0")
	}
	interval := "10s"
	if d.tour {
		interval = "1s"
	}
	t, err := template.New("demo").Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(demoTemplate)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = t.Execute(&text, map[string]string{"Data": d.data, "Listen": listen, "MQTT": d.mqtt, "Interval": interval,
		"Serial": filepath.Join(d.data, "greenhouse"), "Socket": filepath.Join(d.data, "tidings.sock")})
	if err != nil {
		return "", err
	}
	file = filepath.Join(d.data, "gateway.toml")
	return file, os.WriteFile(file, []byte(text.String()), 0o600)
}

// freeOr is want, or otherwise where want is taken.
func freeOr(want, otherwise string) string {
	l, err := net.Listen("tcp", want)
	if err != nil {
		return otherwise
	}
	l.Close()
	return want
}

// run runs the gateway and the simulated devices until ctx is done.
func (h *house) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	toured := false
	// The devices outlive the gateway: its last word to them is to be safe.
	devices, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	part := func(run func(context.Context) error, ctx context.Context) {
		wg.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				mu.Lock()
				failed = append(failed, err)
				mu.Unlock()
				cancel(err)
			}
		})
	}
	gatewayDone := make(chan error, 1)
	go func() { gatewayDone <- h.gateway.Run(ctx) }()
	part(h.node.Run, devices)
	part(func(ctx context.Context) error {
		return h.chip.Contact("GPIO17").Run(ctx, 3*h.demo.heat/4, h.demo.heat/4)
	}, devices)
	part(h.runOnMQTT, devices)
	part(func(ctx context.Context) error {
		err := h.greet(ctx)
		if toured = err == nil && h.demo.tour; toured {
			cancel(nil)
		}
		return err
	}, ctx)

	var gatewayErr error
	select {
	case gatewayErr = <-gatewayDone:
		cancel(gatewayErr)
	case <-ctx.Done():
		gatewayErr = <-gatewayDone
	}
	end()
	wg.Wait()
	if h.demo.tour && !toured && len(failed) == 0 {
		failed = append(failed, errors.New("tour: it was ended before it had seen everything"))
	}
	return errors.Join(append(failed, gatewayErr)...)
}

// runOnMQTT runs the lamp and the plug, once the broker inside listens.
func (h *house) runOnMQTT(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-h.gateway.Ready():
	}
	addrs, err := h.gateway.BrokerAddrs(ctx)
	if err != nil || len(addrs) == 0 {
		return err
	}
	broker := "mqtt://" + addrs[0].String()
	lamp := mqttsim.NewLamp(mqttsim.Options{Broker: broker, Topic: "lamp", Interval: 5 * time.Second})
	plug := mqttsim.NewPlug(mqttsim.Options{Broker: broker, Topic: "plug", Interval: 5 * time.Second})
	done := make(chan error, 2)
	go func() { done <- lamp.Run(ctx) }()
	go func() { done <- plug.Run(ctx) }()
	return errors.Join(<-done, <-done)
}

const demoAccount = "demo"

// greet makes the account and says how to log in, or takes the tour.
func (h *house) greet(ctx context.Context) error {
	var on serving
	select {
	case <-ctx.Done():
		return nil
	case on = <-h.serving:
	}
	select {
	case <-ctx.Done():
		return nil
	case <-h.gateway.Ready():
	}
	if err := h.account(ctx); err != nil {
		return err
	}
	if h.demo.tour {
		if err := takeTour(ctx, h.demo.out, on.addr.String(), h.demo.password, filepath.Join(h.demo.data, "xmpp.pem")); err != nil {
			return fmt.Errorf("tour: %w", err)
		}
		return nil
	}
	h.welcome(on)
	return nil
}

// account makes the demo's account, with a new password. In a directory that was kept it is there already, with its password beside it.
func (h *house) account(ctx context.Context) error {
	kept := filepath.Join(h.demo.data, "password")
	h.demo.password = strings.ToLower(rand.Text()[:12])
	err := h.gateway.AddAccount(ctx, demoAccount, "admin", h.demo.password)
	if errors.Is(err, store.ErrExists) {
		text, readErr := os.ReadFile(kept)
		h.demo.password = strings.TrimSpace(string(text))
		return readErr
	}
	if err != nil {
		return err
	}
	return os.WriteFile(kept, []byte(h.demo.password+"\n"), 0o600)
}

func (h *house) welcome(on serving) {
	out := h.demo.out
	uri := "xmpp:" + demoAccount + "@localhost"
	fmt.Fprintf(out, "JID: %s@localhost\npassword: %s\nserver: %s\n\n", demoAccount, h.demo.password, on.addr)
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		qrterminal.GenerateHalfBlock(uri, qrterminal.L, out)
		fmt.Fprintln(out, uri)
	}
	fmt.Fprintf(out, "Log in with any XMPP client. Its certificate was made on the spot; SHA-256 fingerprint:\n%s\n\n", on.fingerprint)
	fmt.Fprintf(out, "The greenhouse crosses its threshold every minute and says so. Try \"pump on\" in its chat, or its command menu.\n")
	if addrs, err := h.gateway.BrokerAddrs(context.Background()); err == nil && len(addrs) > 0 {
		fmt.Fprintf(out, "MQTT broker: mqtt://%s\n", addrs[0])
	}
	fmt.Fprintf(out, "Control: tidings devices --socket %s\n\nCtrl-C ends it.\n", filepath.Join(h.demo.data, "tidings.sock"))
}
