package xmppbridge

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"tidings/devices"
	"tidings/xmppbridge/stream"
	"tidings/xmppbridge/xmpptest"
)

var badHouse = xmpptest.BadHouse{Lamp: lamp, Warm: oven, Hub: hub, Danger: "heat"}

// left is what is under way for people and programs.
func (f *fixture) left() string {
	f.t.Helper()
	synctest.Wait()
	f.sessions.mu.Lock()
	sessions := len(f.sessions.live)
	f.sessions.mu.Unlock()
	f.events.mu.Lock()
	watches := f.events.total
	f.events.mu.Unlock()
	f.readouts.mu.Lock()
	readouts := len(f.readouts.live)
	f.readouts.mu.Unlock()
	f.work.mu.Lock()
	jobs := f.work.total
	f.work.mu.Unlock()
	return fmt.Sprintf("%d sessions, %d subscriptions, %d readouts, %d jobs", sessions, watches, readouts, jobs)
}

const nothingLeft = "0 sessions, 0 subscriptions, 0 readouts, 0 jobs"

// Whatever is wrong with a request gets its own error, and nothing is done or left for it.
func TestBadInput(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		n := 0
		iq := func(to, typ, payload string) *stream.Element {
			n++
			return f.answer(fmt.Sprintf("<iq from='%s' to='%s' type='%s' id='bad-%d'>%s</iq>", alice, to, typ, n, payload))
		}
		rows := append(xmpptest.BadInputs(badHouse),
			xmpptest.BadInput{Name: "no payload", To: "lamp", Type: "get", Error: "bad-request"},
			xmpptest.BadInput{Name: "two payloads", To: "lamp", Type: "get", Payload: "<ping xmlns='urn:xmpp:ping'/><ping xmlns='urn:xmpp:ping'/>", Error: "bad-request"},
			xmpptest.BadInput{Name: "a device that is not", To: "nobody@things.example.org/nobody", Type: "get", Payload: "<ping xmlns='urn:xmpp:ping'/>", Error: "item-not-found"})
		for _, row := range rows {
			payload, session := row.Payload, ""
			if strings.Contains(payload, "SESSION") {
				opened := iq(oven, "set", "<command xmlns='"+nsCommands+"' node='oven/target/set'/>")
				session = opened.Child(nsCommands, "command").Attr("sessionid")
				payload = strings.ReplaceAll(payload, "SESSION", session)
			}
			answer := iq(row.Address(badHouse), row.Type, payload)
			e := stream.ParseError(answer)
			app := ""
			if e != nil && len(e.App) > 0 {
				app = e.App[0].Name
			}
			if e == nil || e.Condition != row.Error || app != row.App || answer.Attr("type") != "error" || answer.Attr("id") != fmt.Sprintf("bad-%d", n) {
				t.Errorf("%s:\n%.300s\nis answered by %s\nwant %s %s", row.Name, payload, answer, row.Error, row.App)
			}
			if session != "" { // which stays open, for another try
				iq(oven, "set", "<command xmlns='"+nsCommands+"' node='oven/target/set' sessionid='"+session+"' action='cancel'/>")
			}
			if got := f.requests(); len(got) != 0 {
				t.Errorf("%s: executed %+v", row.Name, got)
			}
			if left := f.left(); left != nothingLeft {
				t.Errorf("%s: left %s", row.Name, left)
			}
		}
		f.silence("<message from='" + alice + "' to='" + lamp + "'><set xmlns='urn:xmpp:iot:control'><boolean name='power' value='maybe'/></set></message>")
		if got := f.requests(); len(got) != 0 {
			t.Errorf("by a message: executed %+v", got)
		}
	})
}

// Of a thousand commands at once those that there is room for are done, in order, and all others refused at once.
func TestFlood(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		release := make(chan struct{})
		f.execute = func(_ context.Context, r devices.Request) (devices.Outcome, error) {
			<-release
			return devices.Outcome{Confirmed: true, Value: r.Value}, nil
		}
		const flood = 1000
		for i := range flood {
			f.deliver(fmt.Sprintf("<iq from='%s' to='%s' type='set' id='flood-%d'><command xmlns='%s' node='lamp/power/on'/></iq>", alice, lamp, i, nsCommands))
		}
		refused := 0
		for _, st := range f.sent() {
			if e := stream.ParseError(st); e == nil || e.Condition != stream.ResourceConstraint || e.Type != stream.TypeWait {
				t.Fatalf("answered by %s", st)
			}
			refused++
		}
		if refused != flood-maxQueuedPerKey {
			t.Errorf("%d refused", refused)
		}
		close(release)
		if done := len(f.sent()); done != maxQueuedPerKey || len(f.requests()) != maxQueuedPerKey || f.left() != nothingLeft {
			t.Errorf("%d answered then, left %s", done, f.left())
		}
	})
}
