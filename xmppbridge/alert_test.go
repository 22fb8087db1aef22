package xmppbridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidings/xmppbridge/stream"
)

// bodies are those of the messages among what was sent.
func bodies(sent []*stream.Element) []string {
	var out []string
	for _, st := range sent {
		if st.Name == "message" {
			out = append(out, st.Body())
		}
	}
	return out
}

// An alert comes from the device to those who have it among their contacts, else from the hub.
func TestAlert(t *testing.T) {
	bubble(t, setup{store: subscribed()}, func(f *fixture) {
		f.post(1, veraBare, "hot")
		f.post(2, "otto@example.org", "hot")
		out := f.sent()
		if len(out) != 2 {
			t.Fatalf("sent %v", out)
		}
		// Each recipient has a lane; their order among each other is nobody's business.
		slices.SortFunc(out, func(x, y *stream.Element) int { return strings.Compare(y.Attr("to"), x.Attr("to")) })
		for i, from := range []string{lamp, hub} {
			st := out[i]
			if st.Attr("from") != from || st.Attr("type") != "chat" || st.Attr("id") != "alert-hot" || st.Child(nsHints, "store") == nil ||
				st.Child(nsReceipts, "request") == nil || st.Child(nsStanzaID, "origin-id").Attr("id") != "alert-hot" || st.Child(nsDelay, "delay") != nil {
				t.Errorf("alert %s", st)
			}
		}
		if len(f.store.outbox) != 0 {
			t.Errorf("still in the outbox: %+v", f.store.outbox)
		}
	})
}

// What is to be said while the stream is down waits, and goes out in order, with when it was, once.
func TestAlertsWait(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		f.network.set(func(n *testNetwork) { n.down = true })
		f.post(1, veraBare, "a")
		began := time.Now()
		time.Sleep(20 * time.Second)
		f.post(2, veraBare, "b")
		equal(t, "down", bodies(f.sent()), nil)
		f.network.set(func(n *testNetwork) { n.down = false })
		f.Up("")
		out := f.sent()
		equal(t, "up", bodies(out), []string{"a", "b"})
		if d := out[0].Child(nsDelay, "delay"); d.Attr("stamp") != began.UTC().Format(xmppTime) {
			t.Errorf("delay %s", out[0])
		}
		if out[1].Child(nsDelay, "delay") != nil {
			t.Errorf("no delay %s", out[1])
		}
		f.Up("")
		time.Sleep(time.Minute)
		equal(t, "again", bodies(f.sent()), nil)
	})
}

// What the server may not have got is sent again, under the same id; also by the next life of the gateway.
func TestAlertsConfirmed(t *testing.T) {
	store := &testStore{}
	bubbles := func(test func(*fixture)) {
		synctest.Test(t, func(t *testing.T) {
			f := begin(t, setup{store: store})
			test(f)
			f.stop()
		})
	}
	bubbles(func(f *fixture) {
		f.network.set(func(n *testNetwork) { n.barrier = func(context.Context) error { return errNetworkDown } })
		f.post(1, veraBare, "a")
		first := f.sent()
		time.Sleep(alertRetry + time.Second)
		again := f.sent()
		if len(first) != 1 || len(again) != 1 || first[0].Attr("id") != again[0].Attr("id") {
			t.Errorf("sent %v and %v", first, again)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, setup{store: store})
		time.Sleep(alertRetry + time.Second)
		if len(store.outbox) != 0 {
			t.Errorf("still in the outbox: %+v", store.outbox)
		}
		f.stop()
	})
}

// A stop waits for what the server is about to confirm, and not for a server that says nothing.
func TestAlertsAtStop(t *testing.T) {
	for _, c := range []struct {
		answers time.Duration
		left    int
	}{{time.Second, 0}, {time.Hour, 1}} {
		t.Run(c.answers.String(), func(t *testing.T) {
			bubble(t, setup{}, func(f *fixture) {
				f.network.set(func(n *testNetwork) {
					n.barrier = func(ctx context.Context) error {
						if !sleep(ctx, c.answers) {
							return ctx.Err()
						}
						return nil
					}
				})
				f.post(1, veraBare, "a")
				f.sent()
				began := time.Now()
				f.stop()
				if took := time.Since(began); len(f.store.outbox) != c.left || took > barrierGrace {
					t.Errorf("%d left after %v", len(f.store.outbox), took)
				}
			})
		})
	}
}

// Who is away holds up nobody else.
func TestAlertsAway(t *testing.T) {
	bubble(t, setup{audience: Rosters}, func(f *fixture) {
		f.network.set(func(n *testNetwork) {
			n.refuse = func(st *stream.Element) error {
				if strings.HasPrefix(st.Attr("to"), "vera") {
					return ErrAway
				}
				return nil
			}
		})
		f.post(1, veraBare, "a")
		f.post(2, "otto@example.org", "b")
		f.post(3, veraBare, "c")
		equal(t, "away", bodies(f.sent()), []string{"b"})
		f.network.set(func(n *testNetwork) { n.refuse = nil })
		f.Alert()
		equal(t, "here", bodies(f.sent()), []string{"a", "c"})
	})
}

