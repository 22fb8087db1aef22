package xmppbridge

import (
	"context"
	"slices"
	"sync"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/chart"
	"tidings/xmppbridge/stream"
)

const (
	// maxAlertCharts is how many pictures of alerts wait to be made; further ones are left out.
	maxAlertCharts = 64
	// maxCharted is how many messages are remembered to have their picture: an alert that goes out a second time has it already.
	maxCharted = 256
	// maxMade is how many pictures are remembered for others who get the same alert.
	maxMade = 8
	// alertChartTimeout bounds the wait for one, from its turn to its upload.
	alertChartTimeout = 2 * time.Minute
)

// alertCharts draws the pictures that go with alerts, behind them: an alert is on its way, and in the outbox, before its picture
// is thought of, and a picture that cannot be made is left out. One goroutine makes them.
type alertCharts struct {
	b    *Bridge
	kick chan struct{}

	mu      sync.Mutex
	waiting []alertChart
	charted []string // messages, the oldest first

	made []madeChart // of the goroutine: the last few, for recipients who come a moment later
}

// A madeChart is what was made of an alert: a picture, or words in its place.
type madeChart struct {
	of             alertChart
	shown          devices.ID // the device, which need not be the one the alert is about
	address, words string
}

// An alertChart is one picture for one recipient.
type alertChart struct {
	Outgoing
	from string // whom the alert came from
}

// sameAs reports whether one picture serves both.
func (c *alertChart) sameAs(o alertChart) bool {
	return c.Alert == o.Alert && c.Device == o.Device && c.Chart == o.Chart && c.Occasion == o.Occasion && c.At.Equal(o.At)
}

func newAlertCharts(b *Bridge) *alertCharts { return &alertCharts{b: b, kick: make(chan struct{}, 1)} }

// add takes the picture of an alert that went out. It does not wait.
func (a *alertCharts) add(m Outgoing, from string) {
	if m.Chart <= 0 || m.Occasion != mapping.Begun && m.Occasion != mapping.Escalated || a.b.o.History == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	key := m.ID + " " + m.To
	if slices.Contains(a.charted, key) {
		return
	}
	if len(a.waiting) >= maxAlertCharts {
		a.b.log.Warn("picture of an alert left out: too many wait", "device", m.Device, "jid", m.To)
		return
	}
	if len(a.charted) >= maxCharted {
		a.charted = a.charted[1:]
	}
	a.charted, a.waiting = append(a.charted, key), append(a.waiting, alertChart{m, from})
	poke(a.kick)
}

// next takes the first that waits, with those that the same picture serves.
func (a *alertCharts) next() []alertChart {
	a.mu.Lock()
	defer a.mu.Unlock()
	var group []alertChart
	a.waiting = slices.DeleteFunc(a.waiting, func(c alertChart) bool {
		same := len(group) == 0 || group[0].sameAs(c)
		if same {
			group = append(group, c)
		}
		return same
	})
	return group
}

func (a *alertCharts) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.kick:
		}
		for group := a.next(); len(group) > 0 && ctx.Err() == nil; group = a.next() {
			if err := guarded(func() error { return a.make(ctx, group) }); err != nil {
				a.b.log.Warn("picture of an alert left out", "device", group[0].Device, "err", err)
			}
		}
	}
}

// make draws one picture, or has it, and sends it to everybody it is for; without one they are told in words.
func (a *alertCharts) make(ctx context.Context, group []alertChart) error {
	i := slices.IndexFunc(a.made, func(m madeChart) bool { return m.of.sameAs(group[0]) })
	if i < 0 {
		made, err := a.draw(ctx, group[0])
		if err != nil {
			return err
		}
		if len(a.made) >= maxMade {
			a.made = a.made[1:]
		}
		a.made = append(a.made, made)
		i = len(a.made) - 1
	}
	made := a.made[i]
	for _, c := range group {
		if !a.b.access().CanSee(c.To, made.shown) {
			continue
		}
		to, typ := wayTo(c.To)
		switch id := c.ID + "-chart"; {
		case made.address != "":
			a.b.send(pictureMessage(c.from, to, typ, id, made.address))
		case made.words != "":
			a.b.send(stream.New(stream.NS, "message", "type", typ, "id", id, "from", c.from, "to", to).Add(
				stream.New(stream.NS, "body").AddText(made.words), stream.New(nsStanzaID, "origin-id", "id", id), stream.New(nsHints, "store")))
		}
	}
	return nil
}

func (a *alertCharts) draw(ctx context.Context, c alertChart) (madeChart, error) {
	made := madeChart{of: c}
	g, ok := a.graph(&c)
	if !ok {
		return made, nil
	}
	made.shown = g.device.ID
	ctx, cancel := context.WithTimeout(ctx, alertChartTimeout)
	defer cancel()
	address, spans, err := a.b.picture(ctx, g, a.b.pictures.wait)
	if err != nil && spans == nil {
		return made, err
	}
	if made.address = address; err != nil {
		made.address, made.words = "", g.title()+": "+summaryText(g.point, spans)
	}
	return made, nil
}

// graph is what to draw of an alert: what its condition compares, with the lines it compares it with; of one about being online the
// first thing there is to draw, in which the gap is seen.
func (a *alertCharts) graph(c *alertChart) (*graph, bool) {
	var plot mapping.Plot
	if a.b.o.Plot != nil {
		plot, _ = a.b.o.Plot(c.Alert)
	}
	id := c.Device
	if plot.Device != "" {
		id = plot.Device
	}
	d, _, ok := a.b.o.House.Device(id)
	if !ok {
		return nil, false
	}
	g := &graph{device: d, point: d.Point(plot.Point), to: time.Now()}
	if g.point == nil || !chartable(g.point) {
		points := chartPoints(d)
		if len(points) == 0 {
			return nil, false
		}
		g.point, plot.Thresholds = points[0], nil
	}
	if late := c.At.Add(delayedAfter); g.to.After(late) {
		g.to = late // it waited: what is of interest was then
	}
	g.from = g.to.Add(-c.Chart)
	if g.point.Kind == devices.KindNumber {
		for _, t := range plot.Thresholds {
			side := "below "
			if t.Above {
				side = "above "
			}
			g.lines = append(g.lines, chart.Line{Value: t.Value, Label: c.Alert + ": " + side + g.point.Format(devices.Number(t.Value))})
		}
	}
	return g, true
}
