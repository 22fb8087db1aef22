package xmppbridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/chart"
)

// The bounds of what a chart shows.
const (
	shortestChart = time.Minute
	longestChart  = 400 * 24 * time.Hour
	usualChart    = 24 * time.Hour
)

// errNoHistory says why there is nothing to draw.
var errNoHistory = errors.New("the gateway keeps no readings: a section [history] in its configuration has it do so")

// A graph is what somebody wants drawn.
type graph struct {
	device   *mapping.Device
	point    *mapping.Point
	from, to time.Time
	dark     bool
	lines    []chart.Line
}

// name is the graph in a few words: "Greenhouse: temperature".
func (g *graph) name() string {
	if strings.EqualFold(g.device.Name, g.point.Label) {
		return g.device.Name
	}
	return g.device.Name + ": " + strings.ToLower(g.point.Label)
}

// title also says how long: "Greenhouse: temperature, 24 h".
func (g *graph) title() string { return g.name() + ", " + mapping.Duration(g.to.Sub(g.from)) }

// chartable reports whether there is something to draw of a point.
func chartable(p *mapping.Point) bool {
	return p.Readable && (p.Kind == devices.KindNumber || p.Kind == devices.KindSwitch)
}

// chartPoints are the points of a device that can be drawn: the primary ones first, numbers before switches.
func chartPoints(d *mapping.Device) []*mapping.Point {
	var out []*mapping.Point
	add := func(p *mapping.Point, kind devices.PointKind) {
		for _, have := range out {
			if have == p {
				return
			}
		}
		if chartable(p) && p.Kind == kind {
			out = append(out, p)
		}
	}
	for _, kind := range []devices.PointKind{devices.KindNumber, devices.KindSwitch} {
		for _, i := range d.Primary {
			add(&d.Points[i], kind)
		}
	}
	for _, kind := range []devices.PointKind{devices.KindNumber, devices.KindSwitch} {
		for i := range d.Points {
			add(&d.Points[i], kind)
		}
	}
	return out
}

// spans asks the history for what a graph shows, and fails where there is nothing.
func (b *Bridge) spans(ctx context.Context, g *graph) ([]Span, error) {
	if b.o.History == nil {
		return nil, errNoHistory
	}
	spans, err := b.o.History.Spans(ctx, g.device.ID, g.point.Name, g.from, g.to, chart.Columns)
	if err != nil {
		return nil, err
	}
	if _, known := summarise(spans); !known {
		return nil, fmt.Errorf("there is no reading of %s in the last %s", g.name(), mapping.Duration(g.to.Sub(g.from)))
	}
	return spans, nil
}

// draw makes the picture of a graph.
func (b *Bridge) draw(g *graph, spans []Span) ([]byte, error) {
	c := chart.Chart{Title: g.name(), Note: essence(g.point, spans), Unit: g.point.Unit, From: g.from, To: g.to, Zone: b.zone(),
		Spans: make([]chart.Span, len(spans)), Lines: g.lines, Dark: g.dark}
	for i, s := range spans {
		c.Spans[i] = chart.Span{Count: s.Count, Min: s.Min, Mean: s.Mean, Max: s.Max, Last: s.Last}
	}
	if g.point.Kind == devices.KindSwitch {
		c.On, c.Off = g.point.Format(devices.Bool(true)), g.point.Format(devices.Bool(false))
	}
	return c.PNG()
}

// picture draws a graph and uploads it, when its turn has come. With spans but an error there is no picture, and the
// readings can be told in words.
func (b *Bridge) picture(ctx context.Context, g *graph, turn func(context.Context) (func(), error)) (address string, spans []Span, err error) {
	done, err := turn(ctx)
	if err != nil {
		return "", nil, err
	}
	defer done()
	if spans, err = b.spans(ctx, g); err != nil {
		return "", nil, err
	}
	if b.o.Uploader == nil {
		return "", spans, ErrNoUpload
	}
	png, err := b.draw(g, spans)
	if err != nil {
		return "", spans, err
	}
	name := fmt.Sprintf("%s-%s-%s.png", b.addresses().Slug(g.device.ID), g.point.Name, g.to.In(b.zone()).Format("20060102-1504"))
	address, err = b.share(ctx, name, "image/png", png)
	return address, spans, err
}

// pictureFor is picture for somebody who asked, and who may have lost sight of the device meanwhile.
func (b *Bridge) pictureFor(ctx context.Context, a asker, g *graph) (address string, spans []Span, err error) {
	if b.sees(a, g.device.ID) {
		address, spans, err = b.picture(ctx, g, b.pictures.take)
	}
	if !b.sees(a, g.device.ID) {
		return "", nil, devices.ErrUnknownDevice
	}
	return address, spans, err
}

// essence is what is said of a graph within it: "min 12.7 °C · mean 21.4 °C · max 29.3 °C", "on 40 % (9 h 36 min)".
func essence(p *mapping.Point, spans []Span) string {
	rows := summaryRows(p, spans)
	if len(rows) == 0 {
		return ""
	}
	rows = rows[:len(rows)-1] // the last value stands at the end of the line
	if p.Kind == devices.KindSwitch {
		rows = rows[:1]
	}
	var parts []string
	for _, row := range rows {
		parts = append(parts, strings.ToLower(row[0])+" "+row[1])
	}
	return strings.Join(parts, " · ")
}

// lines are a table of two columns as a message.
func (t table) lines() string {
	out := []string{t.title}
	for _, row := range t.rows {
		out = append(out, row[0]+": "+row[1])
	}
	return strings.Join(out, "\n")
}
