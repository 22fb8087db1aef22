package xmppbridge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/mapping"
)

// noise are words people put around a command that change nothing, unless a device or a point is called so.
var noise = []string{"the", "a", "an", "please", "turn", "switch", "put", "der", "die", "das", "bitte"}

func withoutNoise(words []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains(noise, strings.ToLower(w)) })
}

// hear understands one message. Case, articles and word order are forgiven; a name that is nearly right is asked
// about, never guessed into an action.
func (t *talk) hear(body string) {
	said := strings.Fields(body)
	for i, w := range said {
		said[i] = strings.TrimRight(w, ".,;:!") // "lamp off, please!", and not the point in 21.5
	}
	said = slices.DeleteFunc(said, func(w string) bool { return w == "" })
	words := withoutNoise(said)
	if len(words) == 0 {
		t.say(t.help())
		return
	}
	really := t.b.chats.asked(t.full, t.from(), time.Now())
	switch all := lower(words); {
	case all == "yes" || all == "y":
		if really == nil {
			t.say("There is nothing to say yes to: what was asked more than a minute ago is forgotten.")
			return
		}
		for i := range really {
			really[i].Confirmed = true
		}
		t.act(really...)
	case (all == "no" || all == "n") && really != nil:
		t.say("Not done.")
	case all == "help" || all == "?":
		t.say(t.help())
	case t.target.Kind == mapping.ToDevice:
		if d, _, ok := t.b.o.House.Device(t.target.ID); ok {
			t.tell(d, said)
		}
	default:
		t.hub(said)
	}
}

// hub understands what is said to the hub: its own words, or a device's name with the device's words.
func (t *talk) hub(said []string) {
	words := withoutNoise(said)
	switch lower(words) {
	case "devices", "status", "list":
		t.sayDevices()
		return
	case "alerts":
		t.sayAlerts("")
		return
	case "all off", "everything off", "off all", "off everything":
		t.allOff()
		return
	}
	visible := t.b.visible(t.asker)
	if !slices.ContainsFunc(visible, calledAdd) && t.addWords(words) {
		return
	}
	if isChart(words) {
		t.hubChart(visible, words)
		return
	}
	if isPhoto(words) {
		t.hubPhoto(visible, words)
		return
	}
	matches, rest := t.b.named(visible, said)
	if len(matches) == 0 {
		matches, rest = t.b.named(visible, words)
	}
	if len(matches) > 0 && !slices.ContainsFunc(matches, func(d *mapping.Device) bool { return !mapping.Discovered(d.ID) }) {
		// One that calls itself "lamp on" does not keep people from the lamp that the configuration names.
		own := slices.DeleteFunc(slices.Clone(visible), func(d *mapping.Device) bool { return mapping.Discovered(d.ID) })
		if named, left := t.b.named(own, words); len(named) == 1 {
			if action, _ := named[0].Understand(left); action != nil {
				matches, rest = named, left
			}
		}
	}
	if len(matches) == 0 && (t.hearAlerts(words, "") || t.hubHistory(visible, words)) {
		return
	}
	switch {
	case len(matches) == 1:
		t.tell(matches[0], rest)
	case len(matches) > 1:
		t.say("There are several of that name: " + addressList(t.b, matches) + ". Say which by its address.")
	default:
		t.say(t.unknownName(visible, words))
	}
}

// calledAdd reports whether a device is called as a word of the hub's.
func calledAdd(d *mapping.Device) bool {
	return strings.HasPrefix(strings.ToLower(d.Name), "add ") || strings.HasPrefix(string(d.ID), "add")
}

// named finds the devices whose name, id or address the words begin or end with, the longest name first. Noise in a name may be
// left out.
func (b *Bridge) named(visible []*mapping.Device, words []string) (matches []*mapping.Device, rest []string) {
	longest := 0
	for _, d := range visible {
		full := strings.Fields(strings.ToLower(d.Name))
		for _, n := range [][]string{full, strings.Fields(string(d.ID)), withoutNoise(full), {b.addresses().Slug(d.ID)}, {b.address(d)}} {
			var left []string
			switch {
			case len(n) == 0 || len(n) > len(words) || len(n) < longest:
				continue
			case lower(words[:len(n)]) == strings.Join(n, " "):
				left = words[len(n):]
			case lower(words[len(words)-len(n):]) == strings.Join(n, " "):
				left = words[:len(words)-len(n)]
			default:
				continue
			}
			if len(n) > longest {
				longest, matches = len(n), nil
			}
			if !slices.Contains(matches, d) {
				matches, rest = append(matches, d), left
			}
		}
	}
	return matches, rest
}

