package mqtt

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func events(topic string) bool { return topic == "event" }

func TestInboxKeepsTheLatestOfBusyTopics(t *testing.T) {
	t.Parallel()
	const topics = 3
	in := newInbox(events)
	in.push(incoming{topic: "quiet", payload: []byte("-1")})
	for i := range 2000 {
		in.push(incoming{topic: "t" + strconv.Itoa(i%topics), payload: []byte(strconv.Itoa(i))})
		if len(in.queue) > inboxMessages {
			t.Fatalf("%d messages are queued", len(in.queue))
		}
	}
	messages, coalesced, dropped := in.take()
	if len(messages)+coalesced != 2001 || dropped != 0 {
		t.Errorf("%d messages, %d coalesced and %d dropped of 2001", len(messages), coalesced, dropped)
	}
	last := -2
	for _, m := range messages {
		n, _ := strconv.Atoi(string(m.payload))
		if n <= last {
			t.Fatalf("%d after %d", n, last)
		}
		last = n
	}
	if last != 1999 || messages[0].topic != "quiet" {
		t.Errorf("the first is of %s, the last message is %d", messages[0].topic, last)
	}
	if again, coalesced, _ := in.take(); len(again) != 0 || coalesced != 0 {
		t.Errorf("taken again: %d, %d", len(again), coalesced)
	}
}

// What happened is not replaced by what happens next, up to a bound.
func TestInboxKeepsEvents(t *testing.T) {
	t.Parallel()
	asked := 0
	in := newInbox(func(topic string) bool {
		asked++
		return events(topic)
	})
	const presses = maxEvents + 44
	for i := range 5 * inboxMessages {
		if i < presses {
			in.push(incoming{topic: "event", payload: []byte(strconv.Itoa(i))})
		}
		in.push(incoming{topic: "flood", payload: []byte("x")})
	}
	messages, _, dropped := in.take()
	next := presses - maxEvents
	for _, m := range messages {
		if m.topic == "event" {
			if string(m.payload) != strconv.Itoa(next) {
				t.Fatalf("event %s, want %d", m.payload, next)
			}
			next++
		}
	}
	if next != presses || dropped != presses-maxEvents {
		t.Errorf("events up to %d, %d dropped", next, dropped)
	}
	if asked > 50 {
		t.Errorf("asked %d times which of two topics has events", asked)
	}
}

func TestInboxBoundsBytes(t *testing.T) {
	t.Parallel()
	in := newInbox(events)
	for i := range 100 {
		in.push(incoming{topic: "image", payload: make([]byte, 1<<20), at: time.Unix(int64(i), 0)})
		if in.bytes > inboxBytes {
			t.Fatalf("%d bytes are queued", in.bytes)
		}
	}
	in.push(incoming{topic: "other", payload: []byte("x")})
	messages, _, _ := in.take()
	if n := len(messages); messages[n-2].at != time.Unix(99, 0) || messages[n-1].topic != "other" {
		t.Errorf("the latest are not there: %d messages", n)
	}
}

// A broker with many topics waits until they are taken, and none is lost.
func TestInboxMakesManyTopicsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newInbox(events)
		const topics = 50_000
		pushed := make(chan bool)
		go func() {
			for i := range topics {
				in.push(incoming{topic: strconv.Itoa(i), payload: []byte("x")})
			}
			close(pushed)
		}()
		for next := 0; next < topics; {
			synctest.Wait()
			messages, coalesced, dropped := in.take()
			if len(messages) > fullMessages || len(messages) == 0 || coalesced+dropped > 0 {
				t.Fatalf("%d messages, %d coalesced, %d dropped", len(messages), coalesced, dropped)
			}
			for _, m := range messages {
				if m.topic != strconv.Itoa(next) {
					t.Fatalf("%s, want %d", m.topic, next)
				}
				next++
			}
		}
		<-pushed
	})
}

func TestInboxClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newInbox(events)
		pushed := make(chan bool)
		go func() {
			for i := range fullMessages + 1 {
				in.push(incoming{topic: strconv.Itoa(i)})
			}
			close(pushed)
		}()
		synctest.Wait()
		in.close()
		<-pushed
		if messages, _, _ := in.take(); len(messages) != fullMessages {
			t.Errorf("%d messages", len(messages))
		}
	})
}
