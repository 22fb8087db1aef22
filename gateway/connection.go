package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tidings/devices"
	"tidings/gateway/config"
	"tidings/mapping"
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
	awaited   map[devices.ID]struct{} // discovered by the driver before this one, and not announced by this one yet
	refused   map[devices.ID]struct{} // announced, and not taken
	health    error
}

func connect(d config.Driver, r *router, log *slog.Logger) *connection {
	c := &connection{
		driver: d, inbox: r.inbox, log: log.With("driver", d.Name),
		announced: map[devices.ID]struct{}{}, awaited: map[devices.ID]struct{}{}, refused: map[devices.ID]struct{}{},
	}
	for _, known := range r.Devices() {
		if known.Driver == d.Name && mapping.Discovered(known.ID) {
			c.awaited[known.ID] = struct{}{}
		}
	}
	c.unit = start(c.run)
	return c
}

// A device that a driver had discovered before it was replaced is gone for good when it has not announced itself again after
// this long with the connection in order.
const (
	forgetAfter = 10 * time.Minute
	forgetCheck = time.Minute
)

// forget withdraws the devices that are awaited in vain.
func (c *connection) forget(ctx context.Context) {
	tick := time.NewTicker(forgetCheck)
	defer tick.Stop()
	for fine := time.Duration(0); fine < forgetAfter; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if fine += forgetCheck; c.status() != nil {
			fine = 0
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.awaited {
		if c.inbox.forget(id) {
			c.log.Info("device has not announced itself again: forgotten", "device", id)
		}
	}
	clear(c.awaited)
}

// run keeps the driver running until ctx is done.
func (c *connection) run(ctx context.Context) error {
	var forgetting sync.WaitGroup
	defer forgetting.Wait()
	if len(c.awaited) > 0 {
		forgetting.Go(func() { c.forget(ctx) })
	}
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
func (c *connection) stop(keep func(driver string, id devices.ID) bool, ending <-chan struct{}) error {
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
		if keep(c.driver.Name, id) {
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
	if err := c.inbox.announce(info); err != nil {
		c.refuse(info.ID, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.announced[info.ID] = struct{}{}
	delete(c.awaited, info.ID)
	delete(c.refused, info.ID)
}

// refuse notes that a device is not taken: what its driver says of it from now on is another's, or nobody's.
func (c *connection) refuse(id devices.ID, err error) {
	c.mu.Lock()
	_, again := c.refused[id]
	if len(c.refused) < maxDevices {
		c.refused[id] = struct{}{}
	}
	c.mu.Unlock()
	if !again {
		c.log.Warn("device refused", "device", id, "err", err)
	}
}

// theirs reports whether a device of the driver is not taken.
func (c *connection) theirs(id devices.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, refused := c.refused[id]
	return refused
}

// Withdraw implements devices.Sink.
func (c *connection) Withdraw(id devices.ID, why devices.Why) {
	c.mu.Lock()
	_, refused := c.refused[id]
	delete(c.announced, id)
	delete(c.refused, id)
	c.mu.Unlock()
	if !refused {
		c.inbox.withdraw(id, why)
	}
}

// Publish implements devices.Sink.
func (c *connection) Publish(readings ...devices.Reading) {
	c.mu.Lock()
	refuses := len(c.refused) > 0
	c.mu.Unlock()
	if refuses {
		readings = slices.DeleteFunc(slices.Clone(readings), func(r devices.Reading) bool { return c.theirs(r.Device) })
	}
	c.inbox.publish(readings)
}

// Link implements devices.Sink.
func (c *connection) Link(id devices.ID, up bool, cause error) {
	if !c.theirs(id) {
		c.inbox.link(id, up, cause)
	}
}

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
