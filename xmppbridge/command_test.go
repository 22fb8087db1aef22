package xmppbridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

// set is an ad-hoc command request.
func set(from, to, id, attrs, payload string) string {
	return fmt.Sprintf("<iq type='set' from='%s' to='%s' id='%s'><command xmlns='%s' %s>%s</command></iq>", from, to, id, nsCommands, attrs, payload)
}

// submit is a form that was filled in, from pairs of name and value.
func submit(pairs ...string) string {
	x := "<x xmlns='jabber:x:data' type='submit'>"
	for ; len(pairs) > 1; pairs = pairs[2:] {
		x += "<field var='" + pairs[0] + "'><value>" + pairs[1] + "</value></field>"
	}
	return x + "</x>"
}

// failure is the condition of an error with its application's one: "bad-request/bad-payload".
func failure(st *stream.Element) string {
	e := stream.ParseError(st)
	if e == nil {
		return "none: " + st.String()
	}
	text := e.Condition
	for _, app := range e.App {
		text += "/" + app.Name
	}
	return text
}

// open begins a command and returns the id of its session.
func (f *fixture) open(from, to, node string) string {
	f.t.Helper()
	answer := f.answer(set(from, to, "open", "node='"+node+"' action='execute'", ""))
	c := answer.Child(nsCommands, "command")
	if c.Attr("status") != "executing" || c.Attr("sessionid") == "" {
		f.t.Fatalf("%s: %s", node, answer)
	}
	return c.Attr("sessionid")
}

// note is what a completed command says, as "level: text".
func note(st *stream.Element) string {
	c := st.Child(nsCommands, "command")
	if c.Attr("status") != "completed" {
		return st.String()
	}
	n := c.Child(nsCommands, "note")
	return n.Attr("type") + ": " + n.Content()
}

// Every condition that a request can be refused with, in one table.
func TestCommandErrors(t *testing.T) {
	down := func(context.Context, devices.Request) (devices.Outcome, error) {
		return devices.Outcome{}, fmt.Errorf("Lamp is %w: port gone", devices.ErrDown)
	}
	fails := func(err error) func(context.Context, devices.Request) (devices.Outcome, error) {
		return func(context.Context, devices.Request) (devices.Outcome, error) { return devices.Outcome{}, err }
	}
	on := "node='lamp/power/on'"
	for _, c := range []struct {
		name, from, to, attrs, payload string
		execute                        func(context.Context, devices.Request) (devices.Outcome, error)
		want                           string
	}{
		{name: "unknown node", from: alice, to: lamp, attrs: "node='lamp/power/sideways'", want: "item-not-found"},
		{name: "no node", from: alice, to: lamp, want: "item-not-found"},
		{name: "another device's node", from: alice, to: lamp, attrs: "node='oven/heat/on'", want: "item-not-found"},
		{name: "the hub's node at a device", from: alice, to: lamp, attrs: "node='devices'", want: "item-not-found"},
		{name: "unknown address", from: alice, to: "nothing@things.example.org", attrs: on, want: "item-not-found"},
		{name: "another resource", from: alice, to: lampBare + "/x", attrs: on, want: "item-not-found"},
		{name: "hidden device", from: wim, to: oven, attrs: "node='oven/status'", want: "item-not-found"},
		{name: "hidden device's node at the hub", from: wim, to: hub, attrs: "node='oven/status'", want: "item-not-found"},
		{name: "viewer", from: vera, to: lamp, attrs: on, want: "forbidden"},
		{name: "operator reloads", from: otto, to: hub, attrs: "node='reload'", want: "forbidden"},
		{name: "no such action", from: alice, to: lamp, attrs: on + " action='explode'", want: "bad-request/malformed-action"},
		{name: "begins with next", from: alice, to: lamp, attrs: on + " action='next'", want: "bad-request/bad-action"},
		{name: "begins with cancel", from: alice, to: lamp, attrs: on + " action='cancel'", want: "bad-request/bad-action"},
		{name: "unknown session", from: alice, to: lamp, attrs: on + " sessionid='none'", want: "bad-request/bad-sessionid"},
		{name: "offline", from: alice, to: lamp, attrs: on, execute: down, want: "recipient-unavailable"},
		{name: "busy", from: alice, to: lamp, attrs: on, execute: fails(devices.ErrBusy), want: "resource-constraint"},
		{name: "waited in vain", from: alice, to: lamp, attrs: on, execute: fails(devices.ErrTimeout), want: "remote-server-timeout"},
		{name: "out of range", from: alice, to: lamp, attrs: on, execute: fails(devices.ErrRange), want: "not-acceptable"},
		{name: "gone meanwhile", from: alice, to: lamp, attrs: on, execute: fails(devices.ErrUnknownDevice), want: "item-not-found"},
		{name: "read only", from: alice, to: lamp, attrs: on, execute: fails(devices.ErrNotWritable), want: "not-allowed"},
		{name: "forbidden by now", from: alice, to: lamp, attrs: on, execute: fails(devices.ErrForbidden), want: "forbidden"},
		{name: "stopping", from: alice, to: lamp, attrs: on, execute: fails(devices.ErrStopping), want: "service-unavailable"},
		{name: "unexpected", from: alice, to: lamp, attrs: on, execute: fails(errors.New("oops")), want: "internal-server-error"},
		{name: "delayed", from: alice, to: lamp, attrs: on, payload: "", want: "not-allowed"},
		{name: "stranger", from: mallory, to: lamp, attrs: on, want: "service-unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, setup{admin: testAdmin{}}, func(f *fixture) {
				f.execute = c.execute
				xml := set(c.from, c.to, "1", c.attrs, c.payload)
				if c.name == "delayed" {
					xml = strings.Replace(xml, "</iq>", "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/></iq>", 1)
				}
				if got := failure(f.answer(xml)); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
				if c.execute == nil && len(f.requests()) > 0 {
					t.Error("it was executed")
				}
			})
		})
	}
}

