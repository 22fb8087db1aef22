package local

import (
	"fmt"
	"sync"
	"testing"

	"tidings/xmppbridge/stream"
)

// Clients come, talk, edit and go, while the house broadcasts and changes: nothing deadlocks, races or is left.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{PerAddress: 100, StanzasPerSec: 1e6, BytesPerSecond: 1 << 30})
	stop := make(chan struct{})
	var house, people sync.WaitGroup
	house.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			f.Broadcast(stream.New(stream.NS, "presence", "from", "lamp@home.example/lamp"))
			f.Send(stream.New(stream.NS, "message", "from", "lamp@home.example/lamp", "to", "alice@home.example"))
			if i%10 == 0 {
				f.house.mu.Lock()
				f.house.contacts["alice"] = devices()[:1+i/10%2]
				f.house.mu.Unlock()
				f.RosterChanged()
			}
			f.Audience("lamp@home.example")
		}
	})
	for i := range 6 {
		people.Go(func() {
			account, other := "alice", "bob"
			if i%2 == 1 {
				account, other = other, account
			}
			for j := range 4 {
				c := f.login(account, fmt.Sprint("r", i/4)) // some share a resource, and push each other out
				c.try("<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq><presence/>")
				for k := range 5 {
					c.try(fmt.Sprintf("<iq type='set' id='%d'><query xmlns='jabber:iq:roster'><item jid='lamp@home.example' name='L%d'/></query></iq>", k, k))
					c.try("<presence type='subscribe' to='" + other + "@home.example'/><presence type='subscribed' to='" + other + "@home.example'/>")
					c.try("<message to='" + other + "@home.example'><body>x</body></message><presence to='door@home.example'/>")
					c.try("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='" + other + "@home.example' subscription='remove'/></query></iq>")
				}
				if j%2 == 0 {
					c.try("</stream:stream>")
					c.ended()
				}
				c.conn.Close()
			}
		})
	}
	people.Wait()
	close(stop)
	house.Wait()
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	for _, a := range f.accounts {
		if len(a.sessions) > 0 {
			t.Errorf("sessions of %s are left: %v", a.name, a.sessions)
		}
	}
}
