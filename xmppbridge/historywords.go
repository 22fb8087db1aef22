package xmppbridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/mapping"
)

// linesOfHistory is how many readings a chat is told: the command has them all.
const linesOfHistory = 10

// longestHistory bounds the time that somebody can ask for in words.
const longestHistory = 10 * 365 * 24 * time.Hour

// noHistory is what is said where no readings are kept.
const noHistory = "This gateway keeps no readings: a section [history] in its configuration has it do so."

// hearHistory answers "history temperature 24h", said to a device. It reports false for what is no such thing.
func (t *talk) hearHistory(d *mapping.Device, said []string) bool {
	words := strings.Fields(lower(said))
	if len(words) == 0 || words[0] != historyNode {
		return false
	}
	if action, _ := d.Understand(said); action != nil { // a point may be called so
		return false
	}
	if t.b.o.History == nil {
		t.say(noHistory)
		return true
	}
	length, _, rest, err := takeSpan(words[1:])
	if err != nil {
		t.say(sentence(err))
		return true
	}
	if length == 0 {
		length = 24 * time.Hour
	}
	point, why := pastPoint(d, rest)
	switch {
	case why != "":
		t.say(why)
		return true
	case length > longestHistory:
		t.say("At most ten years can be asked for.")
		return true
	}
	failed := func() { t.say("Something went wrong inside the gateway: its log says what.") }
	if !t.b.work.do(jobKey{t.full, d.ID}, job{failed: failed, do: func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, executeTimeout)
		defer cancel()
		t.working()
		text, err := t.b.historyText(ctx, d, point, length)
		if err != nil {
			t.b.log.Error("history not read", "err", err)
			text = "The history cannot be read: the gateway's log says why."
		}
		t.say(text)
	}}) {
		t.refuse(devices.ErrBusy)
	}
	return true
}

// pastPoint finds the point that words name, the first where they name none; why says what is wrong with them.
func pastPoint(d *mapping.Device, words []string) (p *mapping.Point, why string) {
	points := historyPoints(d)
	if len(points) == 0 {
		return nil, d.Name + " has nothing of which readings are kept."
	}
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains([]string{"of", "last", "for", "the"}, w) })
	name := strings.Join(words, " ")
	if name == "" {
		return points[0], ""
	}
	var names []string
	for _, p := range points {
		label := strings.ToLower(p.Label)
		if name == label || name == p.Name {
			return p, ""
		}
		names = append(names, label)
	}
	if near := schema.Nearest(name, names); near != "" {
		return nil, fmt.Sprintf("%s has no %q: did you mean %q?", d.Name, name, near)
	}
	return nil, fmt.Sprintf("%s has no %q. There is: %s.", d.Name, name, strings.Join(names, ", "))
}

// historyText is a history in a few lines: what it comes to, and the last readings.
func (b *Bridge) historyText(ctx context.Context, d *mapping.Device, p *mapping.Point, length time.Duration) (string, error) {
	to := time.Now().Add(time.Millisecond)
	from := to.Add(-length)
	what := d.Name + ": " + p.Label + ", " + mapping.Duration(length)
	records, more, err := b.lastRecords(ctx, d.ID, p.Name, from, to, linesOfHistory)
	if err != nil {
		return "", err
	}
	spans, err := b.o.History.Spans(ctx, d.ID, p.Name, from, to, 1)
	if err != nil {
		return "", err
	}
	text := summaryText(p, spans)
	if len(records) == 0 && text == "" {
		return what + ": nothing was read in that time.", nil
	}
	lines := []string{what}
	if text != "" {
		lines[0] += ": " + text
	}
	for _, r := range records {
		lines = append(lines, r.At.In(b.zone()).Format(historyTime)+"  "+p.Format(r.Value))
	}
	if more {
		lines = append(lines, "… and earlier ones: the command \"History…\" has them all.")
	}
	return strings.Join(lines, "\n"), nil
}

// hubHistory hears "history greenhouse temperature 24h", said to the hub, wherever the name stands in it.
func (t *talk) hubHistory(visible []*mapping.Device, words []string) bool {
	if len(words) == 0 || !strings.EqualFold(words[0], historyNode) {
		return false
	}
	for i := range words[1:] {
		if matches, rest := t.b.named(visible, words[i+1:]); len(matches) == 1 {
			return t.hearHistory(matches[0], slices.Concat(words[:i+1], rest))
		}
	}
	return false
}