// addressList names devices so that each can be told from the others: by the short form of its address where nothing is called so.
func addressList(b *Bridge, list []*mapping.Device) string {
	var out []string
	for _, d := range list {
		slug := b.addresses().Slug(d.ID)
		if !b.addresses().Single() && slices.ContainsFunc(list, func(other *mapping.Device) bool { return strings.EqualFold(other.Name, slug) }) {
			slug = b.address(d)
		}
		out = append(out, slug)
	}
	return strings.Join(out, ", ")
}

// address is the shortest JID that is a device's alone, or empty where there is none.
func (b *Bridge) address(d *mapping.Device) string {
	bare, full := b.addresses().Device(d.ID)
	switch {
	case b.addresses().Single():
		return ""
	case b.shared(d.ID):
		return full
	}
	return bare
}

// apart is the names of devices in a list: of those that are called the same, with what their address has.
func (b *Bridge) apart(list []*mapping.Device) func(*mapping.Device) string {
	count := make(map[string]int, len(list))
	for _, d := range list {
		count[d.Name]++
	}
	return func(d *mapping.Device) string {
		if count[d.Name] < 2 {
			return d.Name
		}
		return d.Name + " (" + b.addresses().Slug(d.ID) + ")"
	}
}

func (t *talk) unknownName(visible []*mapping.Device, words []string) string {
	var names []string
	for _, d := range visible {
		names = append(names, strings.ToLower(d.Name), t.b.addresses().Slug(d.ID))
	}
	for n := min(len(words), 3); n > 0; n-- {
		for _, part := range []string{lower(words[:n]), lower(words[len(words)-n:])} {
			if near := mapping.NearName(part, names); near != "" {
				return fmt.Sprintf("I know no device %q: did you mean %q?", part, near)
			}
		}
	}
	return "I did not understand that. Say \"devices\" for what there is, or \"help\"."
}

// tell understands what is said to one device.
func (t *talk) tell(d *mapping.Device, said []string) {
	words := withoutNoise(said)
	all := lower(words)
	switch {
	case all == "" || all == "status" || all == "state":
		t.sayStatus(d)
		return
	case all == "help" || all == "?":
		t.say(t.deviceHelp(d))
		return
	case isChart(words):
		t.chart(d, words[1:])
		return
	case isPhoto(words) && len(photoPoints(d)) > 0:
		t.photo(d, words[1:])
		return
	}
	if t.hearHistory(d, words) {
		return
	}
	if d.Disabled {
		t.say(d.Name + " is disabled in the configuration: nothing was done.")
		return
	}
	action, value := d.Understand(said)
	if action == nil {
		action, value = d.Understand(words)
	}
	if action == nil && t.hearAlerts(said, d.ID) {
		return
	}
	if action == nil {
		t.say(t.notUnderstood(d, all))
		return
	}
	if !t.b.access().CanControl(t.bare, d.ID) {
		t.say("Your role may see " + d.Name + " but not control it.")
		return
	}
	v := action.Value
	if action.Ask {
		var err error
		if v, err = action.Point.Parse(value); err == nil {
			v, err = action.Point.Check(v)
		}
		if err != nil {
			t.say(sentence(err))
			return
		}
	}
	t.act(devices.Request{Device: d.ID, Point: action.Point.Name, Value: v, Confirmed: action.Really})
}

