package xmppbridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// said is a chat message.
func said(from, to, body string) string {
	return "<message type='chat' from='" + from + "' to='" + to + "'><body>" + body + "</body></message>"
}

// hear says something and returns the bodies of what is answered.
func (f *fixture) hear(from, to, body string) []string {
	f.t.Helper()
	f.sent()
	f.deliver(said(from, to, body))
	var out []string
	for _, st := range f.sent() {
		if st.Name == "message" && st.Body() != "" {
			out = append(out, st.Body())
		}
	}
	return out
}

// Case, articles, punctuation and order are forgiven; what is nearly right is asked about and never done.
func TestWords(t *testing.T) {
	const on, off = "Lamp: Power is on (confirmed by the device).", "Lamp: Power is off (confirmed by the device)."
	for _, c := range []struct{ from, to, say, want string }{
		{otto, lamp, "on", on}, {otto, lamp, "ON", on}, {otto, lamp, "power on", on}, {otto, lamp, "on power", on},
		{otto, lamp, "Please turn the power off!", off}, {otto, lampBare, "off, please", off},
		{otto, hub, "lamp on", on}, {otto, hub, "The Lamp OFF.", off}, {otto, hub, "on lamp", on}, {otto, hubBare, "Lamp power on", on},
		{otto, oven, "set target 200", "Oven: Target is 200 °C (confirmed by the device)."},
		{otto, oven, "target to 200,5 °C", "Oven: Target is 200.5 °C (confirmed by the device)."},
		{otto, hub, "oven set mode GRILL", "Oven: Mode is Grill (confirmed by the device)."},
		{vera, lamp, "status", "Lamp: off\nPower: off"}, {vera, hub, "lamp", "Lamp: off\nPower: off"},
		{vera, hub, "devices", "Lamp (Hall): off\nOven (Kitchen): heat off · 180 °C"},
		{wim, hub, "devices", "Lamp (Hall): off"},
		{vera, hub, "alerts", "No alert is active."},
	} {
		t.Run(c.say, func(t *testing.T) {
			bubble(t, setup{}, func(f *fixture) { equal(t, c.say, f.hear(c.from, c.to, c.say), []string{c.want}) })
		})
	}
	for _, c := range []struct{ from, to, say, contains string }{
		{otto, hub, "lam on", `did you mean "lamp"?`}, {otto, hub, "lapm on", `did you mean "lamp"?`}, {otto, lamp, "power onn", `did you mean "power on"?`},
		{otto, hub, "on", "did not understand"}, {otto, oven, "set 200", "Oven understands: status"}, {otto, lamp, "explode", "Lamp understands: status"},
		{otto, oven, "set target 300", "out of range"}, {otto, oven, "set target warm", "warm"}, {otto, oven, "set mode fry", "Grill, Bake"},
		{vera, lamp, "on", "may see Lamp but not control it"}, {vera, hub, "all off", "nothing that you may turn off"},
		{wim, hub, "oven status", "did not understand"}, {otto, lamp, "help", "Lamp understands: status, power on, power off."},
		{vera, lamp, "help", "Lamp understands: status."}, {otto, hub, "help", "Say "}, {otto, hub, "?", "Say "}, {otto, lamp, "yes", "nothing to say yes to"},
		{otto, lamp, "please", "understands"}, {otto, lamp, strings.Repeat("on ", 200), "too long"},
	} {
		t.Run(c.say, func(t *testing.T) {
			bubble(t, setup{}, func(f *fixture) {
				if got := f.hear(c.from, c.to, c.say); len(got) != 1 || !strings.Contains(got[0], c.contains) {
					t.Errorf("%q: %q, want %q", c.say, got, c.contains)
				}
				if got := f.requests(); len(got) != 0 {
					t.Errorf("%q did %+v", c.say, got)
				}
			})
		})
	}
}

