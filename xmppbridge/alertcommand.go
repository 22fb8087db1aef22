package xmppbridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// alertsNode is where the commands about one alert of a device are: NODE/ALERT/ack and NODE/ALERT/silence.
const alertsNode = "alerts"

// buttonSilence is how long the button under an alert silences it.
const buttonSilence = time.Hour

// offers are the commands to have at hand under a message: the words to type, and the same as buttons. Cheogram shows a
// list of commands (XEP-0050 §2.2, as in the answer to the query for it) that a message holds as such; for all others the
// body has the words. Whoever may not control the device gets none of its commands.
func (b *Bridge) offers(m Outgoing, from string) (words string, buttons *stream.Element) {
	d, _, ok := b.o.House.Device(m.Device)
	if !ok || m.Alert == "" || !m.Occasion.Active() {
		return "", nil
	}
	slug, prefix := b.addresses().Slug(m.Device), ""
	if _, hub := b.addresses().Hub(); from == hub {
		prefix = strings.ToLower(d.Name) + " " // to the hub one says which device
	}
	room, inRoom := b.roomNamed(m.To)
	if inRoom {
		prefix = room.words(prefix)
	}
	buttons = stream.New(nsDiscoItems, "query", "node", nsCommands)
	var say []string
	offer := func(node, name, typed string) {
		buttons.Add(stream.New(nsDiscoItems, "item", "jid", from, "node", slug+"/"+node, "name", name))
		say = append(say, `"`+prefix+typed+`"`)
	}
	if b.access().CanControl(m.To, m.Device) {
		for _, typed := range m.Offer {
			if action := d.Offer(typed); action != nil {
				offer(action.Node, action.Name, strings.ToLower(typed))
			}
		}
	}
	node := alertsNode + "/" + m.Alert + "/"
	offer(node+"ack", "Acknowledge", "ack")
	offer(node+"silence", "Silence 1 h", "silence 1h")
	last := len(say) - 1
	if inRoom { // whoever is in a room need not have a role outside it, which a button would ask for
		buttons = nil
	}
	return "\nSay " + strings.Join(say[:last], ", ") + " or " + say[last] + ".", buttons
}

// alertCommands are the commands about the alerts of a device that are active.
func (b *Bridge) alertCommands(a asker, d *mapping.Device) []*command {
	var out []*command
	for _, alert := range b.activeAt(a, d.ID) {
		if alert.By == "" {
			out = append(out, b.ackCommand(d, alert.Name))
		}
		out = append(out, b.silenceCommand(d, alert.Name))
	}
	return out
}

// alertCommand finds one of them, also when its alert is over: a button stays under its message.
func (b *Bridge) alertCommand(d *mapping.Device, node string) *command {
	parts := strings.Split(node, "/")
	if len(parts) != 3 || parts[0] != alertsNode || parts[1] == "" {
		return nil
	}
	switch parts[2] {
	case "ack":
		return b.ackCommand(d, parts[1])
	case "silence":
		return b.silenceCommand(d, parts[1])
	}
	return nil
}

func (b *Bridge) ackCommand(d *mapping.Device, alert string) *command {
	return &command{node: b.addresses().Slug(d.ID) + "/" + alertsNode + "/" + alert + "/ack", name: "Acknowledge " + alert, device: d.ID,
		acts: true, do: func(ctx context.Context, b *Bridge, c *call) (*outcome, error) {
			return b.acknowledgeFor(ctx, c, []mapping.AlertRef{{Alert: alert, Device: d.ID}})
		}}
}

func (b *Bridge) silenceCommand(d *mapping.Device, alert string) *command {
	return &command{node: b.addresses().Slug(d.ID) + "/" + alertsNode + "/" + alert + "/silence", name: "Silence " + alert + " 1 h", device: d.ID,
		acts: true, do: func(ctx context.Context, b *Bridge, c *call) (*outcome, error) {
			if len(b.find(c.asker, mapping.AlertRef{Alert: alert, Device: d.ID})) == 0 {
				return &outcome{level: "info", note: "It is not active any more"}, nil
			}
			return b.silenceFor(ctx, mapping.Silence{Alert: alert, Device: d.ID, Who: person(c.full), For: buttonSilence})
		}}
}

// find are the active alerts that are meant and may be seen.
func (b *Bridge) find(a asker, ref mapping.AlertRef) []mapping.Alert {
	return slices.DeleteFunc(b.activeAt(a, ref.Device), func(x mapping.Alert) bool { return ref.Alert != "" && x.Name != ref.Alert })
}

func (b *Bridge) acknowledgeFor(ctx context.Context, c *call, refs []mapping.AlertRef) (*outcome, error) {
	done, err := b.o.Desk.Acknowledge(ctx, mapping.Acknowledge{Alerts: refs, By: person(c.full)})
	if err != nil {
		return nil, err
	}
	return &outcome{level: "info", note: b.acknowledgedWords(c.asker, refs, done)}, nil
}