type testAdmin struct{ reload func(context.Context) error }

func (a testAdmin) Reload(ctx context.Context) error {
	if a.reload != nil {
		return a.reload(ctx)
	}
	return nil
}
func (testAdmin) Drivers() []DriverStatus {
	return []DriverStatus{{Name: "line", Type: "test"}, {Name: "attic", Type: "test", Health: errors.New("port gone")}}
}
func (testAdmin) RestartDriver(context.Context, string) error { return nil }
func (testAdmin) Log(int) []string                            { return []string{"one", "two"} }

// Forms that do not fit are refused, and may be corrected.
func TestFormErrors(t *testing.T) {
	for _, c := range []struct{ name, node, payload, want string }{
		{"no form", "oven/target/set", "", "bad-request/bad-payload"},
		{"a form of another type", "oven/target/set", "<x xmlns='jabber:x:data' type='form'/>", "bad-request/bad-payload"},
		{"no value", "oven/target/set", submit(), "bad-request/bad-payload"},
		{"two values", "oven/target/set", "<x xmlns='jabber:x:data' type='submit'><field var='value'><value>1</value><value>2</value></field></x>", "bad-request/bad-payload"},
		{"the field twice", "oven/target/set", submit("value", "100", "value", "110"), "bad-request/bad-payload"},
		{"a field without a name", "oven/target/set", "<x xmlns='jabber:x:data' type='submit'><field><value>100</value></field></x>", "bad-request/bad-payload"},
		{"no number", "oven/target/set", submit("value", "warm"), "bad-request/bad-payload"},
		{"not a number", "oven/target/set", submit("value", "NaN"), "bad-request/bad-payload"},
		{"out of range", "oven/target/set", submit("value", "251"), "bad-request/bad-payload"},
		{"no choice", "oven/mode/set", submit("value", "Fry"), "bad-request/bad-payload"},
		{"no boolean", "oven/heat/on", submit("really", "perhaps"), "bad-request/bad-payload"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, setup{}, func(f *fixture) {
				id := f.open(otto, oven, c.node)
				attrs := "node='" + c.node + "' action='complete' sessionid='" + id + "'"
				if got := failure(f.answer(set(otto, oven, "2", attrs, c.payload))); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
				if len(f.requests()) > 0 {
					t.Error("it was executed")
				}
				// Not typed, as some clients send it, and right this time.
				right := map[string]string{"oven/target/set": submit("value", "100"), "oven/mode/set": submit("value", "grill"), "oven/heat/on": submit("really", "true")}[c.node]
				if got := note(f.answer(set(otto, oven, "3", attrs, right))); !strings.HasPrefix(got, "info: ") {
					t.Errorf("corrected: %s", got)
				}
				if len(f.requests()) != 1 {
					t.Error("it was not executed")
				}
			})
		})
	}
}

