package xmppbridge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// chartWords are what people say for a chart.
var chartWords = []string{"chart", "graph", "plot"}

// spanNoise are words around a time that change nothing, unless a point is called so.
var spanNoise = []string{"last", "past", "for", "over", "of", "from", "in", "since", "this", "one"}

// chartSpan takes the time that a chart is to show out of words. It is 0 where they say none.
func chartSpan(words []string) (span time.Duration, rest []string, err error) {
	span, said, rest, err := takeSpan(words)
	if err == nil && said && (span < shortestChart || span > longestChart) {
		err = fmt.Errorf("a chart shows between %s and %s", mapping.Duration(shortestChart), mapping.Duration(longestChart))
	}
	return span, rest, err
}

// wanted understands what is to be drawn of a device: a point, a length of time, "dark", in any order. The error is a sentence.
func (b *Bridge) wanted(d *mapping.Device, said []string, now time.Time) (*graph, error) {
	words := make([]string, len(said))
	for i, w := range said {
		words[i] = strings.ToLower(strings.Trim(w, "?.,;:!"))
	}
	g := &graph{device: d, to: now}
	points := chartPoints(d)
	if len(points) == 0 {
		return nil, fmt.Errorf("%s has nothing that can be drawn: charts are of numbers and switches", d.Name)
	}
	words = slices.DeleteFunc(words, func(w string) bool {
		g.dark = g.dark || w == "dark"
		return w == "dark" || w == ""
	})
	span, rest, err := chartSpan(words)
	if err != nil {
		return nil, err
	}
	if span == 0 {
		span = usualChart
	}
	g.from = now.Add(-span)
	g.point, err = pointOf(d, points, rest)
	return g, err
}

// pointOf finds the point that words mean; without any it is the first.
func pointOf(d *mapping.Device, points []*mapping.Point, words []string) (*mapping.Point, error) {
	plain := slices.DeleteFunc(withoutNoise(words), func(w string) bool { return slices.Contains(spanNoise, w) })
	var names []string
	for _, w := range [][]string{words, plain} {
		name := strings.Join(w, " ")
		for _, p := range points {
			label := strings.ToLower(p.Label)
			if name == label || name == p.Name || name == strings.ReplaceAll(p.Name, "_", " ") {
				return p, nil
			}
			names = append(names, label)
		}
	}
	if len(plain) == 0 {
		return points[0], nil
	}
	name := strings.Join(plain, " ")
	if near := schema.Nearest(name, names); near != "" {
		return nil, fmt.Errorf("%s has no %q that can be drawn: did you mean %q?", d.Name, name, near)
	}
	return nil, fmt.Errorf("%s has no %q that can be drawn; there is: %s", d.Name, name, strings.Join(names[:len(points)], ", "))
}

// isChart reports whether words begin with one for a chart.
func isChart(words []string) bool {
	return len(words) > 0 && slices.Contains(chartWords, strings.ToLower(words[0]))
}

// chart answers "chart temperature 24h", said to a device.
func (t *talk) chart(d *mapping.Device, words []string) {
	g, err := t.b.wanted(d, words, time.Now())
	if err != nil {
		t.say(sentence(err))
		return
	}
	t.later(d.ID, func(ctx context.Context) {
		address, spans, err := t.b.pictureFor(ctx, t.asker, g)
		switch {
		case err == nil:
			t.show(address)
		case errors.Is(err, devices.ErrUnknownDevice): // since they asked: to them it is not there
		case spans == nil:
			t.say(sentence(err))
		default: // no picture, so in words
			t.say("No picture: " + err.Error() + ".\n" + summaryTable(g.title(), g.point, spans).lines())
		}
	})
}

// hubChart answers it said to the hub: with the device's name anywhere behind, or without one where only one device has such
// a point. It reports whether it was understood.
func (t *talk) hubChart(visible []*mapping.Device, said []string) {
	words := said[1:]
	for start := range words { // the name may stand in the middle: "chart greenhouse temperature"
		if matches, rest := t.b.named(visible, words[start:]); len(matches) == 1 {
			t.chart(matches[0], append(slices.Clone(words[:start]), rest...))
			return
		}
	}
	var able []*mapping.Device
	for _, d := range visible {
		if _, err := t.b.wanted(d, words, time.Now()); err == nil {
			able = append(able, d)
		}
	}
	switch {
	case len(able) == 1:
		t.chart(able[0], words)
	case len(able) > 1:
		t.say("Of which device? Say its name first: \"" + strings.ToLower(able[0].Name) + " " + lower(said) + "\".")
	default:
		t.say(t.unknownName(visible, words))
	}
}

// later has a worker do what takes its time, and shows meanwhile that it does.
func (t *talk) later(id devices.ID, do func(context.Context)) {
	failed := func() { t.say("Something went wrong inside the gateway: its log says what.") }
	queued := t.b.work.do(jobKey{t.full, id}, job{failed: failed, do: func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, executeTimeout)
		defer cancel()
		t.working()
		do(ctx)
	}})
	if !queued {
		t.refuse(devices.ErrBusy)
	}
}

// show answers with a picture.
func (t *talk) show(address string) {
	if t.room != nil { // nothing may stand beside the address
		_, hub := t.b.addresses().Hub()
		t.b.send(pictureMessage(hub, t.room.jid, "groupchat", rand.Text(), address))
		return
	}
	st := withPicture(t.reply(), address)
	if t.knowsStates() {
		st.Add(stream.New(nsChatStates, "active"))
	}
	t.b.send(st.Add(stream.New(nsStanzaID, "origin-id", "id", st.Attr("id"))))
}

// sentence is an error as something said.
func sentence(err error) string { return ended(capital(err.Error())) }

// sendPicture sends a picture to a client that asked for it otherwise than in chat.
func (b *Bridge) sendPicture(from, to, address string) {
	b.send(pictureMessage(from, to, "chat", rand.Text(), address))
}