// Why a device did not do something is said once, with its name once, and ends once.
func TestNotDone(t *testing.T) {
	const cause = "mqtt house: 127.0.0.1:21883: connection refused: is the broker running, and the port right?"
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("Lamp is %w: %s", devices.ErrDown, cause), "Lamp is offline: " + cause},
		{fmt.Errorf("Lamp is %w: silent for 2 min", devices.ErrDown), "Lamp is offline: silent for 2 min."},
		{fmt.Errorf("Lamp: %w", devices.ErrTimeout), "Lamp: no answer in time."},
		{fmt.Errorf("Lamp: Power: %w", devices.ErrNotWritable), "Lamp: Power: read only."},
		{devices.ErrBusy, "Lamp: Power: too many commands at once: try again in a moment."},
		{&devices.AskedError{Err: errors.New("no answer: is it plugged in?")}, "Lamp: Power: no answer: is it plugged in?"},
		{&devices.AskedError{Err: devices.ErrTimeout}, "Lamp: Power: no answer in time."},
	} {
		t.Run(c.want, func(t *testing.T) {
			bubble(t, setup{}, func(f *fixture) {
				f.execute = func(context.Context, devices.Request) (devices.Outcome, error) { return devices.Outcome{}, c.err }
				equal(t, "chat", f.hear(otto, lamp, "on"), []string{c.want})
			})
		})
	}
}

// Danger waits for a yes: of the same client, to the one that asked, within a minute, with nothing said in between.
func TestYes(t *testing.T) {
	ask := []string{`Really Oven: Heat on? Say "yes" within a minute.`}
	bubble(t, setup{}, func(f *fixture) {
		equal(t, "ask", f.hear(otto, oven, "heat on"), ask)
		if len(f.requests()) != 0 {
			t.Fatal("it was done")
		}
		for _, c := range []struct{ from, to string }{{alice, oven}, {"otto@example.org/other", oven}} {
			if got := f.hear(c.from, c.to, "yes"); len(got) != 1 || !strings.Contains(got[0], "nothing to say yes to") {
				t.Errorf("%s: %q", c.from, got)
			}
		}
		time.Sleep(59 * time.Second)
		equal(t, "yes", f.hear(otto, oven, "Yes!"), []string{"Oven: Heat is on (confirmed by the device)."})
		if got := f.requests(); len(got) != 1 || !got[0].Confirmed || got[0].Via != devices.ViaChat || got[0].By != "otto@example.org" {
			t.Errorf("executed %+v", got)
		}
		nothing := func(what string) {
			t.Helper()
			if got := f.hear(otto, oven, "yes"); len(got) != 1 || !strings.Contains(got[0], "nothing to say yes to") || len(f.requests()) != 0 {
				t.Errorf("%s: %q", what, got)
			}
		}
		nothing("a second yes")
		// Clients that began with the bare JID go on with the full one the question came from, or the other way round.
		for _, way := range []struct{ ask, words, yes string }{
			{ovenBare, "heat on", oven}, {oven, "heat on", ovenBare}, {hubBare, "oven heat on", hub},
		} {
			f.hear(otto, way.ask, way.words)
			if f.hear(otto, way.yes, "yes"); len(f.requests()) != 1 {
				t.Errorf("asked of %s, yes to %s: not done", way.ask, way.yes)
			}
		}
		equal(t, "ask", f.hear(otto, oven, "heat on"), ask)
		time.Sleep(61 * time.Second)
		nothing("too late")
		equal(t, "ask", f.hear(otto, oven, "heat on"), ask)
		f.hear(otto, oven, "status")
		nothing("something in between")
		equal(t, "ask", f.hear(otto, oven, "heat on"), ask)
		equal(t, "no", f.hear(otto, oven, "no"), []string{"Not done."})
		nothing("after a no")
		f.hear(otto, oven, "heat on")
		f.hear(otto, lamp, "yes")
		nothing("yes to somebody else")
		f.hear(otto, oven, "heat on")
		f.deliver(presenceOf(otto, ovenBare, "unavailable"))
		nothing("gone in between")
		all := f.hear(otto, hub, "All off!") // the lamp answers when it has, before or after the question
		slices.Sort(all)
		equal(t, "all off", all, []string{"Lamp: Power is off (confirmed by the device).", `Really Oven: Heat off? Say "yes" within a minute.`})
		f.requests()
		f.hear(otto, hub, "yes")
		if got := f.requests(); len(got) != 1 || got[0].Device != "oven" || !got[0].Confirmed {
			t.Errorf("executed %+v", got)
		}
	})
}

