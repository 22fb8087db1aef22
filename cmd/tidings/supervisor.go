package main

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// A supervisor is systemd, where the gateway runs as a unit of Type=notify (sd_notify(3)); elsewhere nobody, and nothing
// happens.
type supervisor struct {
	log  *slog.Logger
	tell func(state string) error
	feed time.Duration // between two signs of life; 0: nobody waits for any
}

func newSupervisor(log *slog.Logger) *supervisor {
	s := &supervisor{log: log, tell: func(state string) error {
		_, err := daemon.SdNotify(false, state)
		return err
	}}
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog not understood", "err", err)
	}
	s.feed = limit / 3 // one that comes late, or is lost, does no harm
	return s
}

func (s *supervisor) say(state string) {
	if err := s.tell(state); err != nil {
		s.log.Warn("systemd not told", "err", err)
	}
}

func (s *supervisor) reloading() { s.say(daemon.SdNotifyReloading) }

func (s *supervisor) reloaded(err error) {
	status := "Running"
	if err != nil {
		status = "Running with the old configuration: the new one has mistakes, see the log"
	}
	s.say(daemon.SdNotifyReady + "\nSTATUS=" + status)
}

// follow tells how the gateway is until ctx is done: that it is ready, that it is alive, for as long as it is, and from
// stopping on that it stops.
func (s *supervisor) follow(ctx context.Context, stopping, ready <-chan struct{}, alive func() bool) {
	select {
	case <-ctx.Done():
		return
	case <-ready:
	}
	s.say(daemon.SdNotifyReady + "\nSTATUS=Running\nMAINPID=" + strconv.Itoa(os.Getpid()))
	var tick <-chan time.Time
	if s.feed > 0 {
		ticker := time.NewTicker(s.feed)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			select {
			case <-stopping: // it stopped so quickly that the two came together
				s.say(daemon.SdNotifyStopping)
			default:
			}
			return
		case <-stopping:
			s.say(daemon.SdNotifyStopping)
			stopping = nil
		case <-tick: // while it stops too: that may take longer than the watchdog waits
			if alive() {
				s.say(daemon.SdNotifyWatchdog)
			}
		}
	}
}
