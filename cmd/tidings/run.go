package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"tidings/gateway"
)

func runCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the gateway",
		Long: "Run the gateway until it is told to stop (Ctrl-C or SIGTERM). SIGHUP reloads the configuration: with a mistake in it\n" +
			"the old one stays in force, otherwise only what changed is restarted.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runGateway(c.Context(), file) },
	}
	c.Flags().StringVar(&file, "config", "/etc/tidings/gateway.toml", "the configuration")
	return c
}

func runGateway(ctx context.Context, file string) error {
	journal := newJournal(os.Stderr)
	slog.SetDefault(journal.log)
	g, err := gateway.New(ctx, gateway.Options{Config: file, Version: versionText(), Log: journal.log, Level: &journal.level, Tail: journal.tail})
	if err != nil {
		return err
	}
	// What helps the gateway ends after it, or with it.
	helping, end := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{}, 2)
	go func() { defer func() { done <- struct{}{} }(); reloadOnHangup(helping, g, journal.log) }()
	go func() { defer func() { done <- struct{}{} }(); notifySystemd(helping, ctx, g, journal.log) }()
	err = g.Run(ctx)
	end()
	<-done
	<-done
	return err
}

// reloadOnHangup answers SIGHUP.
func reloadOnHangup(ctx context.Context, g *gateway.Gateway, log *slog.Logger) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := g.Reload(ctx); err != nil { // logged where it happened, and shown by systemctl status
				notify(log, "STATUS=Not reloaded: the configuration has mistakes")
			} else {
				notify(log, "STATUS=Running")
			}
		}
	}
}

// notifySystemd tells systemd that the gateway is ready, that it is alive, for as long as it is, and that it stops. Without systemd it
// does nothing.
func notifySystemd(ctx, running context.Context, g *gateway.Gateway, log *slog.Logger) {
	select {
	case <-ctx.Done():
		return
	case <-g.Ready():
	}
	notify(log, daemon.SdNotifyReady+"\nSTATUS=Running\nMAINPID="+strconv.Itoa(os.Getpid()))
	var alive <-chan time.Time
	if every, err := daemon.SdWatchdogEnabled(false); err != nil {
		log.Warn("watchdog not understood", "err", err)
	} else if every > 0 {
		tick := time.NewTicker(every / 3)
		defer tick.Stop()
		alive = tick.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-running.Done():
			notify(log, daemon.SdNotifyStopping)
			<-ctx.Done()
			return
		case <-alive:
			if g.Alive() {
				notify(log, daemon.SdNotifyWatchdog)
			}
		}
	}
}

func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd not told", "err", err)
	}
}

func checkCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration without touching hardware or network",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				file = args[0]
			}
			if err := gateway.Check(file); err != nil {
				fmt.Fprintln(c.ErrOrStderr(), err)
				return errSaid
			}
			fmt.Fprintln(c.OutOrStdout(), file+": no mistakes")
			return nil
		},
	}
	c.Flags().StringVar(&file, "config", "/etc/tidings/gateway.toml", "the configuration")
	return c
}

var errNoTerminal = errors.New("no terminal to ask for a password: give it on standard input, one line")