// What may have waited on the way is not done, and the same stanza does something once, also over a restart.
func TestOldAndTwice(t *testing.T) {
	const on = "<iq type='set' id='7' from='" + otto + "' to='" + lamp + "'><command xmlns='" + nsCommands + "' node='lamp/power/on'/></iq>"
	message := strings.Replace(said(otto, lamp, "on"), "<message ", "<message id='8' ", 1)
	store := &testStore{}
	bubble2s := func(test func(*fixture)) {
		synctest.Test(t, func(t *testing.T) {
			f := begin(t, setup{store: store})
			test(f)
			f.stop()
		})
	}
	bubble2s(func(f *fixture) {
		f.Deliver(f.parse(on), false)
		f.Deliver(f.parse(said(otto, lamp, "on")), false)
		delayed := strings.Replace(said(otto, lamp, "on"), "</message>", "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/></message>", 1)
		f.deliver(delayed)
		var got []string
		for _, st := range f.sent() {
			if st.Name == "iq" {
				got = append(got, failure(st))
			} else {
				got = append(got, st.Body())
			}
		}
		equal(t, "old", got, []string{"resource-constraint",
			"The gateway has just connected and cannot tell how old this is, so it was not done: send it again.", "Too old, not done."})
		if len(f.requests()) != 0 {
			t.Error("it was done")
		}
		// What only looks may be late.
		f.Deliver(f.parse(get(otto, lamp, "<ping xmlns='urn:xmpp:ping'/>")), false)
		f.Deliver(f.parse(set(otto, lamp, "9", "node='lamp/status'", "")), false)
		if out := f.sent(); len(out) != 2 || out[0].Attr("type") != "result" || out[1].Attr("type") != "result" {
			t.Errorf("late, and only looking: %v", out)
		}
		f.answer(on)
		if got := failure(f.answer(on)); got != "conflict" {
			t.Errorf("twice: %s", got)
		}
		f.deliver(message)
		f.deliver(message)
		if got := f.requests(); len(got) != 2 {
			t.Errorf("executed %+v", got)
		}
	})
	bubble2s(func(f *fixture) {
		if got := failure(f.answer(on)); got != "conflict" {
			t.Errorf("after a restart: %s", got)
		}
		f.silence(message)
		// The same id with something else in it, and from somebody else, is another request.
		f.answer(strings.Replace(on, "power/on", "power/off", 1))
		f.answer(strings.ReplaceAll(on, otto, alice))
		// Who went away may count from one again.
		f.deliver(presenceOf(otto, lampBare, "unavailable"))
		f.answer(on)
		if got := f.requests(); len(got) != 3 {
			t.Errorf("executed %+v", got)
		}
	})
	bubble2s(func(f *fixture) {
		time.Sleep(11 * time.Minute)
		f.answer(on)
		if len(f.requests()) != 1 {
			t.Error("ten minutes later it is another command")
		}
	})
}

