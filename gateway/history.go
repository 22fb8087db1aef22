package gateway

import (
	"context"
	"path/filepath"
	"time"

	"tidings/devices"
	"tidings/gateway/config"
	"tidings/gateway/store"
	"tidings/mapping"
	"tidings/xmppbridge"
)

// A historyOn is the history while there is one.
type historyOn struct {
	*store.History
	unit *unit
}

// beginHistory opens the history of a configuration that has one, unless it is open.
func (g *Gateway) beginHistory(cfg *config.Config) error {
	if cfg.History == nil || g.history.Load() != nil {
		return nil
	}
	h, err := store.OpenHistory(filepath.Join(cfg.Gateway.DataDir, "history.db"), store.HistoryOptions(*cfg.History), g.log)
	if err != nil {
		return err
	}
	g.history.Store(&historyOn{h, start(func(ctx context.Context) error {
		err := guard(func() error { return h.Run(ctx) })
		if err != nil { // the house goes on without
			logPanic(g.log, err)
			g.log.Error("history failed: readings are not kept any more", "err", err)
		}
		return err
	})})
	return nil
}

// configureHistory has the history do what another configuration says, or ends it.
func (g *Gateway) configureHistory(cfg *config.Config) error {
	if cfg.History == nil {
		return g.endHistory()
	}
	g.history.Load().Configure(store.HistoryOptions(*cfg.History))
	return nil
}

// endHistory writes what there is and closes the history.
func (g *Gateway) endHistory() error {
	if on := g.history.Swap(nil); on != nil {
		return on.unit.stop()
	}
	return nil
}

// bridgeHistory is the history as the bridge of a configuration asks it; nil where it has none.
func (g *Gateway) bridgeHistory(cfg *config.Config) xmppbridge.History {
	if on := g.history.Load(); on != nil && cfg.History != nil {
		return on.History
	}
	return nil
}

// record has the history keep readings that the registry has.
func (g *Gateway) record(h *historyOn, readings []devices.Reading) {
	for i := range readings {
		r := &readings[i]
		d := g.router.model(r.Device)
		if d == nil {
			continue
		}
		if p := d.Point(r.Point); p == nil || !p.History {
			continue
		}
		if s, ok := g.registry.Point(r.Device, r.Point); ok && !s.At.IsZero() {
			h.Note(r.Device, r.Point, known(s), s.At)
		}
	}
}

// recordDevice has the history keep what is known of a whole device now: it is there again, or the history is new.
func (g *Gateway) recordDevice(h *historyOn, id devices.ID, now time.Time) {
	d, state, ok := g.router.Device(id)
	if !ok {
		return
	}
	for i := range d.Points {
		p := &d.Points[i]
		if s, ok := state.Point(p.Name); ok && p.History && !s.At.IsZero() {
			h.Note(id, p.Name, known(s), now)
		}
	}
}

// known is the value of a state as it is kept, a colour or a time as its text; zero where it is not known.
func known(s devices.PointState) devices.Value {
	if s.Quality != devices.Good {
		return devices.Value{}
	}
	switch s.Value.Kind() {
	case devices.ColorKind, devices.TimeKind:
		return devices.Text(s.Value.String())
	}
	return s.Value
}

// recordAll is recordDevice for every device that is online. It is called between two steps of the router.
func (g *Gateway) recordAll() {
	h := g.history.Load()
	if h == nil {
		return
	}
	now := time.Now()
	for id, shown := range g.router.shown {
		if shown.Online {
			g.recordDevice(h, id, now)
		}
	}
}

// recorded are the points of a device whose readings are kept.
func recorded(d *mapping.Device) (names []string) {
	for i := range d.Points {
		if d.Points[i].History {
			names = append(names, d.Points[i].Name)
		}
	}
	return names
}
