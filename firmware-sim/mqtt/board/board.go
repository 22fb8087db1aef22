package board

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	sendTimeout = time.Second
	ackTimeout  = 5 * time.Second
	retryAfter  = 200 * time.Millisecond
	maxWaiting  = 256 // commands that wait for the board
)

// Options say where the broker is, and what time it is.
type Options struct {
	// Broker is where to connect: mqtt://host:port. Ignored with Dial.
	Broker string
	// Dial connects instead; for a broker in the same process.
	Dial               func(ctx context.Context) (net.Conn, error)
	Username, Password string

	Every time.Duration    // between two steps of the firmware; default 1 s
	Late  time.Duration    // how long the fault Slow has commands wait; default 2 s
	Now   func() time.Time // default time.Now
	Log   *slog.Logger     // nil: none
}

// A Board runs one firmware. Its methods are safe for concurrent use; Run is called once at a time.
type Board struct {
	options  Options
	firmware Firmware
	came     chan came     // bounded; what does not fit is forgotten
	news     chan struct{} // holds a token while there is something to look at

	mu     sync.Mutex
	faults map[Fault]bool
	asked  []func(time.Time) []Message // for the next turn of the loop
}

type came struct{ topic, payload string }

// New makes a board.
func New(o Options, f Firmware) *Board {
	o.Every = cmp.Or(o.Every, time.Second)
	o.Late = cmp.Or(o.Late, 2*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Board{options: o, firmware: f, came: make(chan came, maxWaiting), news: make(chan struct{}, 1), faults: map[Fault]bool{}}
}

// Do has the firmware be changed between two of its steps, and what comes of it published. It does not wait; what is asked for
// while there is no connection is done at the next one, before the firmware starts.
func (b *Board) Do(change func(now time.Time) []Message) {
	b.mu.Lock()
	b.asked = append(b.asked, change)
	b.mu.Unlock()
	b.kick()
}

// changes does what was asked for.
func (b *Board) changes() (out []Message) {
	b.mu.Lock()
	asked := b.asked
	b.asked = nil
	b.mu.Unlock()
	for _, change := range asked {
		out = append(out, change(b.options.Now())...)
	}
	return out
}

// Run keeps the board connected until ctx is done; it then leaves in order. A broker that is not there is tried again.
func (b *Board) Run(ctx context.Context) error {
	if err := b.place().Check(); err != nil {
		return err
	}
	for {
		if b.has(Offline) {
			select {
			case <-ctx.Done():
				return nil
			case <-b.news:
			}
			continue
		}
		if err := b.serve(ctx); err != nil && ctx.Err() == nil {
			b.options.Log.Debug("not connected", "board", b.firmware.ID(), "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryAfter):
		}
	}
}

var errOffline = errors.New("offline")

// serve is one connection.
func (b *Board) serve(ctx context.Context) error {
	for len(b.came) > 0 {
		<-b.came // what came on an earlier connection
	}
	c, err := b.open(ctx)
	if err != nil {
		return err
	}
	c.send(b.changes())
	c.send(b.firmware.Start(b.options.Now()))
	step := time.NewTicker(b.options.Every)
	defer step.Stop()
	flood := time.NewTicker(floodEvery)
	defer flood.Stop()
	flood.Stop()
	flooding := false
	var late []delayed
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	for {
		if on := b.has(Flood); on != flooding {
			if flooding = on; on {
				flood.Reset(floodEvery)
			} else {
				flood.Stop()
			}
		}
		if len(late) > 0 {
			due.Reset(time.Until(late[0].at))
		}
		select {
		case <-ctx.Done():
			c.send(b.firmware.Stop())
			c.Client.Disconnect(250)
			return nil
		case <-c.Lost():
			return c.Err()
		case <-b.news:
			if b.has(Offline) {
				c.Break()
				return errOffline
			}
			c.send(b.changes())
		case m := <-b.came:
			switch {
			case b.has(Stuck):
			case b.has(Slow) && len(late) < maxWaiting:
				late = append(late, delayed{time.Now().Add(b.options.Late), m})
			default:
				c.send(b.firmware.Take(b.options.Now(), m.topic, m.payload))
			}
		case <-due.C:
			for len(late) > 0 && !late[0].at.After(time.Now()) {
				c.send(b.firmware.Take(b.options.Now(), late[0].topic, late[0].payload))
				late = late[1:]
			}
		case <-step.C:
			c.send(b.firmware.Step(b.options.Now()))
		case <-flood.C:
			c.again(floodBurst)
		}
	}
}

// delayed is a command that is obeyed later.
type delayed struct {
	at time.Time
	came
}