// Two bots never go on for ever: not with the same words, not with many, not with errors, not with ourselves.
func TestLoops(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		answered := 0
		for range 100 {
			answered += len(f.hear(otto, lamp, "I did not understand that."))
		}
		if answered != chatRepeats+1 { // and once that it is too much
			t.Errorf("the same words were answered %d times", answered)
		}
		answered = 0
		for i := range 100 {
			answered += len(f.hear(alice, lamp, fmt.Sprintf("number %d", i)))
		}
		if answered != chatRate+1 {
			t.Errorf("a flood was answered %d times", answered)
		}
		if got := f.hear(vera, lamp, "status"); len(got) != 1 {
			t.Errorf("somebody else: %q", got)
		}
		time.Sleep(chatWindow + time.Second)
		if got := f.hear(alice, lamp, "status"); len(got) != 1 {
			t.Errorf("a minute later: %q", got)
		}
		f.silence("<message type='error' from='" + vera + "' to='" + lamp + "'><body>on</body><error type='cancel'/></message>")
		f.silence("<message type='groupchat' from='" + vera + "' to='" + lamp + "'><body>status</body></message>")
		f.silence("<message type='headline' from='" + vera + "' to='" + lamp + "'><body>status</body></message>")
		f.silence("<message type='chat' from='" + vera + "' to='" + lamp + "'><received xmlns='urn:xmpp:receipts' id='1'/></message>")
		f.silence(said(hub, lamp, "status"))
	})
}

// Whoever says too much is told so once, with how long it lasts, and the log says who.
func TestTooMuch(t *testing.T) {
	var log bytes.Buffer
	noted := func() []string {
		defer log.Reset()
		return strings.Split(strings.TrimSpace(log.String()), "\n")
	}
	bubble(t, setup{more: func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }}, func(f *fixture) {
		const refused = `level=INFO msg="chat refused for a while: too much of it" jid=otto@example.org/desk`
		burst := func(n int, say func(i int) string) []string {
			t.Helper()
			for i := range n {
				if got := f.hear(otto, lamp, say(i)); len(got) != 1 || strings.Contains(got[0], "Try again") {
					t.Fatalf("message %d: %q", i, got)
				}
			}
			return append(f.hear(otto, lamp, say(n)), f.hear(otto, lamp, say(n+1))...)
		}
		turns := func(i int) string { return []string{"on", "off"}[i%2] }
		noted()
		f.requests()
		time.Sleep(chatWindow)
		f.hear(otto, lamp, "status")
		time.Sleep(20 * time.Second)
		equal(t, "too much", burst(chatRate-1, turns), []string{"That was too much at once: nothing was done. Try again in 40 s."})
		if got := noted(); len(got) != 1 || !strings.Contains(got[0], refused) {
			t.Errorf("the log says %q", got)
		}
		if n := len(f.requests()); n != chatRate-1 {
			t.Errorf("%d are done", n)
		}
		time.Sleep(40*time.Second - time.Nanosecond)
		equal(t, "too early", f.hear(otto, lamp, "on"), nil)
		time.Sleep(time.Nanosecond)
		equal(t, "the same", burst(chatRepeats, func(int) string { return "on" }),
			[]string{"That was the same more than 20 times in a row: nothing was done. Try again in 60 s."})
		if got := noted(); len(got) != 1 || !strings.Contains(got[0], refused) {
			t.Errorf("the log says %q", got)
		}
		equal(t, "something else", f.hear(otto, lamp, "off"), []string{"Lamp: Power is off (confirmed by the device)."})
		equal(t, "too much of that, too", burst(chatRate-chatRepeats-3, turns), []string{"That was too much at once: nothing was done. Try again in 60 s."})
		equal(t, "somebody else", f.hear(alice, lamp, "off"), []string{"Lamp: Power is off (confirmed by the device)."})
	})
}

// A machine that answers all that it is told, refusals too, gets no answer any more before long, however quick or slow it is.
func TestEcho(t *testing.T) {
	const step = 100 * time.Millisecond
	bubble(t, setup{}, func(f *fixture) {
		loop := func(what string, most int, body func(n int) string) {
			for delay := time.Duration(0); delay*time.Duration(most) < chatWindow; delay += step {
				for n := 0; len(f.hear(otto, lamp, body(n))) != 0; n++ {
					if n > most {
						t.Fatalf("%s, every %v: goes on for ever", what, delay)
					}
					time.Sleep(delay)
				}
				time.Sleep(2 * chatWindow)
			}
		}
		loop("the same", chatRepeats, func(int) string { return "I do not understand you" })
		loop("something else each time", chatRate, func(n int) string { return fmt.Sprint("I do not understand you ", n) })
	})
}

