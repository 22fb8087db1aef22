package xmppbridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

const nsCommands = "http://jabber.org/protocol/commands"

// manyDevices is how many devices a list of commands names one by one; a larger house is asked for by device.
const manyDevices = 50

// executeTimeout bounds one command as a whole, a slow actuator included.
const executeTimeout = 60 * time.Second

// commandsFeature answers XEP-0050. Which commands there are is asked with disco (disco.go).
func commandsFeature() feature {
	return feature{
		disco: []string{nsCommands, nsForm, nsValidate},
		routes: map[routeKey]handler{
			{"set", nsCommands, "command"}: answerCommand,
		},
	}
}

// A command is one node: what it is called, what it asks and what it does.
type command struct {
	node, name string
	device     devices.ID // of the worker's queue; empty for the hub's
	acts       bool       // changes something: never carried out late or twice
	// steps are the pages to fill in before it can be done, made when a session begins.
	steps func(b *Bridge, a asker) []step
	do    func(ctx context.Context, b *Bridge, c *call) (*outcome, error)
}

// A step is one page of a command.
type step struct {
	show   func(b *Bridge, c *call) *stream.Element // the form
	accept func(c *call, values map[string][]string) error
	// then takes over: the rest of the session belongs to the command it returns.
	then func(b *Bridge, c *call) (*command, error)
	more bool // another page comes, whatever it is
}

// A call is one run of a command by one person.
type call struct {
	asker
	value     devices.Value     // asked for by a form
	confirmed bool              // "Really?" was answered with yes
	chosen    map[string]string // answers of earlier steps
}

// An outcome is what a person is told in the end. It is also what a form that asked for nothing shows.
type outcome struct {
	level string // info, warn, error
	note  string
	table *table
	form  *stream.Element
	more  *command // what "next" goes on with; nil: this is all
}

// commands lists the commands of an address for its asker, in the order of the design: a device's own; in the layout
// where devices are resources of one address every device's, its own first (clients send to the first resource that
// advertises commands, whatever device that is); at the hub every device's and the hub's own.
func (b *Bridge) commands(r *request) []*command {
	var out []*command
	if r.target.Kind == mapping.ToDevice {
		if d, _, ok := b.o.House.Device(r.target.ID); ok {
			out = b.deviceCommands(r.asker, d)
		}
		if !b.shared(r.target.ID) {
			return out
		}
	}
	visible := b.visible(r.asker)
	slices.SortStableFunc(visible, func(x, y *mapping.Device) int { return cmp.Compare(x.Name, y.Name) })
	if len(visible) > manyDevices {
		out = append(out, chooseCommand())
	} else {
		name := b.apart(visible)
		for _, d := range visible {
			if r.target.Kind != mapping.ToDevice || d.ID != r.target.ID {
				out = append(out, prefixed(name(d), b.deviceCommands(r.asker, d))...)
			}
		}
	}
	return append(out, b.hubCommands(r.asker)...)
}

// shared reports whether a device is a resource of the hub's own bare JID.
func (b *Bridge) shared(id devices.ID) bool {
	bare, _ := b.addresses().Device(id)
	hub, _ := b.addresses().Hub()
	return bare == hub
}

// prefixed puts the device's name before each command's where several devices share a list.
func prefixed(name string, list []*command) []*command {
	for _, c := range list {
		c.name = name + ": " + c.name
	}
	return list
}

