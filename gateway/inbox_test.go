package gateway

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"tidings/devices"
	"tidings/mapping"
)

// told are changes in short.
func told(changes []mapping.Change) []string {
	var out []string
	for _, c := range changes {
		switch {
		case c.Announce != nil:
			out = append(out, "announce "+string(c.Announce.ID)+" "+c.Announce.Name)
		case c.Withdraw != nil:
			out = append(out, fmt.Sprint("withdraw ", c.Withdraw.ID, " ", c.Withdraw.Why == devices.Gone))
		case c.Link != nil:
			out = append(out, fmt.Sprint("link ", c.Link.ID, " ", c.Link.Up))
		}
	}
	return out
}

func TestInbox(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		say  func(*inbox)
		want []string
	}{
		{"in order", func(b *inbox) {
			b.announce(devices.Info{ID: "a"})
			b.announce(devices.Info{ID: "b"})
			b.link("b", true, nil)
			b.link("a", true, nil)
		}, []string{"announce a ", "link a true", "announce b ", "link b true"}},
		{"the last counts", func(b *inbox) {
			for i := range 1000 {
				b.announce(devices.Info{ID: "a", Name: fmt.Sprint(i)})
				b.link("a", i%2 == 0, nil)
			}
		}, []string{"announce a 999", "link a false"}},
		{"restarted", func(b *inbox) {
			b.announce(devices.Info{ID: "a"})
			b.link("a", true, nil)
			b.withdraw("a", devices.Restarting)
			b.announce(devices.Info{ID: "a", Name: "again"})
			b.link("a", true, nil)
		}, []string{"withdraw a false", "announce a again", "link a true"}},
		{"gone after a restart", func(b *inbox) {
			b.announce(devices.Info{ID: "a"})
			b.withdraw("a", devices.Restarting)
			b.announce(devices.Info{ID: "a"})
			b.withdraw("a", devices.Gone)
		}, []string{"withdraw a true"}},
		{"moved to another driver", func(b *inbox) {
			b.announce(devices.Info{ID: "a"})
			b.withdraw("a", devices.Gone)
			b.announce(devices.Info{ID: "a", Name: "new"})
		}, []string{"withdraw a true", "announce a new"}},
		{"forgotten", func(b *inbox) {
			b.announce(devices.Info{ID: "a", Driver: "one"})
			b.withdraw("a", devices.Restarting)
			b.forget("a")
			b.forget("a")
		}, []string{"withdraw a true"}},
		{"announced again, be it by another", func(b *inbox) {
			b.announce(devices.Info{ID: "a", Driver: "one"})
			b.withdraw("a", devices.Restarting)
			b.announce(devices.Info{ID: "a", Driver: "two"})
			b.forget("a")
			b.forget("x")
		}, []string{"withdraw a false", "announce a "}},
		{"strangers", func(b *inbox) {
			b.link("x", true, errors.New("who?"))
			b.withdraw("x", devices.Gone)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newInbox()
			c.say(b)
			changes, _, _ := b.take(nil, nil)
			if got := told(changes); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if changes, readings, _ := b.take(nil, nil); len(changes)+len(readings) != 0 {
				t.Errorf("left over: %q, %v", told(changes), readings)
			}
		})
	}
}

func TestInboxCoalesces(t *testing.T) {
	t.Parallel()
	b := newInbox()
	b.announce(devices.Info{ID: "a"})
	for i := range 1000 {
		b.publish([]devices.Reading{{Device: "a", Point: "p", Value: devices.Number(float64(i))}, {Device: "a", Point: "q"}, {Device: "stranger", Point: "p"}})
	}
	_, readings, _ := b.take(nil, nil)
	if len(readings) != 2 || readings[0].Value != devices.Number(999) || b.coalesced.Load() != 2*999 || b.refused.Load() != 1000 {
		t.Errorf("%v, %d coalesced, %d refused", readings, b.coalesced.Load(), b.refused.Load())
	}
	b.publish([]devices.Reading{{Device: "a", Point: "p"}})
	if _, readings, _ := b.take(nil, readings); len(readings) != 1 {
		t.Errorf("afterwards %v", readings)
	}
}

func TestInboxIsBounded(t *testing.T) {
	t.Parallel()
	b := newInbox()
	taken := 0
	for i := range 3 * maxDevices {
		id := devices.ID(fmt.Sprint(i))
		if b.announce(devices.Info{ID: id}) == nil {
			taken++
		}
		b.withdraw(id, devices.Gone)
	}
	if taken != 2*maxDevices {
		t.Errorf("%d taken", taken)
	}
}

// Events do not coalesce, and the readings of other points do around them.
func TestInboxKeepsEvents(t *testing.T) {
	t.Parallel()
	b := newInbox()
	if err := b.announce(devices.Info{ID: "a", Points: []devices.Point{{Name: "bell", Kind: devices.KindEvent}, {Name: "p"}}}); err != nil {
		t.Fatal(err)
	}
	for i := range maxEvents + 5 {
		b.publish([]devices.Reading{{Device: "a", Point: "p", Value: devices.Number(float64(i))}, {Device: "a", Point: "bell", Value: devices.Text(fmt.Sprint(i))}})
	}
	_, readings, events := b.take(nil, nil)
	if len(readings) != maxEvents+1 || len(events) != maxEvents || b.dropped.Load() != 5 {
		t.Fatalf("%d readings, %d events, %d dropped", len(readings), len(events), b.dropped.Load())
	}
	for i, at := range events {
		if got := readings[at]; got.Point != "bell" || got.Value != devices.Text(fmt.Sprint(i)) {
			t.Fatalf("event %d: %v", i, got)
		}
	}
	if _, readings, events := b.take(nil, readings); len(readings)+len(events) != 0 {
		t.Errorf("left over: %v", readings)
	}
}

// A device belongs to the driver that announced it first, until that lets go of it.
func TestInboxOwners(t *testing.T) {
	t.Parallel()
	b := newInbox()
	announce := func(driver string) error { return b.announce(devices.Info{ID: "homeassistant:1", Driver: driver}) }
	for _, step := range []struct {
		err  error
		want error
	}{{announce("one"), nil}, {announce("two"), errOwned}, {announce("one"), nil}} {
		if !errors.Is(step.err, step.want) {
			t.Errorf("%v, want %v", step.err, step.want)
		}
	}
	for _, why := range []devices.Why{devices.Restarting, devices.Gone} {
		b.withdraw("homeassistant:1", why)
		if err := announce("two"); err != nil {
			t.Errorf("after the other has let go (%d): %v", why, err)
		}
	}
}
