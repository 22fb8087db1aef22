package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tidings/devices"
	"tidings/gateway"
	"tidings/gateway/control"
)

// socketFlag adds --socket to a command that talks to a running gateway.
func socketFlag(c *cobra.Command) func() *control.Client {
	path := c.Flags().String("socket", "", "the gateway's control socket (default: $TIDINGS_SOCKET, else where a gateway of this user or of the system has it)")
	return func() *control.Client {
		return control.New(cmp.Or(*path, os.Getenv("TIDINGS_SOCKET"), defaultSocket()))
	}
}

// defaultSocket is where the configuration's default puts it, for this user first.
func defaultSocket() string {
	system := "/run/tidings/tidings.sock"
	for _, directory := range []string{os.Getenv("RUNTIME_DIRECTORY"), os.Getenv("XDG_RUNTIME_DIR")} {
		if path := filepath.Join(directory, "tidings.sock"); directory != "" {
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
	}
	return system
}

func devicesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "devices [DEVICE]",
		Short: "List the devices of the running gateway, or all of one",
		Args:  cobra.MaximumNArgs(1),
	}
	client := socketFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		list, err := client().Devices(c.Context())
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return printDevices(c.OutOrStdout(), list)
		}
		for _, d := range list {
			if string(d.ID) == args[0] {
				return printDevice(c.OutOrStdout(), d)
			}
		}
		return fmt.Errorf("%s: %w", args[0], devices.ErrUnknownDevice)
	}
	return c
}

func onOff(online bool) string {
	if online {
		return "online"
	}
	return "offline"
}

func printDevices(out io.Writer, list []gateway.DeviceStatus) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DEVICE\tNAME\tPLACE\tSTATE\tREADS\tADDRESS")
	for _, d := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", d.ID, d.Name, d.Location, onOff(d.Online), d.Status, d.JID)
	}
	return w.Flush()
}

func printDevice(out io.Writer, d gateway.DeviceStatus) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%s\n", d.Name, d.JID)
	fmt.Fprintf(w, "%s\t%s\n", onOff(d.Online), d.Status)
	fmt.Fprintf(w, "driver\t%s\n", d.Driver)
	for _, p := range d.Points {
		at := ""
		if !p.At.IsZero() {
			at = p.At.Local().Format("15:04:05")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Name, p.Value, at)
	}
	for _, words := range d.Commands {
		fmt.Fprintf(w, "command\ttidings send %s %s\n", d.ID, words)
	}
	for _, note := range d.Notes {
		fmt.Fprintf(w, "note\t%s\n", note)
	}
	return w.Flush()
}

func sendCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:     "send DEVICE WORDS…",
		Short:   "Have a device do something",
		Example: "  tidings send lamp on\n  tidings send greenhouse set target 21.5\n  tidings send greenhouse pump on --yes",
		Args:    cobra.MinimumNArgs(2),
	}
	client := socketFlag(c)
	c.Flags().BoolVar(&yes, "yes", false, "really, also what is marked as dangerous")
	c.RunE = func(c *cobra.Command, args []string) error {
		result, err := client().Send(c.Context(), gateway.SendRequest{Device: devices.ID(args[0]), Words: args[1:], Yes: yes})
		if err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), result.Text)
		return nil
	}
	return c
}

func statusCommand() *cobra.Command {
	c := &cobra.Command{Use: "status", Short: "Say how the running gateway is", Args: cobra.NoArgs}
	client := socketFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := client().Status(c.Context())
		if err != nil {
			return err
		}
		connected := "on XMPP"
		if !s.Connected {
			connected = "not connected to its XMPP server"
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "%s\t%s\ttidings %s\n", s.Name, connected, s.Version)
		for _, d := range s.Drivers {
			fmt.Fprintf(w, "%s\t%s\t%s\n", d.Name, d.Type, cmp.Or(d.Error, "working"))
		}
		return w.Flush()
	}
	return c
}

func reloadCommand() *cobra.Command {
	c := &cobra.Command{Use: "reload", Short: "Have the running gateway read its configuration again", Args: cobra.NoArgs}
	client := socketFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return client().Reload(c.Context()) }
	return c
}

func accountCommand() *cobra.Command {
	account := &cobra.Command{Use: "account", Short: "Look after the accounts of the server inside"}
	var role string
	add := &cobra.Command{
		Use:   "add NAME",
		Short: "Make an account; the password is asked for, or read from standard input",
		Args:  cobra.ExactArgs(1),
	}
	client := socketFlag(add)
	add.Flags().StringVar(&role, "role", "", "viewer (sees), operator (also switches) or admin (everything)")
	_ = add.MarkFlagRequired("role") // fails only for a flag that is not there
	add.RunE = func(c *cobra.Command, args []string) error {
		password, err := readPassword(c.InOrStdin(), c.ErrOrStderr())
		if err != nil {
			return err
		}
		if err := client().AddAccount(c.Context(), gateway.AccountRequest{Name: args[0], Role: role, Password: password}); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "account %s added (%s)\n", args[0], role)
		return nil
	}
	account.AddCommand(add)
	return account
}

// readPassword asks twice on a terminal and takes one line from anything else.
func readPassword(in io.Reader, prompt io.Writer) (string, error) {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		line, err := bufio.NewReader(in).ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return "", errors.Join(errNoTerminal, ignoreEOF(err))
		}
		return line, nil
	}
	ask := func(text string) (string, error) {
		fmt.Fprint(prompt, text)
		defer fmt.Fprintln(prompt)
		b, err := term.ReadPassword(int(file.Fd()))
		return string(b), err
	}
	first, err := ask("Password: ")
	if err != nil {
		return "", err
	}
	second, err := ask("Again: ")
	switch {
	case err != nil:
		return "", err
	case first != second:
		return "", errors.New("the two passwords differ")
	}
	return first, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
