package xmppbridge

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// A rosterServer plays the people's server: it keeps contact lists and lets the component write them.
type rosterServer struct {
	mu     sync.Mutex
	lists  map[string]map[string]*stream.Element // by person and contact
	asked  []string                              // of whom
	refuse *stream.StanzaError
	hang   bool
}

func (s *rosterServer) answer(ctx context.Context, iq *stream.Element) (*stream.Element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	person := iq.Attr("to")
	s.asked = append(s.asked, iq.Attr("type")+" "+person)
	if s.refuse != nil {
		return nil, s.refuse
	}
	if s.hang {
		s.mu.Unlock()
		<-ctx.Done()
		s.mu.Lock()
		return nil, ctx.Err()
	}
	if s.lists[person] == nil {
		s.lists[person] = map[string]*stream.Element{}
	}
	if iq.Attr("from") != domain {
		return nil, stream.NewStanzaError(stream.Forbidden, "")
	}
	if iq.Attr("type") == "set" {
		item := iq.Child(nsRoster, "query").Child(nsRoster, "item")
		if item.Attr("subscription") == "remove" {
			delete(s.lists[person], item.Attr("jid"))
		} else {
			s.lists[person][item.Attr("jid")] = item
		}
		return stream.New(stream.NS, "iq", "type", "result"), nil
	}
	query := stream.New(nsRoster, "query")
	for _, jid := range slices.Sorted(maps.Keys(s.lists[person])) {
		query.Add(s.lists[person][jid])
	}
	return stream.New(stream.NS, "iq", "type", "result").Add(query), nil
}

// list is somebody's contact list as "jid name [groups] subscription", sorted.
func (s *rosterServer) list(person string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, jid := range slices.Sorted(maps.Keys(s.lists[person])) {
		i := s.lists[person][jid]
		var groups []string
		for g := range i.Children() {
			groups = append(groups, g.Content())
		}
		out = append(out, jid+" "+i.Attr("name")+" ["+strings.Join(groups, ",")+"] "+i.Attr("subscription"))
	}
	return out
}

func (s *rosterServer) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}

const granted = "<message from='example.org' to='" + domain + "'><privilege xmlns='urn:xmpp:privilege:2'>" +
	"<perm access='roster' type='both'/><perm access='message' type='none'/></privilege></message>"

var (
	lampItem = lampBare + " Lamp [Hall] both"
	ovenItem = ovenBare + " Oven [Kitchen] both"
	hubItem  = hubBare + " House [House] both"
)

// settle waits until contact lists have been looked at.
func (f *fixture) settle() {
	time.Sleep(2 * contactsSettle)
	synctest.Wait()
}

// grantLists has the people's server let us write contact lists.
func (f *fixture) grantLists(server *rosterServer) {
	f.network.set(func(n *testNetwork) { n.answer = server.answer })
	f.deliver(granted)
	f.settle()
}

