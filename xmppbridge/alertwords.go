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

// Bounds of a silence. The rules end longer ones, too.
const (
	shortestSilence = time.Minute
	longestSilence  = 30 * 24 * time.Hour
)

// hearAlerts understands words about alerts, of one device or of all, and reports whether it did:
//
//	ack [ALERT] [DEVICE]
//	silence [ALERT] [DEVICE] 2h | off [for everyone]
//	alerts
//
// In an answer to an alert (XEP-0461) that one is meant where none is named.
func (t *talk) hearAlerts(said []string, id devices.ID) bool {
	words := strings.Fields(strings.ToLower(strings.Join(said, " ")))
	if len(words) == 0 {
		return false
	}
	switch words[0] {
	case "alerts":
		if len(words) > 1 {
			return false
		}
		t.sayAlerts(id)
	case "ack", "acknowledge", "acknowledged", "👍":
		t.hearAck(words[1:], id)
	case "silence", "mute":
		t.hearSilence(words[1:], id)
	default:
		return false
	}
	return true
}

// answered is the alert that a message is an answer to.
func (t *talk) answered() (mapping.AlertRef, bool) {
	m, known := t.told(t.st.Child(nsReply, "reply").Attr("id"))
	if !known || !t.b.sees(t.asker, m.Device) {
		return mapping.AlertRef{}, false
	}
	return m.AlertRef, true
}

func (t *talk) hearAck(words []string, id devices.ID) {
	ref := mapping.AlertRef{Device: id}
	if answered, is := t.answered(); is && len(words) == 0 {
		ref = answered
	} else if len(words) > 0 {
		var ok bool
		if ref, ok = t.meant(words, id); !ok {
			return
		}
	}
	var refs []mapping.AlertRef
	for _, a := range t.b.activeAt(t.asker, ref.Device) {
		if (ref.Alert == "" || a.Name == ref.Alert) && (ref.Began.IsZero() || a.Began.UnixMilli() == ref.Began.UnixMilli()) {
			refs = append(refs, mapping.AlertRef{Alert: a.Name, Device: a.Device, Began: a.Began})
		}
	}
	if len(refs) == 0 {
		t.say("There is no such alert: none is active.")
		return
	}
	t.acknowledge(refs, func(done []mapping.Alert) { t.say(t.b.acknowledgedWords(t.asker, refs, done) + ".") })
}

// acknowledgedWords say what an acknowledgement did.
func (b *Bridge) acknowledgedWords(a asker, refs []mapping.AlertRef, done []mapping.Alert) string {
	var names []string
	for _, x := range done {
		names = append(names, b.alertName(x.Name, x.Device))
	}
	if len(names) > 0 {
		return "Acknowledged: " + strings.Join(names, ", ")
	}
	for _, x := range b.activeAt(a, "") {
		if x.By != "" && slices.ContainsFunc(refs, func(r mapping.AlertRef) bool { return r.Alert == x.Name && r.Device == x.Device }) {
			return b.alertName(x.Name, x.Device) + " was acknowledged already, by " + x.By
		}
	}
	return "It is not active any more"
}

// alertName is an alert in words: "too-hot (Greenhouse)".
func (b *Bridge) alertName(name string, id devices.ID) string {
	if d, _, ok := b.o.House.Device(id); ok {
		return name + " (" + d.Name + ")"
	}
	return name
}

// meant finds out which alert words name: an active one, a device, or both. Otherwise it says what there is, and reports
// false.
func (t *talk) meant(words []string, id devices.ID) (mapping.AlertRef, bool) {
	ref := mapping.AlertRef{Device: id}
	rest := words
	if id == "" {
		if matches, left := t.b.named(t.b.visible(t.asker), words); len(matches) == 1 {
			ref.Device, rest = matches[0].ID, left
		} else if len(matches) > 1 {
			t.say("There are several of that name: " + addressList(t.b, matches) + ". Say which by its address.")
			return ref, false
		}
	}
	if len(rest) == 0 {
		return ref, true
	}
	name := strings.Join(rest, "-")
	var names []string
	for _, a := range t.b.activeAt(t.asker, ref.Device) {
		if names = append(names, a.Name); a.Name == name {
			ref.Alert = name
			return ref, true
		}
	}
	switch near := schema.Nearest(name, names); {
	case near != "":
		t.say(fmt.Sprintf("No alert %q is active: did you mean %q?", name, near))
	case len(names) > 0:
		slices.Sort(names)
		t.say(fmt.Sprintf("No alert %q is active: there are %s.", name, strings.Join(slices.Compact(names), ", ")))
	default:
		t.say("No alert is active.")
	}
	return ref, false
}

