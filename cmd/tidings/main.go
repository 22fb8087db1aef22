// Command tidings runs the gateway and talks to one that runs.
//
//	tidings run --config gateway.toml    the gateway
//	tidings check gateway.toml           every mistake of a configuration, touching nothing
//	tidings demo                         a whole simulated house to log in to, nothing to install
//	tidings devices | send | account     the running gateway, through its control socket
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set when a release is built: -ldflags "-X main.version=…".
var version = ""

func main() { os.Exit(run()) }

// run is main with an exit code, so that tests can call it.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once: someone is tired of waiting.
	context.AfterFunc(ctx, stop)
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errSaid) {
			fmt.Fprintln(os.Stderr, "tidings: "+err.Error())
		}
		return 1
	}
	return 0
}

// errSaid ends a command whose output has said already what went wrong.
var errSaid = errors.New("said")

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:               "tidings",
		Short:             "An edge gateway that puts devices on XMPP",
		Long:              "tidings bridges devices on serial lines, GPIO pins and MQTT to XMPP: each has an address, presence says\nwhether it is there and what it reads, alerts come as messages, and any client can run its commands.",
		Version:           versionText(),
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetVersionTemplate("tidings {{.Version}}\n")
	root.AddCommand(runCommand(), checkCommand(), demoCommand(), devicesCommand(), sendCommand(), accountCommand(), statusCommand(), reloadCommand())
	return root
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