func TestSessions(t *testing.T) {
	const node = "node='oven/target/set' "
	t.Run("belong to who began them", func(t *testing.T) {
		bubble(t, setup{}, func(f *fixture) {
			id := f.open(otto, oven, "oven/target/set")
			for _, c := range []struct{ from, to, attrs, want string }{
				{alice, oven, node, "bad-request/bad-sessionid"},
				{"otto@example.org/other", oven, node, "bad-request/bad-sessionid"},
				{otto, oven, "node='oven/heat/on' ", "bad-request/bad-sessionid"},
				{otto, hub, node, "bad-request/bad-sessionid"}, // it began at the oven
				{otto, oven, node + "action='prev' ", "bad-request/bad-action"},
				{otto, oven, node + "action='next' ", "bad-request/bad-action"},
			} {
				if got := failure(f.answer(set(c.from, c.to, "2", c.attrs+"sessionid='"+id+"'", submit("value", "100")))); got != c.want {
					t.Errorf("%s %s: %s, want %s", c.from, c.attrs, got, c.want)
				}
			}
			// The default action is execute, which is complete here.
			if got := note(f.answer(set(otto, oven, "3", node+"sessionid='"+id+"'", submit("value", "100")))); got != "info: Target is 100 °C (confirmed by the device)" {
				t.Error(got)
			}
			if got := failure(f.answer(set(otto, oven, "4", node+"sessionid='"+id+"'", submit("value", "100")))); got != "bad-request/bad-sessionid" {
				t.Errorf("over, and again: %s", got)
			}
		})
	})
	t.Run("expire", func(t *testing.T) {
		for _, after := range []time.Duration{sessionLife + time.Second, sessionLife + time.Minute} {
			bubble2(t, func(f *fixture) {
				id := f.open(otto, oven, "oven/target/set")
				time.Sleep(after)
				if got := failure(f.answer(set(otto, oven, "2", node+"sessionid='"+id+"'", submit("value", "100")))); got != "not-allowed/session-expired" {
					t.Errorf("after %v: %s", after, got)
				}
			})
		}
	})
	t.Run("are cancelled", func(t *testing.T) {
		bubble(t, setup{}, func(f *fixture) {
			id := f.open(otto, oven, "oven/target/set")
			answer := f.answer(set(otto, oven, "2", node+"action='cancel' sessionid='"+id+"'", ""))
			if c := answer.Child(nsCommands, "command"); c.Attr("status") != "canceled" || c.Attr("sessionid") != id {
				t.Error(answer)
			}
			if got := failure(f.answer(set(otto, oven, "3", node+"sessionid='"+id+"'", submit("value", "100")))); got != "bad-request/bad-sessionid" {
				t.Error(got)
			}
		})
	})
	t.Run("are bounded", func(t *testing.T) {
		bubble(t, setup{}, func(f *fixture) {
			for range maxSessionsPerJID {
				f.open(otto, oven, "oven/target/set")
			}
			answer := f.answer(set(otto, oven, "2", node, ""))
			if e := stream.ParseError(answer); e == nil || e.Condition != stream.ResourceConstraint || e.Type != stream.TypeWait {
				t.Error(answer)
			}
			f.open(alice, oven, "oven/target/set")
			f.deliver("<presence type='unavailable' from='" + otto + "' to='" + ovenBare + "'/>")
			f.open(otto, oven, "oven/target/set")
		})
	})
	t.Run("end with access", func(t *testing.T) {
		bubble(t, setup{admin: testAdmin{}}, func(f *fixture) {
			theirs, hers := f.open(otto, oven, "oven/target/set"), f.open(alice, hub, "restart")
			less := readHouse(t, strings.Replace(houseFile, `= "operator"`, `= "viewer"`, 1))
			f.Configure("House", less.Access)
			if got := failure(f.answer(set(otto, oven, "2", node+"sessionid='"+theirs+"'", submit("value", "100")))); got != "bad-request/bad-sessionid" {
				t.Error(got)
			}
			if got := note(f.answer(set(alice, hub, "3", "node='restart' sessionid='"+hers+"'", submit("driver", "line")))); got != "info: Driver line was restarted" {
				t.Error(got)
			}
		})
	})
}

// bubble2 is bubble for a test of several bubbles.
func bubble2(t *testing.T, test func(*fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, setup{})
		test(f)
		f.stop()
	})
}

