package homeassistant

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/discovery/homeassistant/component"
)

// Device makes a device of the announcements that have its key.
func (c *Convention) Device(key string) *discovery.Device {
	of := c.groups.keyed[key]
	if of == nil {
		return nil
	}
	of.given = true
	announcements := of.announcements()
	d := &discovery.Device{Key: key}
	d.Name, d.Model = majority(announcements, func(a about) string { return a.name }), majority(announcements, func(a about) string { return a.model })
	d.Version, d.Area = majority(announcements, func(a about) string { return a.version }), majority(announcements, func(a about) string { return a.area })
	b := assembly{Device: d, taken: make(map[string]bool), next: make(map[string]int), events: make(map[string]int)}
	entries := c.present(announcements, &b)
	slices.SortStableFunc(entries, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.weight(), b.weight()), rank(a.kind)-rank(b.kind), strings.Compare(a.id(), b.id()))
	})
	mains := 0
	for _, e := range entries {
		mains += truth(e.built.Main)
	}
	availability := common(entries)
	if availability {
		d.Available = entries[slices.IndexFunc(entries, func(e *entry) bool { return !e.built.Apart })].built.Available
	}
	for _, e := range entries {
		b.add(e, shortLabel(e.label, d.Name), mains == 1, availability)
	}
	for _, other := range of.strangers(c.groups) {
		b.note("it names itself as %s, which is another device", other)
	}
	if len(announcements) > 0 {
		d.Address = c.options.Prefix + "/" + announcements[0].place.id()
	}
	for _, p := range d.Points {
		if len(p.Sources) > 0 {
			d.Address = p.Sources[0].Topic
			break
		}
	}
	if len(d.Points) == 0 && len(d.Notes) == 0 {
		return nil
	}
	return d
}

// present are the components of which there are points. What is left out becomes notes.
func (c *Convention) present(announcements []*announcement, b *assembly) []*entry {
	var entries []*entry
	var disabled []string
	for _, a := range announcements {
		for _, e := range a.entries {
			if e.uid != "" && c.owner(e.uid) != e {
				if !a.leaving {
					b.note("not understood: %s %s: its unique_id is the one of another", cleanName(e.kind), cleanName(e.object))
				}
				continue
			}
			switch {
			case e.disabled:
				disabled = append(disabled, strings.ReplaceAll(e.base, "_", " "))
			case e.err != nil:
				b.note("not understood: %s %s: %v", cleanName(e.kind), cleanName(e.object), e.err)
			default:
				entries = append(entries, e)
			}
		}
	}
	if len(disabled) > 0 {
		slices.Sort(disabled)
		b.note("left out, since the device has it disabled by default: %s", strings.Join(slices.Compact(disabled), ", "))
	}
	return entries
}

// common reports whether one availability is that of all components.
func common(entries []*entry) bool {
	sign := ""
	for _, e := range entries {
		switch {
		case e.built.Apart:
		case e.built.Available == nil || sign != "" && sign != e.built.Signature:
			return false
		default:
			sign = e.built.Signature
		}
	}
	return sign != ""
}

// majority is what most announcements say, the first of several; what says nothing does not count.
func majority(announcements []*announcement, of func(about) string) string {
	counts := make(map[string]int)
	best := ""
	for _, a := range announcements {
		if s := of(a.about); s != "" {
			counts[s]++
		}
	}
	for _, a := range announcements {
		if s := of(a.about); counts[s] > counts[best] {
			best = s
		}
	}
	return best
}

func rank(kind string) int {
	if i := slices.Index(component.Ranks, kind); i >= 0 {
		return i
	}
	return len(component.Ranks)
}

// weight orders components: what the device is for, then what configures and diagnoses it. Triggers are announced when they
// first happen, and are not to take a name from what is there already.
func (e *entry) weight() int {
	switch {
	case e.kind == "device_automation":
		return 2
	case e.minor:
		return 1
	}
	return 0
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// An assembly is a device that is being put together.
type assembly struct {
	*discovery.Device
	taken  map[string]bool // names of points
	next   map[string]int  // the numbers to try next, by the names before them
	events map[string]int  // where the points of triggers are
	cut    bool
}

func (b *assembly) note(format string, args ...any) {
	if len(b.Notes) < discovery.MaxNotes {
		b.Notes = append(b.Notes, fmt.Sprintf(format, args...))
	}
}

// add adds the parts of a component, by their own names when it is all that the device is.
func (b *assembly) add(e *entry, label string, only, shared bool) {
	own := label == "" || e.base == plainName(e.kind) || only && e.built.Main
	for _, note := range e.built.Notes {
		b.note("%s: %s", strings.ReplaceAll(e.base, "_", " "), note)
	}
	if b.Class == "" {
		b.Class = e.built.Class
	}
	for _, part := range e.built.Parts {
		p := part.Point
		p.Minor = e.minor
		if !shared && !e.built.Apart {
			p.Available = e.built.Available
		}
		if part.Named != "" {
			p.Name = discovery.PointName(part.Named)
			if i, ok := b.events[p.Name]; ok {
				q := &b.Points[i]
				q.Sources = append(slices.Clip(q.Sources), p.Sources...)
			} else if b.append(p, []string{p.Name, "trigger_" + p.Name}) {
				b.events[p.Name] = len(b.Points) - 1
			}
			continue
		}
		whole := e.base
		switch {
		case part.Suffix == "":
			p.Name, p.Label = e.base, label
			if label == "" && e.base != plainName(e.kind) && p.Kind == devices.KindSwitch && p.Writable { // called as the device, so what it is says more than "Rl 1"
				p.Label = kindLabel(e.kind)
			}
		case own:
			p.Name, whole = part.Suffix, e.base+"_"+part.Suffix
		default:
			p.Name = e.base + "_" + part.Suffix
			if whole = p.Name; label != "" {
				p.Label = label + " " + strings.ReplaceAll(part.Suffix, "_", " ")
			}
		}
		b.append(p, []string{p.Name, whole, e.kind + "_" + whole})
	}
}

// kindLabel is what a component without a name is called: "Light".
func kindLabel(kind string) string {
	return capital(strings.ReplaceAll(kind, "_", " "))
}

// append adds a point by the first of some names that is free. It reports false when there are too many.
func (b *assembly) append(p discovery.Point, names []string) bool {
	if len(b.Points) == discovery.MaxPoints {
		if !b.cut {
			b.cut = true
			b.note("not understood: more than %d points", discovery.MaxPoints)
		}
		return false
	}
	last := discovery.PointName(names[len(names)-1])
	for n := max(2, b.next[last]); ; n++ {
		for _, name := range names {
			p.Name = discovery.PointName(name)
			if !b.taken[p.Name] {
				b.taken[p.Name] = true
				if n > 2 {
					b.next[last] = n
				}
				b.Points = append(b.Points, p)
				return true
			}
		}
		suffix := "_" + strconv.Itoa(n)
		names = []string{last[:min(len(last), 48-len(suffix))] + suffix}
	}
}
