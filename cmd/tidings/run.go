package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"tidings/devices/schema"
	"tidings/gateway"
)

func runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run [FILE]",
		Short: "Run the gateway",
		Long: "Run the gateway until it is told to stop (Ctrl-C or SIGTERM). SIGHUP reloads the\n" +
			"configuration: with a mistake in it the old one stays in force, otherwise only\n" +
			"what changed is restarted. The log goes to standard error.\n\n" +
			"The exit status is 78 when the configuration has mistakes, which are printed,\n" +
			"and 1 when something else fails.",
		Example: "  tidings run gateway.toml",
	}
	config := configFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		file, err := config(args)
		if err == nil {
			err = runGateway(c.Context(), file)
		}
		if mistakes := (*schema.Error)(nil); errors.As(err, &mistakes) {
			return &codeError{exitConfig, mistakes}
		}
		return err
	}
	return c
}

// gcPercent is how much the heap may grow between two collections, where GOGC does not say: half of what Go has it. A gateway has
// little to do, and its board little memory.
const gcPercent = 50

func runGateway(ctx context.Context, file string) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	// Asked for before anything else: until then a SIGHUP would end the process.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	journal := newJournal(os.Stderr)
	slog.SetDefault(journal.log)
	g, err := gateway.New(ctx, gateway.Options{Config: file, Version: versionText(), Log: journal.log, Level: &journal.level, Tail: journal.tail})
	if err != nil {
		return err
	}
	// What helps the gateway ends after it.
	helping, end := context.WithCancel(context.WithoutCancel(ctx))
	supervisor := newSupervisor(journal.log)
	var helpers sync.WaitGroup
	helpers.Go(func() { reloadOnHangup(helping, hangup, g, supervisor) })
	helpers.Go(func() { giveBack(helping, g.Ready(), journal.log) })
	helpers.Go(func() { supervisor.follow(helping, ctx.Done(), g.Ready(), g.Alive) })
	err = g.Run(ctx)
	end()
	helpers.Wait()
	return err
}

// reloadOnHangup reloads on SIGHUP, one at a time: a signal that comes meanwhile is answered afterwards.
func reloadOnHangup(ctx context.Context, hangup <-chan os.Signal, g *gateway.Gateway, s *supervisor) {
	select {
	case <-ctx.Done():
		return
	case <-g.Ready():
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			s.reloading()
			s.reloaded(g.Reload(ctx)) // an error is logged where it happened
		}
	}
}