// command finds the command of a node at the request's address: item-not-found for what is not there or hidden,
// forbidden for what may be seen but not done.
func (b *Bridge) command(r *request, node string) (*command, error) {
	notFound := stream.NewStanzaError(stream.ItemNotFound, "there is no command "+node)
	slug, rest, ok := strings.Cut(node, "/")
	if !ok {
		if r.target.Kind == mapping.ToDevice && !b.shared(r.target.ID) {
			return nil, notFound
		}
		if node == chooseNode {
			return chooseCommand(), nil
		}
		if i := slices.IndexFunc(b.hubCommands(asker{role: mapping.Admin}), func(c *command) bool { return c.node == node }); i < 0 {
			return nil, notFound
		}
		for _, c := range b.hubCommands(r.asker) {
			if c.node == node {
				return c, nil
			}
		}
		return nil, stream.NewStanzaError(stream.Forbidden, "only an admin may do this")
	}
	id, ok := b.addresses().Lookup(slug)
	if !ok || !b.sees(r.asker, id) ||
		r.target.Kind == mapping.ToDevice && id != r.target.ID && !b.shared(id) {
		return nil, notFound
	}
	d, _, ok := b.o.House.Device(id)
	if !ok {
		return nil, notFound
	}
	if d.Disabled && rest != statusNode && rest != historyNode { // clients remember commands
		return nil, fmt.Errorf("%s: %w: it is disabled in the configuration", d.Name, devices.ErrDown)
	}
	switch rest {
	case statusNode:
		return b.statusCommand(d), nil
	case chartNode:
		if c := b.chartCommand(d); c != nil {
			return c, nil
		}
	case historyNode:
		if c := b.historyCommand(d); c != nil {
			return c, nil
		}
	}
	if c := b.photoCommand(d, rest); c != nil {
		return c, nil
	}
	if c := b.alertCommand(d, rest); c != nil {
		return c, nil
	}
	for _, a := range d.Actions() {
		if a.Node == rest {
			if !b.access().CanControl(r.bare, id) {
				return nil, stream.NewStanzaError(stream.Forbidden, "your role may see "+d.Name+" but not control it")
			}
			return b.actionCommand(d, a), nil
		}
	}
	return nil, notFound
}

const statusNode = "status"

// deviceCommands are one device's commands: what can be done with it, "Status", "Chart…", "History…", and what can be done about
// its alerts.
func (b *Bridge) deviceCommands(a asker, d *mapping.Device) []*command {
	var out []*command
	if b.access().CanControl(a.bare, d.ID) {
		for _, action := range d.Actions() {
			out = append(out, b.actionCommand(d, action))
		}
	}
	out = append(append(out, b.statusCommand(d)), b.photoCommands(d)...)
	if c := b.chartCommand(d); c != nil {
		out = append(out, c)
	}
	if c := b.historyCommand(d); c != nil {
		out = append(out, c)
	}
	return append(out, b.alertCommands(a, d)...)
}

// actionCommand makes the command of one action: one step for what needs no value, a form for what does, and
// "Really?" for danger.
func (b *Bridge) actionCommand(d *mapping.Device, action mapping.Action) *command {
	p, id := action.Point, d.ID
	c := &command{node: b.addresses().Slug(id) + "/" + action.Node, name: action.Name, device: id, acts: true}
	really := action.Confirm
	if action.Ask || really {
		c.steps = func(b *Bridge, _ asker) []step {
			present, _ := b.present(id, p)
			return []step{actionStep(action, really, present)}
		}
	}
	c.do = func(ctx context.Context, b *Bridge, call *call) (*outcome, error) {
		value := action.Value
		if action.Ask {
			value = call.value
		}
		if really && !call.confirmed {
			return &outcome{level: "info", note: "Not done: " + action.Name + " was not confirmed"}, nil
		}
		return b.execute(ctx, d, p, devices.Request{By: devices.Principal(call.bare), Via: devices.ViaCommand, Device: id,
			Point: p.Name, Value: value, Confirmed: action.Really || call.confirmed})
	}
	return c
}

func (b *Bridge) present(id devices.ID, p *mapping.Point) (devices.PointState, bool) {
	_, state, ok := b.o.House.Device(id)
	if !ok {
		return devices.PointState{}, false
	}
	return state.Point(p.Name)
}

// execute runs a request and puts into words what became of it. The error is one for before the device was asked.
func (b *Bridge) execute(ctx context.Context, d *mapping.Device, p *mapping.Point, r devices.Request) (*outcome, error) {
	result, err := b.o.Executor.Execute(ctx, r)
	var asked *devices.AskedError
	switch {
	case errors.As(err, &asked):
		return &outcome{level: "error", note: fmt.Sprintf("%s: %s: %v", d.Name, p.Label, asked.Err)}, nil
	case err != nil:
		return nil, err
	}
	what := p.Label + " is " + p.Format(result.Value)
	if p.Kind == devices.KindAction {
		what = p.Label + ": done"
	}
	if got, ok := p.Underway(result.Value, result.Reading); ok && result.Confirmed {
		return &outcome{level: "info", note: p.Label + " is " + got + " (accepted by the device)"}, nil
	}
	if result.Confirmed {
		return &outcome{level: "info", note: what + " (confirmed by the device)"}, nil
	}
	if p.Kind != devices.KindAction {
		what = p.Label + ": " + p.Format(result.Value) + " was sent"
	}
	return &outcome{level: "warn", note: what + " (the device does not confirm)"}, nil
}

