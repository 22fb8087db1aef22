package xmppbridge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// Where an account has one stream only, the hub speaks for all devices: each is a node of its address, and its presence sums
// them up. It is so from the beginning, or from the moment the server is found to limit streams.

// sumInterval is how often the hub's presence follows what devices do, at most; the latest wins.
const sumInterval = 10 * time.Second

// Single has the hub speak for all devices from now on: their streams are no more.
func (b *Bridge) Single() {
	b.addresses().MakeSingle()
	hub, full := b.addresses().Hub()
	// Who subscribed at a device's own address sees that go, and would not know the hub's events for that device's.
	b.events.endIf(func(w *watch) bool { return w.from != hub && w.from != full })
	b.presence.mark(hubKey)
}

// sumUp has the hub's presence sent again, where it sums up what devices do.
func (p *presences) sumUp() {
	if !p.b.addresses().Single() {
		return
	}
	p.mu.Lock()
	p.stale = true
	p.mu.Unlock()
	poke(p.ready)
}

// sum marks the hub if its turn has come, and returns how long it has to wait for it, 0 when it does not.
func (p *presences) sum() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stale {
		return 0
	}
	now := time.Now()
	if wait := p.summed.Add(sumInterval).Sub(now); wait > 0 {
		return wait
	}
	p.stale, p.summed = false, now
	if _, marked := p.pending[hubKey]; !marked {
		p.pending[hubKey] = struct{}{}
		p.marked = append(p.marked, hubKey)
	}
	return 0
}

// summary puts the house into a few words: "Home: 11 of 12 devices are online, not Greenhouse; 1 alert: Oven: too hot". urgent says that a
// critical alert is active.
func (p *presences) summary() (text string, urgent bool) {
	var out []string
	all := p.b.o.House.Devices()
	n := 0
	for _, d := range all {
		if d.Disabled {
			continue
		}
		n++
		if online, _ := p.b.o.House.Online(d.ID); !online {
			out = append(out, d.Name)
		}
	}
	slices.Sort(out)
	switch {
	case n == 0:
		text = "no devices"
	case len(out) == 0:
		text = plural(n, "device") + " online"
	case len(out) <= 3:
		text = fmt.Sprintf("%d of %s online, not %s", n-len(out), plural(n, "device"), strings.Join(out, ", "))
	default:
		text = fmt.Sprintf("%d of %s online", n-len(out), plural(n, "device"))
	}
	alerts := slices.Clone(p.b.o.House.Alerts())
	if len(alerts) > 0 {
		slices.SortStableFunc(alerts, func(x, y mapping.Alert) int { return cmp.Compare(y.Level, x.Level) })
		urgent = alerts[0].Level == mapping.Critical
		what := alerts[0].Text
		if d, _, ok := p.b.o.House.Device(alerts[0].Device); ok && !strings.Contains(what, d.Name) {
			what = d.Name + ": " + what
		}
		text += fmt.Sprintf("; %s: %s", plural(len(alerts), "alert"), what)
	}
	return p.b.name() + ": " + text, urgent
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// sumStanza makes the hub's presence where it speaks for all devices.
func (p *presences) sumStanza(from string) *stream.Element {
	text, urgent := p.summary()
	st := stream.New(stream.NS, "presence", "from", from)
	if urgent {
		st.Add(stream.New(stream.NS, "show").AddText(mapping.ShowDND))
	}
	return st.Add(stream.New(stream.NS, "status").AddText(text))
}
