package gateway

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge"
)

const (
	// maxPosted bounds the alerts that wait for the disk. There is one a device and alert, so this many wait only
	// where a disk has stopped answering in a very large house.
	maxPosted = 10000
	// storeLimit is how long a disk may take before an alert goes out without it.
	storeLimit = 10 * time.Second
)

// A postbox takes alerts from the router, which never waits for a disk, and puts them into the outbox together with the
// state of the rules, so that a crash neither loses an alert nor repeats one. Where the disk does not take them they are
// sent all the same.
type postbox struct {
	store  alertStore
	bridge func() *xmppbridge.Bridge
	log    *slog.Logger
	ready  chan struct{}

	mu      sync.Mutex
	waiting []xmppbridge.Outgoing
	state   *remembered // the latest, not yet stored
	lost    int
}

type alertStore interface {
	AddAlerts(ctx context.Context, messages []xmppbridge.Outgoing, key string, v any) error
}

// stateKey is where the state of the rules is kept.
const stateKey = "rules"

func newPostbox(store alertStore, bridge func() *xmppbridge.Bridge, log *slog.Logger) *postbox {
	return &postbox{store: store, bridge: bridge, log: log, ready: make(chan struct{}, 1)}
}

// put takes one alert, for each of its recipients.
func (p *postbox) put(a mapping.Alert, state remembered) {
	id := rand.Text()
	p.mu.Lock()
	for _, to := range a.To {
		if len(p.waiting) >= maxPosted {
			p.lost++
			continue
		}
		p.waiting = append(p.waiting, xmppbridge.Outgoing{ID: id, To: to, Device: a.Device, Body: a.Text, At: a.At,
			Alert: a.Name, Occasion: a.Occasion, Began: a.Began, Offer: a.Offer, Chart: a.Chart})
	}
	p.state = &state
	p.mu.Unlock()
	p.wake()
}

// remember takes the state of the rules alone. It goes the same way as the alerts, or one could be stored before an alert that it
// says was sent.
func (p *postbox) remember(state remembered) {
	p.mu.Lock()
	p.state = &state
	p.mu.Unlock()
	p.wake()
}

func (p *postbox) wake() {
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

// run stores what comes until ctx is done, and then what has come. What it is storing when ctx is done it stores: only
// storeLimit bounds that.
func (p *postbox) run(ctx context.Context) error {
	storing := context.WithoutCancel(ctx)
	for {
		select {
		case <-ctx.Done():
			p.flush(storing)
			return nil
		case <-p.ready:
			p.flush(storing)
		}
	}
}

func (p *postbox) flush(ctx context.Context) {
	p.mu.Lock()
	messages, state, lost := p.waiting, p.state, p.lost
	p.waiting, p.state, p.lost = nil, nil, 0
	p.mu.Unlock()
	if lost > 0 {
		p.log.Error("alerts dropped: too many waited for the disk", "count", lost)
	}
	if state == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	switch err := p.store.AddAlerts(ctx, messages, stateKey, *state); {
	case err == nil && len(messages) > 0:
		if b := p.bridge(); b != nil {
			b.Alert()
		}
	case err == nil:
	case len(messages) == 0:
		p.log.Error("state of the rules not stored", "err", err)
	default:
		p.log.Error("alerts not stored, sending them without", "err", err)
		p.sendNow(ctx, messages)
	}
}

func (p *postbox) sendNow(ctx context.Context, messages []xmppbridge.Outgoing) {
	b := p.bridge()
	if b == nil {
		p.log.Error("alerts not sent: there is neither a disk nor a connection", "count", len(messages))
		return
	}
	if err := b.SendNow(ctx, messages); err != nil {
		p.log.Error("alerts not sent", "err", err)
	}
}
