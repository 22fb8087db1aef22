package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // a static binary on a small board finds no time zones otherwise

	"github.com/spf13/cobra"
)

// version is set when a release is built: -ldflags "-X main.version=…".
var version = ""

func main() { os.Exit(run()) }

// run is main with an exit code, so that what is deferred happens.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once: someone is tired of waiting.
	context.AfterFunc(ctx, stop)
	return exitCode(rootCommand().ExecuteContext(ctx), os.Stderr)
}

// A codeError ends the process with a code of its own. Its text is printed as it is, without the program's name before
// it: it is a list, or has been said already and is nil.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return "failed"
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

// exitConfig is EX_CONFIG of sysexits.h: the configuration has mistakes, and trying again does not help.
const exitConfig = 78

// exitCode says what went wrong, where that has not been said, and returns what the process ends with.
func exitCode(err error, stderr io.Writer) int {
	var own *codeError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &own):
		fmt.Fprintln(stderr, "tidings:", err)
		return 1
	case own.err != nil:
		fmt.Fprintln(stderr, own)
	}
	return own.code
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tidings",
		Short: "An edge gateway that puts devices on XMPP",
		Long: "tidings bridges devices on serial lines, GPIO pins and MQTT to XMPP: each has an\n" +
			"address, presence says whether it is there and what it reads, alerts come as\n" +
			"messages, and any client can run its commands.",
		Example:           "  tidings demo                  a simulated house to log in to\n  tidings run --config FILE     the gateway",
		Version:           versionText(),
		Args:              cobra.NoArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("tidings {{.Version}}\n")
	root.AddGroup(&cobra.Group{ID: "gateway", Title: "The gateway:"}, &cobra.Group{ID: "running", Title: "With a gateway that runs:"})
	for _, c := range []*cobra.Command{demoCommand(), runCommand(), checkCommand(), brokerCommand()} {
		c.GroupID = "gateway"
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{statusCommand(), devicesCommand(), sendCommand(), alertsCommand(), ackCommand(), silenceCommand(),
		accountCommand(), inviteCommand(), reloadCommand()} {
		c.GroupID = "running"
		root.AddCommand(c)
	}
	return root
}

// group makes a command that only holds others: what it does not know is a mistake.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(commands...)
	return c
}

// versionText is the release's, or what Go knows of the checkout it was built from.
func versionText() string {
	if version != "" {
		return version
	}
	text := "development"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				text += " " + s.Value[:12]
			}
		}
	}
	return text
}
