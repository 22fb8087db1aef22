package xmppbridge

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

const (
	historyNode = "history"
	// historyTime is how a table writes when a reading was: they are compared, and may be of long ago.
	historyTime = "2006-01-02 15:04:05"
	// mostRead bounds what is read at once to find the last readings of a time.
	mostRead = 500
)

// historyTimes are what the form offers; any other time may be given.
var historyTimes = []struct{ value, label string }{{"1h", "1 hour"}, {"6h", "6 hours"}, {"24h", "24 hours"}, {"7d", "7 days"}, {"30d", "30 days"}}

const usualHistory = "24h"

// historyPoints are the points of a device whose readings are kept.
func historyPoints(d *mapping.Device) (out []*mapping.Point) {
	for i := range d.Points {
		if p := &d.Points[i]; p.Measured() && p.History {
			out = append(out, p)
		}
	}
	return out
}

// A past is what somebody asked of the history: a point, a time before now, and how far the pages have come.
type past struct {
	device   devices.ID
	point    *mapping.Point
	from, to time.Time // to: of the next page
	span     time.Duration
	shown    int
}

// historyCommand asks for a point, if there are several, and a time, and shows the readings in pages, the last ones first. It is
// nil where none are kept.
func (b *Bridge) historyCommand(d *mapping.Device) *command {
	points := historyPoints(d)
	if b.o.History == nil || len(points) == 0 {
		return nil
	}
	p := &past{device: d.ID, point: points[0]}
	return &command{node: b.addresses().Slug(d.ID) + "/" + historyNode, name: "History…", device: d.ID,
		steps: func(*Bridge, asker) []step { return []step{historyStep(p, points)} },
		do: func(ctx context.Context, b *Bridge, c *call) (*outcome, error) {
			p.to = time.Now().Add(time.Millisecond)
			p.from = p.to.Add(-p.span)
			return b.historyPage(ctx, c, *p)
		}}
}

func historyStep(p *past, points []*mapping.Point) step {
	return step{
		show: func(*Bridge, *call) *stream.Element {
			form := newForm("form", "History", "")
			if len(points) > 1 {
				list := newField("point", "list-single", "What", p.point.Name)
				for _, one := range points {
					addOption(list, one.Label, one.Name)
				}
				form.Add(required(list))
			}
			span := newField("time", "list-single", "Of the last", usualHistory)
			for _, t := range historyTimes {
				addOption(span, t.label, t.value)
			}
			return form.Add(required(span))
		},
		accept: func(_ *call, values map[string][]string) error {
			chosen := func(name, usual string) (string, bool) {
				switch list := values[name]; len(list) {
				case 0:
					return usual, true
				case 1:
					return cmp.Or(list[0], usual), true
				}
				return "", false
			}
			name, one := chosen("point", points[0].Name)
			i := slices.IndexFunc(points, func(p *mapping.Point) bool { return p.Name == name })
			if !one || i < 0 {
				return badPayload(`"point": choose one of the points`)
			}
			text, one := chosen("time", usualHistory)
			span, err := schema.ParseDuration(text)
			if !one || err != nil || span <= 0 {
				return badPayload(`"time": give one such as 24h or 7d`)
			}
			p.point, p.span = points[i], span
			return nil
		},
	}
}

// historyPage is the next page of a history, with a command for the one after it.
func (b *Bridge) historyPage(ctx context.Context, c *call, p past) (*outcome, error) {
	d, _, err := b.device(p.device)
	if err != nil {
		return nil, err
	}
	if !b.sees(c.asker, p.device) {
		return nil, devices.ErrUnknownDevice
	}
	records, more, err := b.lastRecords(ctx, p.device, p.point.Name, p.from, p.to, rowsPerPage)
	if err != nil {
		b.log.Error("history not read", "err", err)
		return &outcome{level: "error", note: "The history cannot be read: the gateway's log says why"}, nil
	}
	what := d.Name + ": " + p.point.Label + ", " + mapping.Duration(p.span)
	if len(records) == 0 && p.shown == 0 {
		return &outcome{level: "info", note: what + ": nothing was read in that time"}, nil
	}
	t := &table{title: what, columns: []string{"Time", "Value"}}
	for _, r := range records {
		t.rows = append(t.rows, []string{r.At.In(b.zone()).Format(historyTime), p.point.Format(r.Value)})
	}
	done := &outcome{level: "info", table: t}
	if p.shown == 0 {
		done.note = what
		if spans, err := b.o.History.Spans(ctx, p.device, p.point.Name, p.from, p.to, 1); err == nil {
			if text := summaryText(p.point, spans); text != "" {
				done.note += ": " + text
			}
		}
	} else {
		done.note = "From " + strconv.Itoa(p.shown+1) + " on"
	}
	if more {
		p.shown += len(records)
		p.to = records[len(records)-1].At
		done.more = &command{device: p.device, do: func(ctx context.Context, b *Bridge, c *call) (*outcome, error) {
			return b.historyPage(ctx, c, p)
		}}
	}
	return done, nil
}

// lastRecords are the last readings of a time, the last one first, at most n, and whether there are earlier ones in it. The
// history tells from the beginning, so an end is looked for that holds enough of them and not many more.
func (b *Bridge) lastRecords(ctx context.Context, id devices.ID, point string, from, to time.Time, n int) (out []Record, more bool, err error) {
	var few, many time.Duration // how long an end is that holds fewer than n, or too many; many 0: not known
	for end := time.Minute; ; {
		start := to.Add(-end)
		if start.Before(from) {
			start = from
		}
		out, err = b.o.History.Records(ctx, id, point, start, to, mostRead)
		if err != nil {
			return nil, false, err
		}
		whole := !start.After(from)
		switch {
		case len(out) >= mostRead && end > time.Millisecond:
			many = min(end, to.Sub(start))
		case len(out) > n, whole:
			slices.Reverse(out)
			more = len(out) > n
			return out[:min(n, len(out))], more, nil
		default:
			few = end
		}
		if end = 8 * end; many != 0 {
			end = (few + many) / 2
		}
	}
}
