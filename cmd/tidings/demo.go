package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mdp/qrterminal/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tidings/gateway/store"
)

// A demo is what was asked for on the command line.
type demo struct {
	listen string // of the XMPP server
	mqtt   string // of the MQTT broker
	data   string // empty: a directory that is removed in the end
	last   time.Duration
	tour   bool

	out, stderr io.Writer
	heat        time.Duration // from one crossing of the greenhouse's threshold to the next
	patience    time.Duration // of the tour, with each thing it waits for
}

func demoCommand() *cobra.Command {
	d := &demo{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole simulated house to log in to, with nothing installed",
		Long: "Run the gateway with an XMPP server and an MQTT broker inside and a simulated\n" +
			"house around it: some thirty devices that announce themselves on MQTT, as of\n" +
			"Zigbee2MQTT, ESPHome, Tasmota, Shelly and Homie, and a dozen that are wired:\n" +
			"boards and meters on serial lines, a Modbus line, GPIO, I2C. Log in with any\n" +
			"XMPP client, or let --tour do it and print what a person would see. Nothing is\n" +
			"left behind.",
		Example: "  tidings demo\n  tidings demo --tour",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d.out, d.stderr = c.OutOrStdout(), c.ErrOrStderr()
			return d.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&d.listen, "listen", "", "where the XMPP server listens: `ADDR`, as 127.0.0.1:5222\n(the default, or a free port where that is taken)")
	f.StringVar(&d.mqtt, "mqtt", "", "where the MQTT broker listens: `ADDR` (default: a free\nport of 127.0.0.1)")
	f.StringVar(&d.data, "data", "", "keep what the gateway remembers in `DIR` (default: one\nthat is removed in the end)")
	f.DurationVar(&d.last, "for", 0, "end after this `TIME`, as 30s (default: on Ctrl-C)")
	f.BoolVar(&d.tour, "tour", false, "log in as a client, print what a person would see, and\nend; the exit status is 1 when something did not happen")
	return c
}

func (d *demo) run(ctx context.Context) (err error) {
	// A closed terminal is no reason to leave things behind, and neither is a reader that has seen enough.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	if d.last > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.last)
		defer cancel()
	}
	d.heat = cmp.Or(d.heat, time.Minute)
	if d.tour {
		d.heat = 12 * time.Second // a tour does not wait for minutes
	}
	d.patience = cmp.Or(d.patience, 30*time.Second)
	remove, err := d.directory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if err := d.addresses(); err != nil {
		return err
	}
	house, err := newHouse(ctx, d)
	if err != nil {
		return err
	}
	return house.run(ctx)
}

// directory makes the data directory; remove takes it away again if it was not asked for.
func (d *demo) directory() (remove func() error, err error) {
	if d.data == "" {
		if d.data, err = os.MkdirTemp("", "tidings-demo-"); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
		remove = func() error { return os.RemoveAll(d.data) }
		if err := d.roomForSocket(); err != nil {
			return nil, errors.Join(err, remove())
		}
		return remove, nil
	}
	if d.data, err = filepath.Abs(d.data); err != nil {
		return nil, fmt.Errorf("demo: --data: %w", err)
	}
	if err := d.roomForSocket(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(d.data, 0o700); err != nil {
		return nil, fmt.Errorf("demo: --data: %w", err)
	}
	if conn, err := net.Dial("unix", d.file("tidings.sock")); err == nil {
		conn.Close()
		return nil, fmt.Errorf("demo: --data %s: another demo runs there: end it, or name another directory", d.data)
	}
	return func() error { return nil }, nil
}

// roomForSocket checks that the address of a socket has room for the path: 107 bytes, by unix(7).
func (d *demo) roomForSocket() error {
	if len(d.file("tidings.sock")) > 107 {
		return fmt.Errorf("demo: %s: the path is too long for a socket in it: name a shorter one with --data", d.data)
	}
	return nil
}

func (d *demo) file(name string) string { return filepath.Join(d.data, name) }

// addresses settles where to listen. An address that was asked for and cannot be had is a mistake at once: the gateway
// itself would go on trying.
func (d *demo) addresses() error {
	const usual, free = "127.0.0.1:5222", "127.0.0.1:0"
	switch {
	case d.listen != "":
		if err := canListen(d.listen); err != nil {
			return fmt.Errorf("demo: --listen %s: %w", d.listen, err)
		}
	case d.tour || canListen(usual) != nil:
		d.listen = free
	default:
		d.listen = usual
	}
	if d.mqtt == "" {
		d.mqtt = free
		return nil
	}
	err := canListen(d.mqtt)
	if host, _, _ := net.SplitHostPort(d.mqtt); err == nil && host != "localhost" && !net.ParseIP(host).IsLoopback() {
		err = errors.New("the demo's broker lets everyone in, so it listens on this machine only: write it as in 127.0.0.1:1883")
	}
	if err != nil {
		return fmt.Errorf("demo: --mqtt %s: %w", d.mqtt, err)
	}
	return nil
}

func canListen(address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return errors.New("not an address: write it as in 127.0.0.1:5222, or :5222 for all of this machine's")
	}
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return errors.New("something listens there already: end it, or name another port (0 is any that is free)")
	case errors.Is(err, syscall.EACCES):
		return errors.New("permission denied: ports below 1024 are root's")
	case err != nil:
		return err
	}
	return l.Close()
}

const demoAccount = "demo"

// account makes the demo's account. In a directory that was kept it is there already, with its password beside it.
func (h *house) account(ctx context.Context) (password string, err error) {
	kept := h.demo.file("password")
	text, err := os.ReadFile(kept)
	switch {
	case err == nil:
		password = strings.TrimSpace(string(text))
	case errors.Is(err, fs.ErrNotExist): // written first: an account whose password nobody knows is of no use
		password = strings.ToLower(rand.Text()[:12])
		err = os.WriteFile(kept, []byte(password+"\n"), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	err = h.gateway.AddAccount(ctx, demoAccount, "admin", password)
	if errors.Is(err, store.ErrExists) {
		err = nil
	}
	return password, err
}

// welcome says how to log in: three lines that programs may read as well, then what people want to know.
func (h *house) welcome(on serving, password string) error {
	var text strings.Builder
	uri := "xmpp:" + demoAccount + "@localhost"
	fmt.Fprintf(&text, "JID: %s@localhost\npassword: %s\nserver: %s\n\n", demoAccount, password, on.addr)
	if file, ok := h.demo.out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		qrterminal.GenerateHalfBlock(uri, qrterminal.L, &text)
		fmt.Fprintf(&text, "%s\n\n", uri)
	}
	fmt.Fprintf(&text, "Log in with any XMPP client. The certificate was made on the spot; its SHA-256 fingerprint is\n%s\n\n", on.fingerprint)
	fmt.Fprintf(&text, "%d devices fill the contact list, by room. Most were found by themselves: write\n"+
		"\"color red\" to the Lamp, \"close\" to the Blind, or take it from their command\n"+
		"menus. The greenhouse gets too hot every minute and says so, with what to answer.\n\n", len(h.sim.Devices()))
	if addrs, err := h.gateway.BrokerAddrs(context.Background()); err == nil && len(addrs) > 0 {
		fmt.Fprintf(&text, "MQTT broker:  mqtt://%s\n", addrs[0])
	}
	fmt.Fprintf(&text, "Command line: tidings devices --socket %s\n\nCtrl-C ends it.\n", h.demo.file("tidings.sock"))
	_, err := io.WriteString(h.demo.out, text.String())
	return err
}