// What a command asks, and in what words it answers.
func TestCommandOutcomes(t *testing.T) {
	asked := func(err error) func(context.Context, devices.Request) (devices.Outcome, error) {
		return func(_ context.Context, r devices.Request) (devices.Outcome, error) {
			return devices.Outcome{Value: r.Value}, &devices.AskedError{Err: err}
		}
	}
	for _, c := range []struct {
		name, to, node string
		execute        func(context.Context, devices.Request) (devices.Outcome, error)
		want           string
	}{
		{name: "confirmed", to: lamp, node: "lamp/power/on", want: "info: Power is on (confirmed by the device)"},
		{name: "at the hub", to: hub, node: "lamp/power/off", want: "info: Power is off (confirmed by the device)"},
		{name: "bare address", to: lampBare, node: "lamp/power/on", want: "info: Power is on (confirmed by the device)"},
		{name: "really", to: oven, node: "oven/heat/on/really", want: "info: Heat is on (confirmed by the device)"},
		{name: "does not confirm", to: lamp, node: "lamp/power/on", want: "warn: Power: on was sent (the device does not confirm)",
			execute: func(_ context.Context, r devices.Request) (devices.Outcome, error) {
				return devices.Outcome{Value: r.Value}, nil
			}},
		{name: "did not confirm", to: lamp, node: "lamp/power/on", execute: asked(devices.ErrNoConfirm), want: "error: Lamp: Power: the device did not confirm"},
		{name: "no answer", to: lamp, node: "lamp/power/on", execute: asked(devices.ErrTimeout), want: "error: Lamp: Power: no answer in time"},
		{name: "status", to: oven, node: "oven/status", want: "info: Oven: heat off · 180 °C"},
		{name: "alerts", to: hub, node: "alerts", want: "info: No alert is active"},
		{name: "devices", to: hub, node: "devices", want: "info: 2 devices"},
		{name: "reload", to: hub, node: "reload", want: "info: The configuration was reloaded"},
		{name: "log", to: hub, node: "log", want: "info: two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, setup{admin: testAdmin{}}, func(f *fixture) {
				f.execute = c.execute
				if got := note(f.answer(set(alice, c.to, "1", "node='"+c.node+"'", ""))); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
			})
		})
	}
}

// Danger is asked about, and only a yes goes to the executor as one.
func TestDanger(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		id := f.open(otto, oven, "oven/heat/on")
		attrs := "node='oven/heat/on' action='complete' sessionid='" + id + "'"
		if got := note(f.answer(set(otto, oven, "2", attrs, submit("really", "0")))); got != "info: Not done: Heat on was not confirmed" {
			t.Error(got)
		}
		if got := f.requests(); len(got) != 0 {
			t.Errorf("executed: %+v", got)
		}
		id = f.open(otto, oven, "oven/heat/on")
		f.answer(set(otto, oven, "3", "node='oven/heat/on' action='complete' sessionid='"+id+"'", submit("really", "1")))
		want := []devices.Request{{By: "otto@example.org", Via: devices.ViaCommand, Device: "oven", Point: "heat", Value: devices.Bool(true), Confirmed: true}}
		if got := f.requests(); !slices.Equal(got, want) {
			t.Errorf("executed: %+v", got)
		}
		f.answer(set(otto, lamp, "4", "node='lamp/power/on'", ""))
		if got := f.requests(); len(got) != 1 || got[0].Confirmed {
			t.Errorf("executed: %+v", got)
		}
	})
}

// A form shows what the point is like and what it reads.
func TestForm(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		answer := f.answer(set(otto, oven, "1", "node='oven/target/set'", ""))
		c := answer.Child(nsCommands, "command")
		want := "<field xmlns='jabber:x:data' var='value' type='text-single' label='Target in °C'><value>180</value>" +
			"<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:decimal'><range min='50' max='250'/></validate><required/></field>"
		if got := c.Child(nsForm, "x").Child(nsForm, "field").String(); got != strings.ReplaceAll(want, "'", got[len("<field xmlns="):][:1]) {
			t.Errorf("field\n%s, want\n%s", got, want)
		}
		actions := c.Child(nsCommands, "actions")
		if actions.Attr("execute") != "complete" || actions.Child("", "complete") == nil || actions.Child("", "next") != nil || actions.Child("", "prev") != nil {
			t.Errorf("actions %s", actions)
		}
		answer = f.answer(set(otto, oven, "2", "node='oven/mode/set'", ""))
		field := answer.Child(nsCommands, "command").Child(nsForm, "x").Child(nsForm, "field")
		if field.Attr("type") != "list-single" || field.ChildText(nsForm, "value") != "Bake" || len(field.Nodes) != 4 {
			t.Errorf("field %s", field)
		}
	})
}