// Lists are filled where the server lets us, each with what its person may see; and what people do with that stays.
func TestContactLists(t *testing.T) {
	server, store := &rosterServer{lists: map[string]map[string]*stream.Element{}}, &testStore{}
	bubble(t, setup{store: store}, func(f *fixture) {
		f.grantLists(server)
		equal(t, "alice", server.list("alice@example.org"), []string{hubItem, lampItem, ovenItem})
		equal(t, "wim", server.list("wim@example.org"), []string{hubItem, lampItem})
		equal(t, "shown", shown(f.sent())[:4], []string{hub + " > alice@example.org: House", hub + " > otto@example.org: House",
			hub + " > vera@example.org: House", hub + " > wim@example.org: House"})
		if sub := f.roster.get(lampBare, "wim@example.org"); !sub.From || !sub.To {
			t.Errorf("subscription: %+v", sub)
		}

		// Vera renames the lamp, and removes the oven while nobody can tell us.
		server.mu.Lock()
		server.lists["vera@example.org"][lampBare].SetAttr("name", "Licht")
		delete(server.lists["vera@example.org"], ovenBare)
		server.mu.Unlock()
		f.ContactsChanged()
		f.settle()
		veras := []string{hubItem, lampBare + " Licht [Hall] both"}
		equal(t, "vera", server.list("vera@example.org"), veras)
		if sub := f.roster.get(ovenBare, "vera@example.org"); sub.From {
			t.Error("vera still gets the presence of what she removed")
		}

		// A new configuration calls the lamp otherwise: those who did not rename it see that.
		renamed := strings.Replace(houseFile, `"Lamp"`, `"Light"`, 1)
		f.house.reload(renamed)
		f.ContactsChanged()
		f.settle()
		equal(t, "otto", server.list("otto@example.org"), []string{hubItem, lampBare + " Light [Hall] both", ovenItem})
		equal(t, "vera", server.list("vera@example.org"), veras)

		// After a restart no device has been announced yet, and nothing is taken away for it.
		f.stop()
		f = begin(t, setup{file: renamed, store: store})
		f.house.mu.Lock()
		models := f.house.models
		f.house.models = map[devices.ID]*mapping.Device{}
		f.house.mu.Unlock()
		f.grantLists(server)
		equal(t, "otto", server.list("otto@example.org"), []string{hubItem, lampBare + " Light [Hall] both", ovenItem})
		f.house.mu.Lock()
		f.house.models = models
		f.house.mu.Unlock()
		f.ContactsChanged()
		f.settle()
		equal(t, "vera", server.list("vera@example.org"), veras)

		// Wim loses his role, and the oven goes for good.
		f.house.reload(strings.Replace(renamed, `"wim@example.org"`, `"tim@example.org"`, 1))
		f.Configure("House", f.house.config.Access)
		f.house.step(mapping.Change{Withdraw: &mapping.Withdrawal{ID: "oven", Why: devices.Gone}})
		f.addresses().Leave("oven")
		f.ContactsChanged()
		f.settle()
		lampItem := lampBare + " Light [Hall] both"
		equal(t, "wim", server.list("wim@example.org"), nil)
		equal(t, "tim", server.list("tim@example.org"), []string{hubItem, lampItem})
		equal(t, "alice", server.list("alice@example.org"), []string{hubItem, lampItem})
		if n := len(store.given); n != 4*2 {
			t.Errorf("%d remembered: %+v", n, store.given)
		}
		f.stop()
	})
}

// Only a server's own word counts, and only as long as it holds.
func TestContactListsNotGranted(t *testing.T) {
	server := &rosterServer{lists: map[string]map[string]*stream.Element{}}
	bubble(t, setup{}, func(f *fixture) {
		f.network.set(func(n *testNetwork) { n.answer = server.answer })
		for _, no := range []string{
			strings.Replace(granted, "'example.org'", "'alice@example.org'", 1),
			strings.Replace(granted, "'example.org'", "'example.org/x'", 1),
			strings.Replace(granted, "'example.org'", "'example.com'", 1), // nobody here has a role
			strings.Replace(granted, "type='both'", "type='get'", 1),
			strings.Replace(granted, "privilege:2", "privilege:9", 1),
		} {
			f.silence(no)
			f.settle()
			if got := server.requests(); len(got) != 0 {
				t.Errorf("%s: asked %v", no, got)
			}
		}
		for range 2 * maxGranted { // bounded
			f.deliver(strings.Replace(granted, "'example.org'", "'"+rand.Text()+".example'", 1))
		}
		f.lists.mu.Lock()
		if n := len(f.lists.granted); n > maxGranted {
			t.Errorf("%d servers kept", n)
		}
		clear(f.lists.granted)
		f.lists.mu.Unlock()

		server.refuse = stream.NewStanzaError(stream.Forbidden, "")
		f.deliver(strings.Replace(granted, "privilege:2", "privilege:1", 1))
		f.settle()
		if got := server.requests(); len(got) != 1 { // the first no is the last
			t.Errorf("asked %v", got)
		}
		f.ContactsChanged()
		f.settle()
		if got := server.requests(); len(got) != 0 {
			t.Errorf("asked again: %v", got)
		}
	})
}

// A list that cannot be read holds up the others only once in a while.
func TestContactListRetry(t *testing.T) {
	server := &rosterServer{lists: map[string]map[string]*stream.Element{}, hang: true}
	bubble(t, setup{}, func(f *fixture) {
		f.grantLists(server)
		time.Sleep(5 * rosterTimeout)
		if got := server.requests(); len(got) < 4 || len(got) > 8 {
			t.Errorf("asked %v", got)
		}
		time.Sleep(12 * time.Hour)
		if got := server.requests(); len(got) < 4*12 || len(got) > 4*20 {
			t.Errorf("asked %d times in twelve hours", len(got))
		}
		server.mu.Lock()
		server.hang = false
		server.mu.Unlock()
		time.Sleep(2 * lastListRetry)
		synctest.Wait()
		equal(t, "wim", server.list("wim@example.org"), []string{hubItem, lampItem})
	})
}