// Who encrypts is told once how not to, and nothing is done.
func TestEncrypted(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		for i, payload := range []string{"<encrypted xmlns='eu.siacs.conversations.axolotl'/><body>on</body>", "<encrypted xmlns='urn:xmpp:omemo:2'/>"} {
			f.sent()
			f.deliver("<message type='chat' from='" + otto + "' to='" + lamp + "'>" + payload + "</message>")
			if got := bodies(f.sent()); i == 0 && (len(got) != 1 || !strings.Contains(got[0], "turn encryption (OMEMO) off")) || i > 0 && len(got) != 0 {
				t.Errorf("message %d: %q", i, got)
			}
		}
		if len(f.requests()) != 0 {
			t.Error("it was done")
		}
		equal(t, "in the clear", f.hear(otto, lamp, "on"), []string{"Lamp: Power is on (confirmed by the device)."})
	})
}

// What a role hides and what is not there sound the same.
func TestHiddenInChat(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		for _, to := range []string{oven, ovenBare, "nothing@things.example.org", "nothing@things.example.org/nothing", ovenBare + "/other"} {
			if got := failure(f.answer(said(wim, to, "status"))); got != "item-not-found" {
				t.Errorf("%s: %s", to, got)
			}
		}
	})
}

// An answer is in the words' thread, with a receipt and the end of the chat state where they are known.
func TestTalk(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		f.deliver("<message type='chat' id='m1' from='" + vera + "' to='" + lampBare + "'><body>status</body><thread>t1</thread>" +
			"<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/></message>")
		out := f.sent()
		if len(out) != 2 || out[0].Child(nsReceipts, "received").Attr("id") != "m1" {
			t.Fatalf("answers: %v", out)
		}
		if a := out[1]; a.Attr("from") != lamp || a.Attr("to") != vera || a.ChildText(stream.NS, "thread") != "t1" || a.Child(nsChatStates, "active") == nil {
			t.Errorf("answer: %s", a)
		}
	})
}

// To a resource that is not there is to the bare JID; what a role hides is not there.
func TestTalkToNoResource(t *testing.T) {
	answer := func(f *fixture, from, to string) string {
		t.Helper()
		f.sent()
		f.deliver(said(from, to, "status"))
		out := f.sent()
		if len(out) != 1 {
			t.Fatalf("%s to %s: %v", from, to, out)
		}
		return out[0].Attr("from")
	}
	bubble(t, setup{}, func(f *fixture) {
		for to, want := range map[string]string{lampBare + "/other": lamp, hubBare + "/other": hub, domain + "/other": hub} {
			if got := answer(f, wim, to); got != want {
				t.Errorf("%s: answer from %s", to, got)
			}
		}
	})
	t.Run("shared", func(t *testing.T) {
		bubble(t, setup{layout: mapping.LayoutResource}, func(f *fixture) {
			for _, to := range []string{hubBare + "/other", hubBare + "/oven"} {
				if got := answer(f, wim, to); got != hub {
					t.Errorf("%s: answer from %s", to, got)
				}
			}
		})
	})
}