// Lists are in the order of the design, each item with the address that was asked.
func TestCommandLists(t *testing.T) {
	list := func(f *fixture, from, to string) []string {
		answer := f.answer("<iq type='get' from='" + from + "' to='" + to + "' id='1'><query xmlns='" + nsDiscoItems + "' node='" + nsCommands + "'/></iq>")
		var out []string
		for i := range answer.First().Children() {
			if i.Attr("jid") != to {
				f.t.Errorf("item %s", i)
			}
			out = append(out, i.Attr("name"))
		}
		return out
	}
	bubble(t, setup{admin: testAdmin{}}, func(f *fixture) {
		equal(t, "operator", list(f, otto, oven), []string{"Heat on", "Really heat on", "Heat off", "Really heat off", "Set target…", "Set mode…", "Status"})
		equal(t, "viewer", list(f, vera, oven), []string{"Status"})
		equal(t, "hub", list(f, alice, hub), []string{"Lamp: Power on", "Lamp: Power off", "Lamp: Status", "Oven: Heat on", "Oven: Really heat on",
			"Oven: Heat off", "Oven: Really heat off", "Oven: Set target…", "Oven: Set mode…", "Oven: Status",
			"All devices", "Alerts…", "Add devices…", "Reload configuration", "Restart a driver…", "Log"})
		equal(t, "limited", list(f, wim, hub), []string{"Lamp: Status", "All devices", "Alerts…", "Add devices…"})
	})
}

// In the layout where devices are resources of one address, each lists all commands, its own first.
func TestSharedCommandLists(t *testing.T) {
	bubble(t, setup{layout: "resource"}, func(f *fixture) {
		at := "home@things.example.org/oven"
		answer := f.answer("<iq type='get' from='" + vera + "' to='" + at + "' id='1'><query xmlns='" + nsDiscoItems + "' node='" + nsCommands + "'/></iq>")
		var out []string
		for i := range answer.First().Children() {
			out = append(out, i.Attr("name")+" "+i.Attr("node")+" "+i.Attr("jid"))
		}
		equal(t, "oven", out, []string{"Status oven/status " + at, "Lamp: Status lamp/status " + at, "All devices devices " + at, "Alerts… alerts " + at})
		if got := note(f.answer(set(otto, at, "2", "node='lamp/power/on'", ""))); got != "info: Power is on (confirmed by the device)" {
			t.Error(got)
		}
	})
}

// Above fifty devices one is chosen first; its command then takes the session over, and pages go back and forth.
func TestManyDevices(t *testing.T) {
	var file strings.Builder
	file.WriteString(houseFile)
	for i := range 250 {
		fmt.Fprintf(&file, "[devices.d%[1]d]\ndriver = \"line\"\nname = \"Device %[1]d\"\nsettle = \"0s\"\n[devices.d%[1]d.points.p]\nkind = \"switch\"\n", i)
	}
	bubble(t, setup{file: file.String()}, func(f *fixture) {
		for i := range 250 {
			f.house.step(announceSwitch(devices.ID(fmt.Sprintf("d%d", i))))
		}
		step := func(id, action, payload string) *stream.Element {
			f.t.Helper()
			return f.answer(set(otto, hub, "x", "node='choose' action='"+action+"' sessionid='"+id+"'", payload)).Child(nsCommands, "command")
		}
		id := f.open(otto, hub, "choose")
		if got := len(slices.Collect(step(id, "next", submit("part", "vice 24")).Child(nsForm, "x").Child(nsForm, "field").Children())); got != 11+1 {
			t.Errorf("%d options, want 11 and required", got)
		}
		if c := step(id, "prev", ""); c.Child(nsForm, "x").Child(nsForm, "field").Attr("var") != "part" {
			t.Errorf("back: %s", c)
		}
		step(id, "next", submit("part", "oven"))
		c := step(id, "next", submit("device", "oven"))
		if c.Child(nsForm, "x").Child(nsForm, "field").Attr("var") != "command" {
			t.Fatalf("commands: %s", c)
		}
		c = step(id, "complete", submit("command", "oven/target/set"))
		if c.Attr("status") != "executing" || c.Child(nsForm, "x").Child(nsForm, "field").Attr("var") != "value" {
			t.Fatalf("value: %s", c)
		}
		c = step(id, "complete", submit("value", "90"))
		if c.Attr("status") != "completed" {
			t.Errorf("done: %s", c)
		}
		if got := f.requests(); len(got) != 1 || got[0].Point != "target" {
			t.Errorf("executed %+v", got)
		}

		// All devices, a hundred a page.
		first := f.answer(set(otto, hub, "y", "node='devices'", "")).Child(nsCommands, "command")
		rows := 0
		for page := first; ; {
			for range page.Child(nsForm, "x").Children() {
				rows++
			}
			rows -= 2 // title, reported
			if page.Attr("status") == "completed" {
				break
			}
			page = f.answer(set(otto, hub, "z", "node='devices' action='"+page.Child(nsCommands, "actions").Attr("execute")+"' sessionid='"+first.Attr("sessionid")+"'", "")).Child(nsCommands, "command")
		}
		if rows != 252 {
			t.Errorf("%d rows", rows)
		}
	})
}