// An alert of a device that its recipient blocks is done with: it does not wait, holds nothing up, and counts as not delivered.
func TestAlertsUnwanted(t *testing.T) {
	bubble(t, setup{audience: Rosters}, func(f *fixture) {
		f.network.set(func(n *testNetwork) {
			n.refuse = func(st *stream.Element) error {
				if st.Body() != "b" {
					return fmt.Errorf("%w", ErrUnwanted)
				}
				return nil
			}
		})
		f.post(1, veraBare, "a")
		f.post(2, veraBare, "b")
		f.store.mu.Lock()
		f.store.outbox = append(f.store.outbox, Outgoing{Seq: 3, ID: "c", To: veraBare, Device: "lamp", Alert: "hot", Body: "c", At: time.Now()})
		f.store.mu.Unlock()
		f.Alert()
		equal(t, "what is wanted", bodies(f.sent()), []string{"b"})
		if len(f.store.outbox) != 0 {
			t.Errorf("in the outbox: %+v", f.store.outbox)
		}
		f.house.mu.Lock()
		defer f.house.mu.Unlock()
		if len(f.house.lost) != 1 || f.house.lost[0].To != veraBare || f.house.lost[0].Alert != "hot" {
			t.Errorf("not delivered: %+v", f.house.lost)
		}
	})
}

// Someone whose connection hangs, and does not know it yet, holds up nobody else, and is not told twice at once.
func TestAlertsHangingConnection(t *testing.T) {
	bubble(t, setup{audience: Rosters}, func(f *fixture) {
		gone := make(chan error)
		f.network.set(func(n *testNetwork) {
			n.barrierTo = func(ctx context.Context, to string) error {
				if to != veraBare {
					return nil
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case err := <-gone:
					return err
				}
			}
		})
		f.post(1, veraBare, "a")
		equal(t, "sent", bodies(f.sent()), []string{"a"})
		f.post(2, "otto@example.org", "b")
		equal(t, "meanwhile", bodies(f.sent()), []string{"b"})
		if len(f.store.outbox) != 1 {
			t.Errorf("in the outbox: %+v", f.store.outbox)
		}
		time.Sleep(time.Hour)
		f.Alert()
		f.Up("")
		equal(t, "to the same stream", bodies(f.sent()), nil)
		f.post(3, veraBare, "c")
		equal(t, "what is new", bodies(f.sent()), []string{"c"})
		gone <- errNetworkDown
		time.Sleep(alertRetry + time.Second)
		equal(t, "when the stream is gone", bodies(f.sent()), []string{"a"})
		f.network.set(func(n *testNetwork) { n.barrierTo = nil })
		gone <- nil // what came between them was taken over
		f.sent()
		if len(f.store.outbox) != 0 {
			t.Errorf("still in the outbox: %+v", f.store.outbox)
		}
		time.Sleep(time.Hour)
		equal(t, "afterwards", bodies(f.sent()), nil)
	})
}

// A receipt is as good as what the stream says; that of somebody else, or for something else, is not.
func TestAlertReceipt(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		f.network.set(func(n *testNetwork) {
			n.barrier = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		})
		f.post(1, veraBare, "a")
		f.post(2, veraBare, "b")
		f.post(3, veraBare, "c")
		f.sent()
		receipt := func(from, id string) {
			f.silence("<message from='" + from + "' to='" + lamp + "'><received xmlns='urn:xmpp:receipts' id='" + id + "'/></message>")
		}
		receipt(otto, "alert-a")
		receipt(mallory, "alert-a")
		receipt(vera, "alert-x")
		if len(f.store.outbox) != 3 {
			t.Errorf("in the outbox: %+v", f.store.outbox)
		}
		receipt("Vera@example.org/pad", "alert-b")
		if len(f.store.outbox) != 2 {
			t.Errorf("in the outbox after one: %+v", f.store.outbox)
		}
		receipt(vera, "alert-a")
		receipt(vera, "alert-c")
		f.alerts.mu.Lock()
		lanes := len(f.alerts.lanes)
		f.alerts.mu.Unlock()
		if len(f.store.outbox) != 0 || lanes != 0 {
			t.Errorf("still in the outbox: %+v; %d lanes", f.store.outbox, lanes)
		}
		time.Sleep(time.Hour)
		equal(t, "again", bodies(f.sent()), nil)
	})
}

// A stream too full to be asked whether it took something has not lost it.
func TestAlertBarrierFull(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		began := time.Now()
		f.network.set(func(n *testNetwork) {
			n.barrier = func(context.Context) error {
				if time.Since(began) < time.Minute {
					return stream.ErrFull
				}
				return nil
			}
		})
		f.post(1, veraBare, "a")
		time.Sleep(2 * time.Minute)
		equal(t, "sent", bodies(f.sent()), []string{"a"})
		if len(f.store.outbox) != 0 {
			t.Errorf("still in the outbox: %+v", f.store.outbox)
		}
	})
}

// Many are sent in batches, each confirmed.
func TestAlertsMany(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		f.network.set(func(n *testNetwork) { n.down = true })
		for i := range 3*alertBatch + 1 {
			f.post(int64(i+1), veraBare, "x")
		}
		f.network.set(func(n *testNetwork) { n.down = false })
		f.Up("")
		if got := len(bodies(f.sent())); got != 3*alertBatch+1 || f.network.barriers != 4 {
			t.Errorf("%d sent, %d barriers", got, f.network.barriers)
		}
	})
}

// On an account an alert waits for the device's own stream, and goes out in the hub's name where there is none for long.
func TestAlertOnAccount(t *testing.T) {
	const gw = "gw@example.org"
	bubble(t, setup{audience: Broadcast, mode: "client"}, func(f *fixture) {
		f.network.set(func(n *testNetwork) {
			n.refuse = func(st *stream.Element) error {
				if st.Attr("from") == gw+"/lamp" {
					return errNetworkDown
				}
				return nil
			}
		})
		f.Up(gw + "/home")
		f.post(1, veraBare, "a")
		equal(t, "at once", bodies(f.sent()), nil)
		time.Sleep(streamsUp + alertRetry)
		out := f.sent()
		equal(t, "later", bodies(out), []string{"a"})
		if len(out) > 0 && out[len(out)-1].Attr("from") != gw+"/home" {
			t.Errorf("alert %s", out[len(out)-1])
		}
	})
}