func (t *talk) notUnderstood(d *mapping.Device, all string) string {
	var names []string
	for _, a := range d.Actions() {
		if !a.Ask && !a.Really {
			names = append(names, strings.ToLower(a.Name))
		}
	}
	if len(photoPoints(d)) > 0 {
		names = append(names, photoNode)
	}
	if near := schema.Near(all, append(names, "status", "help")); near != "" {
		return fmt.Sprintf("I did not understand %q: did you mean %q?", all, near)
	}
	if first, rest, _ := strings.Cut(all, " "); len(chartPoints(d)) > 0 {
		if near := schema.Near(first, chartWords); near != "" {
			return fmt.Sprintf("I did not understand %q: did you mean %q?", all, strings.TrimSpace(near+" "+rest))
		}
	}
	return fmt.Sprintf("I did not understand %q. %s", all, t.deviceHelp(d))
}

func (t *talk) sayStatus(d *mapping.Device) {
	_, state, ok := t.b.o.House.Device(d.ID)
	if !ok {
		return
	}
	lines := []string{t.b.summary(d)}
	for i := range d.Points {
		p := &d.Points[i]
		if s, ok := state.Point(p.Name); ok && p.Readable && !s.At.IsZero() {
			lines = append(lines, p.Label+": "+p.FormatState(s))
		}
	}
	t.say(strings.Join(append(lines, d.Notes...), "\n"))
}

func (t *talk) sayDevices() {
	rows := deviceTable(t.b, t.asker).rows
	lines := []string{}
	for _, row := range rows[:min(len(rows), rowsPerPage)] {
		line := row[0] + ": " + row[2]
		if row[1] != "" {
			line = row[0] + " (" + row[1] + "): " + row[2]
		}
		lines = append(lines, line)
	}
	if n := len(rows) - len(lines); n > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more", n))
	}
	if len(lines) == 0 {
		lines = []string{"There are no devices that you may see."}
	}
	t.say(strings.Join(lines, "\n"))
}

// allOff turns off every switch the asker may control, but for those that configure a device.
func (t *talk) allOff() {
	var requests []devices.Request
	for _, d := range t.b.visible(t.asker) {
		if !t.b.access().CanControl(t.bare, d.ID) {
			continue
		}
		for _, a := range d.Actions() {
			if off, ok := a.Value.Bool(); ok && !off && !a.Really && !a.Point.Minor && a.Point.Kind == devices.KindSwitch {
				requests = append(requests, devices.Request{Device: d.ID, Point: a.Point.Name, Value: a.Value})
			}
		}
	}
	if len(requests) == 0 {
		t.say("There is nothing that you may turn off.")
		return
	}
	t.act(requests...)
}

func (t *talk) help() string {
	if t.target.Kind == mapping.ToDevice {
		if d, _, ok := t.b.o.House.Device(t.target.ID); ok {
			return t.deviceHelp(d)
		}
	}
	add := ""
	if t.b.addsDevices() && t.room == nil {
		add = "\"add devices\", "
	}
	return "Say \"devices\", \"alerts\", \"ack\", \"silence 2h\", \"all off\", " + add + "or a device's name with what it should do: \"lamp on\", " +
		"\"greenhouse set target 21.5\", \"greenhouse status\", \"lamp help\"."
}

func (t *talk) deviceHelp(d *mapping.Device) string {
	words := []string{"status"}
	if points := chartPoints(d); len(points) > 0 && t.b.o.History != nil {
		words = append(words, "chart "+strings.ToLower(points[0].Label)+" 24h")
	}
	if len(photoPoints(d)) > 0 {
		words = append(words, "photo")
	}
	if points := historyPoints(d); t.b.o.History != nil && len(points) > 0 {
		words = append(words, "history "+strings.ToLower(points[0].Label)+" 24h")
	}
	if t.b.access().CanControl(t.bare, d.ID) {
		for _, a := range d.Actions() {
			switch {
			case a.Really:
			case a.Ask:
				words = append(words, "set "+strings.ToLower(a.Point.Label)+" …")
			default:
				words = append(words, strings.ToLower(a.Name))
			}
		}
	}
	if len(t.b.activeAt(t.asker, d.ID)) > 0 {
		words = append(words, "ack", "silence 2h")
	}
	return d.Name + " understands: " + strings.Join(words, ", ") + "."
}

// since is how long ago t was.
func since(t time.Time) time.Duration { return time.Since(t) }

// lower joins words for comparison.
func lower(words []string) string { return strings.ToLower(strings.Join(words, " ")) }