func (b *Bridge) silenceFor(ctx context.Context, s mapping.Silence) (*outcome, error) {
	if err := b.o.Desk.Silence(ctx, s); err != nil {
		return nil, err
	}
	return &outcome{level: "info", note: b.silencedWords(s)}, nil
}

// What the hub's command can do about alerts.
var alertDeeds = []struct {
	value, label string
	silence      time.Duration
	end          bool
}{
	{value: "ack", label: "Acknowledge"},
	{value: "silence-1h", label: "Silence for 1 h", silence: time.Hour},
	{value: "silence-8h", label: "Silence for 8 h", silence: 8 * time.Hour},
	{value: "silence-1d", label: "Silence for 1 d", silence: 24 * time.Hour},
	{value: "silence-off", label: "End the silence", end: true},
}

// allAlerts stands for every alert in the form.
const allAlerts = "all"

// alertSteps ask what is to be done about which alert. With none active there is nothing to ask.
func alertSteps(b *Bridge, a asker) []step {
	active := b.activeAt(a, "")
	silenced := slices.ContainsFunc(b.o.Desk.Silences(), func(s mapping.SilenceState) bool { return s.Who == a.mine() })
	if len(active) == 0 && !silenced {
		return nil
	}
	if len(active) > maxChoices {
		active = active[:maxChoices]
	}
	key := func(x mapping.Alert) string { return string(x.Device) + "/" + x.Name }
	return []step{{
		show: func(b *Bridge, _ *call) *stream.Element {
			which := newField("alert", "list-single", "Alert", allAlerts)
			addOption(which, "All", allAlerts)
			for _, x := range active {
				addOption(which, alertLine(b, x), key(x))
			}
			what := newField("do", "list-single", "What to do", alertDeeds[0].value)
			for _, deed := range alertDeeds {
				addOption(what, deed.label, deed.value)
			}
			return newForm("form", "Alerts", alertsNote(active)).Add(required(which), required(what))
		},
		accept: func(c *call, values map[string][]string) error {
			c.chosen["alert"], c.chosen["do"] = strings.Join(values["alert"], ""), strings.Join(values["do"], "")
			if c.chosen["alert"] != allAlerts && !slices.ContainsFunc(active, func(x mapping.Alert) bool { return key(x) == c.chosen["alert"] }) {
				return badPayload("choose one of the alerts")
			}
			for _, deed := range alertDeeds {
				if deed.value == c.chosen["do"] {
					return nil
				}
			}
			return badPayload("choose what to do")
		},
	}}
}

// mine is whose silences are the asker's.
func (a asker) mine() string { return person(a.full) }

// alertLine is an active alert in one line.
func alertLine(b *Bridge, a mapping.Alert) string {
	line := fmt.Sprintf("%s: %s (%s, for %s", b.alertName(a.Name, a.Device), a.Text, a.Level, mapping.Duration(since(a.At)))
	if a.By != "" {
		line += ", acknowledged by " + a.By
	}
	return line + ")"
}

func alertsNote(active []mapping.Alert) string {
	switch n := len(active); n {
	case 0:
		return "No alert is active"
	case 1:
		return active[0].Text
	default:
		return fmt.Sprintf("%d alerts; the oldest: %s", n, active[0].Text)
	}
}

// attendAlerts does what the form says.
func attendAlerts(ctx context.Context, b *Bridge, c *call) (*outcome, error) {
	ref := mapping.AlertRef{}
	if chosen := c.chosen["alert"]; chosen != "" && chosen != allAlerts {
		for _, x := range b.activeAt(c.asker, "") {
			if string(x.Device)+"/"+x.Name == chosen {
				ref = mapping.AlertRef{Alert: x.Name, Device: x.Device}
			}
		}
		if ref.Alert == "" {
			return &outcome{level: "info", note: "It is not active any more"}, nil
		}
	}
	for _, deed := range alertDeeds {
		if deed.value == c.chosen["do"] && (deed.end || deed.silence > 0) {
			return b.silenceFor(ctx, mapping.Silence{Alert: ref.Alert, Device: ref.Device, Who: c.mine(), For: deed.silence, End: deed.end})
		}
	}
	active := b.find(c.asker, ref)
	if len(active) == 0 {
		return &outcome{level: "info", note: alertsNote(nil)}, nil
	}
	var refs []mapping.AlertRef
	for _, x := range active {
		refs = append(refs, mapping.AlertRef{Alert: x.Name, Device: x.Device, Began: x.Began})
	}
	return b.acknowledgeFor(ctx, c, refs)
}