// Who sends chat states sees that an actuator works, who marks messages that they were read, and who replies is replied to;
// others are spared all that.
func TestTalkExtensions(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		slow := make(chan struct{})
		f.execute = func(_ context.Context, r devices.Request) (devices.Outcome, error) {
			<-slow
			return devices.Outcome{Confirmed: true, Value: r.Value}, nil
		}
		message := func(payload string) []*stream.Element {
			f.deliver("<message type='chat' id='m1' from='" + otto + "' to='" + lamp + "'>" + payload + "</message>")
			return f.sent()
		}
		out := message("<body>on</body><thread>t1</thread><active xmlns='" + nsChatStates + "'/>")
		if len(out) != 1 || out[0].Child(nsChatStates, "composing") == nil || out[0].Body() != "" || out[0].ChildText(stream.NS, "thread") != "t1" {
			t.Fatalf("while it works: %v", out)
		}
		slow <- struct{}{}
		if out = f.sent(); len(out) != 1 || out[0].Child(nsChatStates, "active") == nil || out[0].Body() == "" {
			t.Errorf("when it is done: %v", out)
		}
		if out = message("<body>off</body>"); len(out) != 0 {
			t.Errorf("to who does not know chat states: %v", out)
		}
		slow <- struct{}{}
		if out = f.sent(); len(out) != 1 || out[0].Child(nsChatStates, "active") != nil || out[0].Child(nsReply, "reply") != nil {
			t.Errorf("when it is done: %v", out)
		}
		out = message("<body>status</body><markable xmlns='" + nsMarkers + "'/>")
		if len(out) != 2 || out[0].Child(nsMarkers, "displayed").Attr("id") != "m1" || out[0].Attr("from") != lamp || out[0].Attr("to") != otto {
			t.Errorf("markable: %v", out)
		}
		for extra, id := range map[string]string{"": "m1", "<origin-id xmlns='" + nsStanzaID + "' id='o1'/>": "o1"} {
			out = message("<body>status</body><reply xmlns='" + nsReply + "' to='" + lamp + "' id='a1'/>" + extra)
			if len(out) != 1 || out[0].Child(nsReply, "reply").Attr("id") != id || out[0].Child(nsReply, "reply").Attr("to") != otto {
				t.Errorf("reply: %v", out)
			}
		}
		for _, v := range []string{nsChatStates, nsMarkers, nsReply, nsReceipts} {
			if !slices.Contains(f.caps.vars, v) {
				t.Errorf("%s is not announced", v)
			}
		}
	})
}

// A device that takes its time holds up nobody but who waits for it; too much at once is refused.
func TestSlowDevice(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		slow := make(chan struct{})
		f.execute = func(ctx context.Context, r devices.Request) (devices.Outcome, error) {
			if r.Device == "oven" {
				select {
				case <-slow:
				case <-ctx.Done():
					return devices.Outcome{}, &devices.AskedError{Err: devices.ErrTimeout}
				}
			}
			return devices.Outcome{Confirmed: true, Value: r.Value}, nil
		}
		command := func(to, node string, n int) string {
			return set(otto, to, fmt.Sprint(node, n), "node='"+node+"'", "")
		}
		for i := range maxQueuedPerKey {
			f.deliver(command(oven, "oven/heat/on/really", i))
		}
		if out := f.sent(); len(out) != 0 {
			t.Fatalf("answered at once: %v", out)
		}
		refused := command(oven, "oven/heat/on/really", 100)
		answer := f.answer(refused)
		if e := stream.ParseError(answer); e == nil || e.Condition != stream.ResourceConstraint || e.Type != stream.TypeWait {
			t.Errorf("one too many: %s", answer)
		}
		if got := note(f.answer(command(lamp, "lamp/power/on", 1))); got != "info: Power is on (confirmed by the device)" {
			t.Errorf("another device: %s", got)
		}
		if got := f.answer(get(otto, oven, "<ping xmlns='urn:xmpp:ping'/>")); got.Attr("type") != "result" {
			t.Errorf("a ping: %s", got)
		}
		close(slow)
		var ids []string
		for _, st := range f.sent() {
			ids = append(ids, st.Attr("id"))
		}
		if len(ids) != maxQueuedPerKey || !slices.IsSorted(ids) {
			t.Errorf("in order: %q", ids)
		}
		// What was refused was not done, and may come again.
		if got := note(f.answer(refused)); got != "info: Heat is on (confirmed by the device)" {
			t.Errorf("again: %s", got)
		}
	})
	t.Run("for ever", func(t *testing.T) {
		bubble(t, setup{}, func(f *fixture) {
			f.execute = func(ctx context.Context, _ devices.Request) (devices.Outcome, error) {
				<-ctx.Done()
				return devices.Outcome{}, &devices.AskedError{Err: devices.ErrTimeout}
			}
			f.deliver(set(otto, lamp, "1", "node='lamp/power/on'", ""))
			time.Sleep(executeTimeout + time.Second)
			if out := f.sent(); len(out) != 1 || note(out[0]) != "error: Lamp: Power: no answer in time" {
				t.Errorf("%v", out)
			}
			f.deliver(set(otto, lamp, "2", "node='lamp/power/on'", ""))
			f.stop() // does not wait for the device
		})
	})
}

