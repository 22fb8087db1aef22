package xmppbridge

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

// Whatever is under way when the bridge stops, with a server and a device that do not answer: it ends soon, says goodbye last, and
// answers who waits.
func TestStopWithEverythingUnderWay(t *testing.T) {
	s := alertsWithPictures(&testHistory{}, nil)
	s.file, s.publish = roomFile, Publish{Enabled: true, Service: "pubsub.example.org", Every: time.Second}
	more := s.more
	s.more = func(o *Options) {
		more(o)
		o.Uploader = silentUploader{}
		o.Rooms = []Room{{JID: ops, Nick: "home"}}
	}
	bubble(t, s, func(f *fixture) {
		asked := map[string]bool{}
		f.network.set(func(n *testNetwork) {
			n.answer = func(ctx context.Context, iq *stream.Element) (*stream.Element, error) {
				n.set(func(*testNetwork) { asked[iq.Attr("to")] = true })
				<-ctx.Done()
				return nil, ctx.Err()
			}
			n.barrier = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		})
		began := 0
		f.execute = func(ctx context.Context, r devices.Request) (devices.Outcome, error) {
			began++
			<-ctx.Done()
			return devices.Outcome{}, &devices.AskedError{Err: devices.ErrTimeout}
		}
		f.Up("")
		f.deliver(presenceTo("subscribe", "alice@example.org", lampBare).String())
		f.deliver("<message type='chat' id='c1' from='" + alice + "' to='" + oven + "'><body>chart target 1h</body></message>")
		synctest.Wait()
		f.deliver("<message type='chat' id='c2' from='" + otto + "' to='" + oven + "'><body>chart target 2h</body></message>")
		f.alert(Outgoing{ID: "a1", Alert: "hot", Chart: time.Hour}, "vera@example.org")
		f.deliver("<iq type='set' id='c3' from='" + alice + "' to='" + lamp + "'><command xmlns='" + nsCommands + "' node='lamp/power/on'/></iq>")
		f.deliver("<iq type='set' id='c4' from='" + alice + "' to='" + lamp + "'><command xmlns='" + nsCommands + "' node='lamp/power/off'/></iq>")
		f.sent()
		f.network.set(func(*testNetwork) {
			if !asked[ops] || !asked["pubsub.example.org"] || began != 1 {
				t.Errorf("asked %v, %d commands under way", asked, began)
			}
		})
		before := time.Now()
		f.stop()
		if took := time.Since(before); took > barrierGrace+time.Second {
			t.Errorf("it took %s", took)
		}
		sent := f.network.take()
		for _, id := range []string{"c3", "c4"} {
			if !slices.ContainsFunc(sent, func(st *stream.Element) bool { return st.Name == "iq" && st.Attr("id") == id }) {
				t.Errorf("%s is not answered", id)
			}
		}
		if last := sent[len(sent)-1]; last.Name != "presence" || last.Attr("type") != "unavailable" {
			t.Errorf("the last word is %s", last)
		}
		if left := len(f.store.outbox); left != 1 {
			t.Errorf("%d alerts left, want the one nobody confirmed", left)
		}
	})
}

// silentUploader is a service that does not answer.
type silentUploader struct{}

func (silentUploader) Upload(ctx context.Context, _, _ string, _ []byte) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}
