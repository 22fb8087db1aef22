package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func message(n int) *Element {
	return New(NS, "message", "id", fmt.Sprint(n))
}

func kept(a *Acks) string {
	var ids []string
	for _, b := range a.Unacked() {
		e, err := Parse(b)
		if err != nil {
			return err.Error()
		}
		ids = append(ids, e.Attr("id"))
	}
	return strings.Join(ids, " ")
}

func TestAcksKeepWhatIsUnacknowledged(t *testing.T) {
	t.Parallel()
	a := NewAcks(0)
	for n := range 5 {
		if err := a.Keep(message(n).AppendXML(nil)); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		h    uint32
		want string
	}{{0, "0 1 2 3 4"}, {2, "2 3 4"}, {1, "2 3 4"}, {2, "2 3 4"}, {5, ""}} {
		if err := a.Ack(step.h); err != nil || kept(a) != step.want {
			t.Errorf("after %d: %q, %v; want %q", step.h, kept(a), err, step.want)
		}
	}
	var wrong *Error
	if err := a.Ack(6); !errors.As(err, &wrong) || !wrong.App.Is(NSManagement, "handled-count-too-high") ||
		wrong.App.Attr("h") != "6" || wrong.App.Attr("send-count") != "5" {
		t.Errorf("more acknowledged than sent: %v", err)
	}
	if a.Sent() != 5 {
		t.Errorf("%d sent", a.Sent())
	}
}

