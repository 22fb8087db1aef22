package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tidings/devices"
	"tidings/gateway/config"
)

// The waits before a driver that failed is started again.
const (
	firstRestart   = time.Second
	longestRestart = 2 * time.Minute
	healthyAfter   = time.Minute
)

// A connection is one driver running: it starts it again when it fails, and is the sink of what it says.
type connection struct {
	driver config.Driver
	inbox  *inbox
	log    *slog.Logger
	unit   *unit

	mu        sync.Mutex
	announced map[devices.ID]struct{}
	health    error
}

func connect(d config.Driver, in *inbox, log *slog.Logger) *connection {
	c := &connection{driver: d, inbox: in, log: log.With("driver", d.Name), announced: map[devices.ID]struct{}{}}
	c.unit = start(c.run)
	return c
}

// run keeps the driver running until ctx is done.
func (c *connection) run(ctx context.Context) error {
	wait := firstRestart
	for {
		began := time.Now()
		err := guard(func() error { return c.driver.Driver.Run(ctx, c) })
		if ctx.Err() != nil {
			return err
		}
		if err == nil {
			err = errors.New("ended without being asked to")
		}
		logPanic(c.log, err)
		c.Health(err)
		c.down(err)
		if p := (*devices.PermanentError)(nil); errors.As(err, &p) {
			c.log.Error("driver stopped for good", "err", err)
			<-ctx.Done()
			return nil
		}
		if time.Since(began) > healthyAfter {
			wait = firstRestart
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, longestRestart)
	}
}

// stopLimit is how long a driver may take to bring its outputs into their safe state when the gateway ends: drivers bound
// that themselves, and one that hangs must not keep the others' part of the end from being done.
const stopLimit = 10 * time.Second

// stop ends the driver and waits for it: as long as it takes, for what it holds is not free before, but once the gateway is
// ending at most stopLimit. Devices that keep lists stay, as ones that cannot be reached for now; the others are gone.
func (c *connection) stop(keep func(devices.ID) bool, ending <-chan struct{}) error {
	c.unit.cancel()
	var err error
	select {
	case <-c.unit.done:
		err = c.unit.err
	case <-ending:
		select {
		case <-c.unit.done:
			err = c.unit.err
		case <-time.After(stopLimit):
			err = fmt.Errorf("it hangs: its outputs may not be in their safe state: given up after %s", stopLimit)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.announced {
		why := devices.Gone
		if keep(id) {
			why = devices.Restarting
		}
		c.inbox.withdraw(id, why)
	}
	return err
}

// down marks every device of the driver as not to be reached.
func (c *connection) down(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.announced {
		c.inbox.link(id, false, cause)
	}
}

// status is what the driver last said of itself.
func (c *connection) status() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health
}

// Announce implements devices.Sink.
func (c *connection) Announce(info devices.Info) {
	info.Driver = c.driver.Name
	if !c.inbox.announce(info) {
		c.log.Warn("device refused: there are too many", "device", info.ID)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.announced[info.ID] = struct{}{}
}

// Withdraw implements devices.Sink.
func (c *connection) Withdraw(id devices.ID, why devices.Why) {
	c.mu.Lock()
	delete(c.announced, id)
	c.mu.Unlock()
	c.inbox.withdraw(id, why)
}

// Publish implements devices.Sink.
func (c *connection) Publish(readings ...devices.Reading) { c.inbox.publish(readings) }

// Link implements devices.Sink.
func (c *connection) Link(id devices.ID, up bool, cause error) { c.inbox.link(id, up, cause) }

// Health implements devices.Sink.
func (c *connection) Health(err error) {
	c.mu.Lock()
	before := c.health
	c.health = err
	c.mu.Unlock()
	switch {
	case err == nil && before != nil:
		c.log.Info("driver works again")
	case err != nil && (before == nil || before.Error() != err.Error()):
		c.log.Warn("driver in trouble", "err", err)
	}
}