func (t *talk) hearSilence(words []string, id devices.ID) {
	s := mapping.Silence{Device: id, Who: t.listener()}
	for _, end := range [][]string{{"for", "everyone"}, {"for", "all"}, {"everyone"}} {
		if n := len(words) - len(end); n >= 0 && slices.Equal(words[n:], end) {
			words, s.Who = words[:n], ""
			break
		}
	}
	if s.Who == "" && t.role < mapping.Admin {
		t.say("Only an admin silences alerts for everyone. Without \"for everyone\" it is for " + t.listeners() + ".")
		return
	}
	var err error
	if i := slices.IndexFunc(words, func(w string) bool { return w == "off" || w == "end" }); i >= 0 {
		words, s.End = slices.Delete(slices.Clone(words), i, i+1), true
	} else {
		s.For, _, words, err = takeSpan(words)
	}
	switch {
	case err != nil:
		t.say(sentence(err))
		return
	case !s.End && s.For == 0:
		t.say("For how long? Say \"silence 2h\", or \"silence off\".")
		return
	case !s.End && (s.For < shortestSilence || s.For > longestSilence):
		t.say("A silence is between a minute and 30 days long.")
		return
	}
	if answered, is := t.answered(); is && len(words) == 0 {
		s.Alert, s.Device = answered.Alert, answered.Device
	} else if len(words) > 0 {
		ref, ok := t.meant(words, id)
		if !ok {
			return
		}
		s.Alert, s.Device = ref.Alert, ref.Device
	}
	t.attend(func(ctx context.Context) error {
		if err := t.b.o.Desk.Silence(ctx, s); err != nil {
			return err
		}
		t.say(t.b.silencedWords(s) + ".")
		return nil
	})
}

// silencedWords say what a silence does.
func (b *Bridge) silencedWords(s mapping.Silence) string {
	what := "All alerts"
	switch {
	case s.Alert != "" && s.Device != "":
		what = b.alertName(s.Alert, s.Device)
	case s.Alert != "":
		what = s.Alert
	case s.Device != "":
		if d, _, ok := b.o.House.Device(s.Device); ok {
			what = d.Name
		}
	}
	whose := ""
	if s.Who == "" {
		whose = " for everyone"
	}
	if s.End {
		return what + ": not silenced any more" + whose
	}
	return what + ": silenced" + whose + " for " + mapping.Duration(s.For) + ". What is still so then is said then"
}

func (t *talk) sayAlerts(id devices.ID) {
	var lines []string
	for _, a := range t.b.activeAt(t.asker, id) {
		line := fmt.Sprintf("%s (%s, for %s)", a.Text, a.Level, mapping.Duration(since(a.At)))
		if a.By != "" {
			line = strings.TrimSuffix(line, ")") + ", acknowledged by " + a.By + ")"
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		lines = []string{"No alert is active."}
	}
	for _, s := range t.b.o.Desk.Silences() {
		if s.Who != "" && s.Who != t.listener() || id != "" && s.Device != id && s.Device != "" || s.Device != "" && !t.b.sees(t.asker, s.Device) {
			continue
		}
		said := t.b.silencedWords(mapping.Silence{Alert: s.Alert, Device: s.Device, Who: s.Who, For: time.Until(s.Until)})
		said, _, _ = strings.Cut(said, ". ")
		lines = append(lines, said+".")
	}
	t.say(strings.Join(lines, "\n"))
}