// TestAcksCountModulo lets the counters pass 2^32, as XEP-0198 §4 has them.
func TestAcksCountModulo(t *testing.T) {
	t.Parallel()
	a := NewAcks(0)
	a.acked, a.handled = math.MaxUint32-1, math.MaxUint32
	for n := range 4 {
		if err := a.Keep(message(n).AppendXML(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Ack(1); err != nil || kept(a) != "3" {
		t.Errorf("%q, %v", kept(a), err)
	}
	if err := a.Ack(3); err == nil {
		t.Error("3 of 2 taken")
	}
	if a.Handle(); a.Handled() != 0 {
		t.Error(a.Handled())
	}
}

func TestAcksAreBounded(t *testing.T) {
	t.Parallel()
	a := NewAcks(100)
	for range 4 {
		if err := a.Keep(make([]byte, 25)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Keep([]byte{0}); !errors.Is(err, ErrFull) {
		t.Errorf("the 101st byte: %v", err)
	}
	if err := a.Ack(1); err != nil {
		t.Fatal(err)
	}
	if err := a.Keep(make([]byte, 25)); err != nil {
		t.Error(err)
	}
}

func TestAcksWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := NewAcks(0)
		for n := range 2 {
			if err := a.Keep(message(n).AppendXML(nil)); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 1)
		go func() { done <- a.Acked(t.Context(), 2) }()
		synctest.Wait()
		_ = a.Ack(1)
		synctest.Wait()
		select {
		case <-done:
			t.Error("one of two is enough")
		default:
		}
		_ = a.Ack(2)
		if err := <-done; err != nil {
			t.Error(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := a.Acked(ctx, 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// TestStreamAcknowledges has both ends of a stream managed: what is asked, answered and counted.
func TestStreamAcknowledges(t *testing.T) {
	t.Parallel()
	handled := make(chan *Element, 10)
	r := run(t, Options{Handle: func(e *Element) { handled <- e }})
	if err := r.Send(message(0)); err != nil { // before management: not counted
		t.Fatal(err)
	}
	r.hear()
	a := NewAcks(0)
	if err := r.Manage(a, New(NSManagement, "enable", "resume", "true")); err != nil {
		t.Fatal(err)
	}
	if e := r.hear(); !e.Is(NSManagement, "enable") {
		t.Fatal(e)
	}
	r.say("<message/><enabled xmlns='" + NSManagement + "' id='x'/>")
	<-handled
	if e := <-handled; !e.Is(NSManagement, "enabled") {
		t.Fatal(e)
	}
	a.Begin()

	if err := r.Send(message(1)); err != nil {
		t.Fatal(err)
	}
	if e := r.hear(); e.Attr("id") != "1" {
		t.Fatal(e)
	}
	if e := r.hear(); !e.Is(NSManagement, "r") {
		t.Fatal(e)
	}
	// One question at a time: the next comes when this one is answered.
	if err := r.Send(message(2)); err != nil {
		t.Fatal(err)
	}
	if e := r.hear(); e.Attr("id") != "2" {
		t.Fatal(e)
	}
	r.say("<a xmlns='" + NSManagement + "' h='1'/>")
	if e := r.hear(); !e.Is(NSManagement, "r") {
		t.Fatal(e)
	}
	if kept(a) != "2" {
		t.Errorf("kept %q", kept(a))
	}
	r.say("<a xmlns='" + NSManagement + "' h='2'/>")

	r.say("<message/><iq type='result' id='?'/><r xmlns='" + NSManagement + "'/>")
	if e := r.hear(); !e.Is(NSManagement, "a") || e.Attr("h") != "2" {
		t.Errorf("%v, want 2 handled", e)
	}
	if kept(a) != "" {
		t.Errorf("kept %q", kept(a))
	}
	r.say("<message/>")
	<-handled
	<-handled
	<-handled
	r.stop(nil)
	if e := r.hear(); !e.Is(NSManagement, "a") || e.Attr("h") != "3" {
		t.Errorf("%v at the end, want 3 handled", e)
	}
}

// TestStreamResumes cuts a connection and goes on with another: what was not acknowledged, and what was sent in between, comes once
// more and in order.
func TestStreamResumes(t *testing.T) {
	t.Parallel()
	a := NewAcks(0)
	r := run(t, Options{})
	if err := r.Manage(a, nil); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := r.Send(message(n)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		for {
			if e := r.hear(); e.Attr("id") == fmt.Sprint(n) {
				break
			}
		}
	}
	r.peer.Close()
	<-r.end
	if err := a.Keep(message(3).AppendXML(nil)); err != nil {
		t.Fatal(err)
	}
	if err := a.Ack(1); err != nil { // the h of <resumed/>
		t.Fatal(err)
	}
	near, far := net.Pipe()
	again := NewStream(near, NewDecoder(near, Limits{}), Options{})
	if err := again.Manage(a, nil); err != nil {
		t.Fatal(err)
	}
	if err := again.Send(message(4)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- again.Run(ctx) }()
	dec := NewDecoder(far, Limits{})
	for n := 1; n < 5; n++ {
		if e, err := dec.Next(); err != nil || e.Attr("id") != fmt.Sprint(n) {
			t.Fatalf("%v, %v; want %d", e, err, n)
		}
	}
	if e, err := dec.Next(); err != nil || !e.Is(NSManagement, "r") {
		t.Errorf("%v, %v", e, err)
	}
	stop()
	far.Close()
	<-end
}

func TestStreamRefusesTooHighACount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, condition string }{{"h='1'", UndefinedCondition}, {"", BadFormat}, {"h='-1'", BadFormat}} {
		r := run(t, Options{})
		if err := r.Manage(NewAcks(0), nil); err != nil {
			t.Fatal(err)
		}
		r.say("<a xmlns='" + NSManagement + "' " + c.a + "/>")
		if e := ParseStreamError(r.hear()); e == nil || e.Condition != c.condition || c.condition == UndefinedCondition && e.App == nil {
			t.Errorf("%s: %v", c.a, e)
		}
		r.peer.Close()
		<-r.end
	}
}

// TestStreamGivesUpAPeerThatAcknowledgesNothing though it shows life otherwise.
func TestStreamGivesUpAPeerThatAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{PingTo: "example.org"})
		if err := r.Manage(NewAcks(0), nil); err != nil {
			t.Fatal(err)
		}
		if err := r.Send(message(1)); err != nil {
			t.Fatal(err)
		}
		var peer sync.WaitGroup
		peer.Go(func() {
			for {
				if _, err := r.dec.Next(); err != nil {
					return
				}
			}
		})
		start := time.Now()
		peer.Go(func() {
			for {
				if _, err := r.peer.Write([]byte{' '}); err != nil {
					return
				}
				time.Sleep(10 * time.Second)
			}
		})
		if err := <-r.end; !errors.Is(err, ErrDead) || time.Since(start) > 4*time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		peer.Wait()
	})
}
