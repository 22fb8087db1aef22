package xmppbridge

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/chart"
	"tidings/xmppbridge/stream"
)

const chartNode = "chart"

// chartSpans are what the form offers.
var chartSpans = []struct{ value, label string }{
	{"1h", "One hour"}, {"6h", "Six hours"}, {"24h", "A day"}, {"7d", "A week"}, {"30d", "A month"}, {"365d", "A year"},
}

// chartCommand asks for a point and a time and sends the picture as a message, which every client can show. It is nil where
// there is nothing to draw.
func (b *Bridge) chartCommand(d *mapping.Device) *command {
	points := chartPoints(d)
	if len(points) == 0 || b.o.History == nil || d.Disabled {
		return nil
	}
	return &command{node: b.addresses().Slug(d.ID) + "/" + chartNode, name: "Chart…", device: d.ID,
		steps: func(*Bridge, asker) []step { return []step{chartStep(d, points)} },
		do: func(ctx context.Context, b *Bridge, c *call) (*outcome, error) {
			g, err := b.wanted(d, strings.Fields(c.chosen["point"]+" "+c.chosen["span"]+" "+c.chosen["look"]), time.Now())
			if err != nil {
				return nil, badPayload(err.Error())
			}
			return b.showChart(ctx, g, c)
		}}
}

func chartStep(d *mapping.Device, points []*mapping.Point) step {
	return step{
		show: func(*Bridge, *call) *stream.Element {
			point := newField("point", "list-single", "What", points[0].Name)
			for _, p := range points {
				addOption(point, p.Label, p.Name)
			}
			span := newField("span", "list-single", "How long", "24h")
			for _, s := range chartSpans {
				addOption(span, s.label, s.value)
			}
			look := newField("look", "list-single", "Look", "light")
			addOption(look, "Light", "light")
			addOption(look, "Dark", "dark")
			return newForm("form", "Chart of "+d.Name, "The picture comes as a message.").Add(required(point), required(span), look)
		},
		accept: func(c *call, values map[string][]string) error {
			one := func(name, usual string) string {
				if len(values[name]) == 0 {
					return usual
				}
				return strings.Join(values[name], " ")
			}
			c.chosen["point"], c.chosen["span"], c.chosen["look"] = one("point", points[0].Name), one("span", "24h"), ""
			p := d.Point(c.chosen["point"])
			if p == nil || !chartable(p) {
				return badPayload("\"point\": choose one of those offered")
			}
			// Programs and people may give any time, also one that is not offered.
			if span, rest, err := chartSpan(strings.Fields(strings.ToLower(c.chosen["span"]))); err != nil {
				return badPayload(`"span": ` + err.Error())
			} else if span == 0 || len(rest) > 0 {
				return badPayload(`"span": give a length of time such as 24h or 7d`)
			}
			switch one("look", "light") {
			case "dark":
				c.chosen["look"] = "dark"
			case "light":
			default:
				return badPayload(`"look": it is light or dark`)
			}
			return nil
		},
	}
}

// showChart sends a graph to whoever asked for it with a command, as a picture or as a table.
func (b *Bridge) showChart(ctx context.Context, g *graph, c *call) (*outcome, error) {
	address, spans, err := b.pictureFor(ctx, c.asker, g)
	switch {
	case err == nil:
		_, from := b.addresses().Device(g.device.ID)
		b.sendPicture(from, c.full, address)
		return &outcome{level: "info", note: g.title() + ": " + address,
			form: pictureForm(g.title(), "image/png", address, strconv.Itoa(chart.Width), strconv.Itoa(chart.Height))}, nil
	case spans == nil && !isBusy(err) && !errors.Is(err, devices.ErrUnknownDevice):
		return &outcome{level: "warn", note: sentence(err)}, nil
	case spans == nil:
		return nil, err
	}
	return &outcome{level: "warn", note: "No picture: " + err.Error() + ". " + g.title() + ": " + summaryText(g.point, spans),
		table: summaryTable(g.title(), g.point, spans)}, nil
}