// A handler that fails answers, and takes nobody along.
func TestPanic(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		f.execute = func(context.Context, devices.Request) (devices.Outcome, error) { panic("test") }
		if got := failure(f.answer(set(otto, lamp, "1", "node='lamp/power/on'", ""))); got != "internal-server-error" {
			t.Error(got)
		}
		f.routes[routeKey{"get", nsPing, "ping"}] = func(*Bridge, *request) (*stream.Element, error) { panic("test") }
		if got := failure(f.answer(get(otto, lamp, "<ping xmlns='urn:xmpp:ping'/>"))); got != "internal-server-error" {
			t.Error(got)
		}
	})
}

// What is only a little alike is not asked about.
func TestFarFetched(t *testing.T) {
	file := strings.Replace(strings.Replace(houseFile, `name = "Lamp"`, `name = "Bed"`, 1), `name = "Oven"`, `name = "Awning"`, 1)
	const none = `I did not understand that. Say "devices" for what there is, or "help".`
	for _, c := range []struct{ to, say, want string }{
		{hub, "set", none}, {hub, "living room off", none}, {hub, "bet", none}, {hub, "on", none},
		{hub, "awnign off", `I know no device "awnign": did you mean "awning"?`},
		{oven, "what is the color?", `I did not understand "what is color?". Awning understands: `},
		{oven, "chrat target", `I did not understand "chrat target": did you mean "chart target"?`},
	} {
		t.Run(c.say, func(t *testing.T) {
			bubble(t, setup{file: file}, func(f *fixture) {
				if got := f.hear(otto, c.to, c.say); len(got) != 1 || !strings.HasPrefix(got[0], c.want) || len(f.requests()) != 0 {
					t.Errorf("%q: %q, want %q", c.say, got, c.want)
				}
			})
		})
	}
}

// What people call their devices and points is never taken for noise.
func TestNoisyNames(t *testing.T) {
	for _, c := range []struct{ name, to, say string }{
		{"Switch 1", hub, "switch 1 on"}, {"Switch 1", hub, "Turn switch 1 on"}, {"Switch", hub, "switch on"}, {"Switch", hub, "on switch"},
		{"Light over the stove", hub, "light over the stove on"}, {"Light over the stove", hub, "turn on light over stove!"},
		{"Die Lampe", hub, "bitte die Lampe on"}, {"Lamp", hub, "the lamp on, please"}, {"Lamp", lamp, "switch the power on"},
	} {
		t.Run(c.say, func(t *testing.T) {
			file := strings.Replace(houseFile, `name = "Lamp"`, `name = "`+c.name+`"`, 1)
			bubble(t, setup{file: file}, func(f *fixture) {
				said := f.hear(otto, c.to, c.say)
				if got := f.requests(); len(got) != 1 || got[0].Device != "lamp" || got[0].Value != devices.Bool(true) {
					t.Errorf("%q did %+v and said %q", c.say, got, said)
				}
			})
		})
	}
}
