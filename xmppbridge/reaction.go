package xmppbridge

import (
	"context"
	"strings"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// Reactions (XEP-0444): a thumb up under an alert acknowledges it. Taking it away again changes nothing.
const nsReactions = "urn:xmpp:reactions:0"

// maxReactions is how many reactions of one message are looked at.
const maxReactions = 16

func reactionFeature() feature { return feature{disco: []string{nsReactions}} }

// reacted takes a message that holds reactions, and reports whether it does: it has no words of its own (§4.1).
func (b *Bridge) reacted(a asker, st *stream.Element, fresh bool) bool {
	reactions := st.Child(nsReactions, "reactions")
	if reactions == nil || st.Attr("type") == "groupchat" { // what a room passes on is roomtalk.go's
		return reactions != nil
	}
	m, known := b.told.find(person(a.full), reactions.Attr("id"))
	if !known || !thumbUp(reactions) || !b.sees(a, m.Device) {
		return true
	}
	target, ok := b.addresses().Resolve(st.Attr("to"))
	if !ok {
		return true
	}
	t := &talk{b: b, asker: a, st: st, target: target, fresh: fresh}
	if refusal, admitted := b.admit(a.full, "👍 "+m.ID); !admitted {
		if refusal != "" {
			t.say(refusal)
		}
		return true
	}
	t.acknowledge([]mapping.AlertRef{m.AlertRef}, func([]mapping.Alert) {}) // the thumb itself is what they see
	return true
}

// thumbUp reports whether somebody reacted with a thumb up, of whatever colour.
func thumbUp(reactions *stream.Element) bool {
	n := 0
	for r := range reactions.Children() {
		if n++; n > maxReactions {
			return false
		}
		rest, is := strings.CutPrefix(strings.TrimSpace(r.Content()), "👍")
		if !is || !r.Is(nsReactions, "reaction") {
			continue
		}
		// Emoji modifiers of skin, and the selector of how it is drawn (Unicode Technical Standard 51).
		if strings.Trim(rest, "\U0001F3FB\U0001F3FC\U0001F3FD\U0001F3FE\U0001F3FF\uFE0F") == "" {
			return true
		}
	}
	return false
}

// acknowledge has alerts acknowledged, once and not late, and hands on those that nobody had acknowledged before.
func (t *talk) acknowledge(refs []mapping.AlertRef, done func([]mapping.Alert)) {
	t.attend(func(ctx context.Context) error {
		acknowledged, err := t.b.o.Desk.Acknowledge(ctx, mapping.Acknowledge{Alerts: refs, By: person(t.full)})
		if err == nil {
			done(acknowledged)
		}
		return err
	})
}

// attend has a worker do something about alerts, once and not late.
func (t *talk) attend(do func(context.Context) error) {
	if err := t.b.refuseOld(t.st, t.fresh); err != nil {
		t.refuse(err)
		return
	}
	if !t.b.replay.first(t.full, t.st, time.Now()) {
		return
	}
	failed := func() { t.say("Something went wrong inside the gateway: its log says what.") }
	queued := t.b.work.do(jobKey{t.full, t.target.ID}, job{failed: failed, do: func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, executeTimeout)
		defer cancel()
		if err := do(ctx); err != nil {
			t.refuse(err)
		}
	}})
	if !queued {
		t.b.replay.undo(t.full, t.st)
		t.say("Not done: too much is being done already. Try again in a moment.")
	}
}