// actionStep asks for a value, for a yes, or for both on one page.
func actionStep(action mapping.Action, really bool, present devices.PointState) step {
	p := action.Point
	return step{
		show: func(_ *Bridge, c *call) *stream.Element {
			form := newForm("form", action.Name, "")
			if action.Ask {
				form.Add(valueField(p, present))
			}
			if really {
				form.Add(required(newField("really", "boolean", "Really?", "0")))
			}
			return form
		},
		accept: func(c *call, values map[string][]string) error {
			if action.Ask {
				v, err := formValue(p, values["value"])
				if err != nil {
					return badPayload(err.Error())
				}
				c.value = v
			}
			if really {
				yes, ok := formBool(values["really"])
				if !ok {
					return badPayload(`"really" is true or false`)
				}
				c.confirmed = yes
			}
			return nil
		},
	}
}

// valueField is the one field that asks for a point's value, with the present one in it.
func valueField(p *mapping.Point, present devices.PointState) *stream.Element {
	now := ""
	if present.Quality == devices.Good {
		now = present.Value.String()
	}
	switch p.Kind {
	case devices.KindSwitch:
		return required(newField("value", "boolean", p.Label, now))
	case devices.KindChoice:
		if !slices.Contains(p.Options, now) {
			now = "" // it is on its way to one of them
		}
		f := newField("value", "list-single", p.Label, now)
		size := 0
		for _, o := range p.Options {
			if size += 2 * len(o); size > maxReadoutSize {
				break // a device that says so much has to be told by words
			}
			addOption(f, o, o)
		}
		return required(f)
	case devices.KindNumber:
		label := p.Label
		if p.Unit != "" {
			label += " in " + p.Unit
		}
		f := newField("value", "text-single", label, now)
		validateNumber(f, p.Range)
		return required(f)
	}
	f := newField("value", "text-single", p.Label, now)
	switch p.Kind {
	case devices.KindColor:
		describe(f, `By its name, as "red" or "warm white", or as "#ff8800"`)
	case devices.KindTime:
		describe(f, `As "2026-01-31 18:30"`)
	}
	return required(f)
}

func formValue(p *mapping.Point, values []string) (devices.Value, error) {
	if len(values) != 1 {
		return devices.Value{}, fmt.Errorf("%s: one value is wanted", p.Label)
	}
	v, err := p.Parse(values[0])
	if err != nil {
		return devices.Value{}, err
	}
	return p.Check(v)
}

// statusCommand shows every point of a device as a table.
func (b *Bridge) statusCommand(d *mapping.Device) *command {
	return &command{node: b.addresses().Slug(d.ID) + "/" + statusNode, name: "Status", device: d.ID,
		do: func(_ context.Context, b *Bridge, _ *call) (*outcome, error) {
			d, state, err := b.device(d.ID)
			if err != nil {
				return nil, err
			}
			t := &table{title: d.Name, columns: []string{"Point", "Value", "Since"}}
			for i := range d.Points {
				p := &d.Points[i]
				if s, ok := state.Point(p.Name); ok && p.Readable {
					t.rows = append(t.rows, []string{p.Label, p.FormatState(s), ago(s.At)})
				}
			}
			for _, note := range d.Notes {
				t.rows = append(t.rows, []string{"Note", note, ""})
			}
			return &outcome{level: "info", note: b.summary(d), table: t}, nil
		}}
}

// summary is a device in one line: "Greenhouse: 21.4 °C · 48 %" or "Greenhouse is offline: silent for 2 min".
func (b *Bridge) summary(d *mapping.Device) string {
	online, why := b.o.House.Online(d.ID)
	if !online {
		return d.Name + " is offline: " + cmp.Or(why, "not heard yet")
	}
	_, state, _ := b.o.House.Device(d.ID)
	if d.Disabled || state.Info == nil {
		return d.Name + " is disabled"
	}
	return d.Name + ": " + cmp.Or(d.Summary(state), "online")
}

func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return mapping.Duration(time.Since(t)) + " ago"
}

// badPayload is XEP-0050 §4.4's error for a form that does not fit.
func badPayload(text string) error { return commandError(stream.BadRequest, "bad-payload", text) }

func commandError(condition, app, text string) error {
	return stream.NewStanzaError(condition, text, stream.New(nsCommands, app))
}
