package xmppbridge

import (
	"context"
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

// A pubsubServer plays a service that keeps nodes.
type pubsubServer struct {
	mu     sync.Mutex
	nodes  map[string]*servedNode
	asked  int
	items  int
	down   bool
	refuse *stream.StanzaError
	// secretive: it says to nobody who is subscribed.
	secretive bool
}

type servedNode struct {
	access  string
	members map[string]bool
	told    map[string]bool
	item    *stream.Element
}

func nodeOption(x *stream.Element, name string) string {
	for f := range x.Children() {
		if f.Attr("var") == name {
			return f.ChildText(nsForm, "value")
		}
	}
	return ""
}

func (s *pubsubServer) answer(_ context.Context, iq *stream.Element) (*stream.Element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	switch {
	case s.down:
		return nil, errNetworkDown
	case s.refuse != nil:
		return nil, s.refuse
	}
	query := iq.First()
	verb := query.First()
	name := verb.Attr("node")
	n := s.nodes[name]
	result := stream.New(stream.NS, "iq", "type", "result")
	if verb.Name == "create" {
		if n != nil {
			return nil, stream.NewStanzaError(stream.Conflict, "")
		}
		s.nodes[name] = &servedNode{access: nodeOption(query.Child(nsPubsub, "configure").First(), "pubsub#access_model"), members: map[string]bool{},
			told: map[string]bool{}}
		return result, nil
	}
	if n == nil {
		return nil, stream.NewStanzaError(stream.ItemNotFound, "")
	}
	switch verb.Name {
	case "configure":
		n.access = nodeOption(verb.First(), "pubsub#access_model")
	case "delete":
		delete(s.nodes, name)
	case "affiliations":
		list := stream.New(nsPubsubOwner, "affiliations", "node", name)
		for a := range verb.Children() {
			if delete(n.members, a.Attr("jid")); a.Attr("affiliation") == "member" {
				n.members[a.Attr("jid")] = true
			}
		}
		for _, jid := range slices.Sorted(maps.Keys(n.members)) {
			list.Add(stream.New(nsPubsubOwner, "affiliation", "jid", jid, "affiliation", "member"))
		}
		result.Add(stream.New(nsPubsubOwner, "pubsub").Add(list))
	case "subscriptions":
		if s.secretive {
			return nil, stream.NewStanzaError(stream.FeatureNotImplemented, "")
		}
		list := stream.New(nsPubsubOwner, "subscriptions", "node", name)
		for a := range verb.Children() {
			delete(n.told, a.Attr("jid"))
		}
		for _, jid := range slices.Sorted(maps.Keys(n.told)) {
			list.Add(stream.New(nsPubsubOwner, "subscription", "jid", jid, "subscription", "subscribed"))
		}
		result.Add(stream.New(nsPubsubOwner, "pubsub").Add(list))
	case "publish":
		if nodeOption(query.Child(nsPubsub, "publish-options").First(), "pubsub#access_model") != n.access {
			return nil, stream.NewStanzaError(stream.Conflict, "", stream.New(nsPubsubErrors, "precondition-not-met"))
		}
		n.item = verb.First()
		s.items++
	}
	return result, nil
}

// shows are the nodes as "name access [members] value", sorted.
func (s *pubsubServer) shows() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		n := s.nodes[name]
		text := name + " " + n.access + " [" + strings.Join(slices.Sorted(maps.Keys(n.members)), ",") + "]"
		if n.item != nil {
			text += " " + value(n.item)
		}
		out = append(out, text)
	}
	return out
}

func (s *pubsubServer) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

const everyone = "[alice@example.org,otto@example.org,vera@example.org]"

// beginPublishing starts a bridge that publishes elsewhere.
func beginPublishing(f *fixture, s *pubsubServer) {
	f.network.set(func(n *testNetwork) { n.answer = s.answer })
	f.Up("")
	time.Sleep(2 * time.Minute)
	synctest.Wait()
}

// Each point has a node that is closed to all but those who see its device, from before there is anything in it.
func TestPublisher(t *testing.T) {
	server := &pubsubServer{nodes: map[string]*servedNode{}}
	s := setup{publish: Publish{Enabled: true, Service: "pubsub.example.org", Every: 10 * time.Second}}
	lampMembers := "[alice@example.org,otto@example.org,vera@example.org,wim@example.org]"
	bubble(t, s, func(f *fixture) {
		beginPublishing(f, server)
		equal(t, "nodes", server.shows(), []string{"tidings/lamp/power whitelist " + lampMembers + " lamp power=false",
			"tidings/oven/heat whitelist " + everyone + " oven heat=false", "tidings/oven/mode whitelist " + everyone + " oven mode=Bake",
			"tidings/oven/target whitelist " + everyone + " oven target=180°C"})
		if len(f.store.published) != 4 {
			t.Errorf("remembered: %v", f.store.published)
		}

		// A chatty sensor.
		server.change(func() { server.items = 0 })
		for n := range 60 {
			f.house.read("oven", "target", devices.Number(float64(100+n)))
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if server.items < 5 || server.items > 8 || !strings.Contains(server.shows()[3], "target=159°C") {
			t.Errorf("%d items in a minute: %s", server.items, server.shows()[3])
		}

		// Somebody opens a node: nothing is published before it is closed again.
		server.change(func() { server.nodes[lampNode].access = "open" })
		f.house.read("lamp", "power", devices.Bool(true))
		synctest.Wait()
		server.change(func() {
			if got := server.nodes[lampNode]; value(got.item) != "lamp power=false" {
				t.Errorf("published to the world: %s", got.item)
			}
		})
		time.Sleep(time.Minute)
		if got := server.shows()[0]; got != "tidings/lamp/power whitelist "+lampMembers+" lamp power=true" {
			t.Error(got)
		}

		// Access goes, and comes.
		server.change(func() { server.nodes[lampNode].told = map[string]bool{otto: true, vera: true} })
		f.house.reload(strings.Replace(houseFile, `"otto@example.org" = "operator"`, `"tim@example.org" = "viewer"`, 1))
		f.Configure("House", f.house.config.Access)
		time.Sleep(time.Minute)
		for _, got := range server.shows() {
			if strings.Contains(got, "otto") || !strings.Contains(got, "tim@example.org") {
				t.Error(got)
			}
		}

		server.change(func() {
			if told := server.nodes[lampNode].told; told[otto] || !told[vera] {
				t.Errorf("the service goes on telling %v", told)
			}
		})

		// A service that does not say who is subscribed loses the node, and with it whoever still was.
		server.change(func() { server.secretive, server.nodes[lampNode].told = true, map[string]bool{"tim@example.org": true} })
		f.house.reload(houseFile)
		f.Configure("House", f.house.config.Access)
		time.Sleep(time.Minute)
		if got := server.shows()[0]; got != "tidings/lamp/power whitelist "+lampMembers+" lamp power=true" || len(server.nodes[lampNode].told) != 0 {
			t.Errorf("%s, tells %v", got, server.nodes[lampNode].told)
		}

		// The oven goes, while the stream is down.
		server.change(func() { server.down = true })
		f.house.step(mapping.Change{Withdraw: &mapping.Withdrawal{ID: "oven", Why: devices.Gone}})
		synctest.Wait()
		f.addresses().Leave("oven")
		server.change(func() { server.down = false })
		f.Up("")
		time.Sleep(time.Minute)
		if got := server.shows(); len(got) != 1 || len(f.store.published) != 1 {
			t.Errorf("%v, remembered %v", got, f.store.published)
		}

		// Nothing is published any more: what there is goes.
		f.stop()
		f = begin(t, setup{store: f.store})
		beginPublishing(f, server)
		if got := server.shows(); len(got) != 0 || len(f.store.published) != 0 {
			t.Errorf("%v, remembered %v", got, f.store.published)
		}
		f.stop()
	})
}

// What an earlier life of the gateway published of a device that has not been heard since is for those who may see it now.
func TestPublisherBeforeReadings(t *testing.T) {
	server := &pubsubServer{nodes: map[string]*servedNode{}}
	s := setup{publish: Publish{Enabled: true, Service: "pubsub.example.org", Every: 10 * time.Second}}
	bubble(t, s, func(f *fixture) {
		beginPublishing(f, server)
		f.stop()
		s.store, s.silent = f.store, true
		s.file = strings.Replace(houseFile, `"otto@example.org" = "operator"`, "", 1)
		f = begin(t, s)
		f.house.mu.Lock()
		delete(f.house.models, "oven") // its driver has yet to announce it
		f.house.mu.Unlock()
		beginPublishing(f, server)
		got := server.shows()
		if len(got) != 4 {
			t.Errorf("nodes: %q", got)
		}
		for _, node := range got {
			if strings.Contains(node, "otto") || !strings.Contains(node, "=") {
				t.Errorf("after otto lost access: %s", node)
			}
		}
		f.stop()
	})
}

// rosterOf has the account's server answer with those who are subscribed.
func (f *fixture) rosterOf(people ...string) {
	items := ""
	for _, who := range people {
		items += "<item jid='" + who + "' subscription='both'/>"
	}
	f.deliver("<iq type='result' id='" + rosterID + "' to='gw@example.org/home'><query xmlns='" + nsRoster + "'>" + items + "</query></iq>")
}

// An account learns from its roster who of a domain is to be let in: nobody is put out before it is there, or while it comes anew,
// and who is new need not wait for a reading.
func TestPublisherRoster(t *testing.T) {
	server := &pubsubServer{nodes: map[string]*servedNode{}}
	s := setup{publish: Publish{Enabled: true, Every: 10 * time.Second}, audience: Broadcast, mode: mapping.Client,
		file: strings.Replace(houseFile, "[access]\n", "[access]\n\"*@family.example\" = \"viewer\"\n", 1)}
	bubble(t, s, func(f *fixture) {
		f.network.set(func(n *testNetwork) { n.answer = server.answer })
		f.Up("gw@example.org/home")
		f.rosterOf("grandma@family.example")
		time.Sleep(time.Minute)
		synctest.Wait()
		server.change(func() { server.nodes[lampNode].told["grandma@family.example"] = true })
		told := func(who string) bool {
			synctest.Wait()
			server.mu.Lock()
			defer server.mu.Unlock()
			n := server.nodes[lampNode]
			return n.members[who] && (who != "grandma@family.example" || n.told[who])
		}
		f.stop()
		s.store = f.store
		f = begin(t, s)
		f.network.set(func(n *testNetwork) { n.answer = server.answer })
		f.Up("gw@example.org/home")
		time.Sleep(time.Minute)
		if !told("grandma@family.example") {
			t.Error("put out before the roster came")
		}
		f.rosterOf("grandma@family.example", "grandpa@family.example")
		if time.Sleep(time.Minute); !told("grandma@family.example") || !told("grandpa@family.example") {
			t.Errorf("members: %v", server.shows()[0])
		}
		f.stop()
	})
}

// A service that refuses is left alone for a while, one that cannot be reached is tried when there is a stream.
func TestPublisherRefused(t *testing.T) {
	server := &pubsubServer{nodes: map[string]*servedNode{}, refuse: stream.NewStanzaError(stream.Forbidden, "")}
	s := setup{publish: Publish{Enabled: true, Every: 10 * time.Second}, audience: Broadcast, mode: mapping.Client}
	bubble(t, s, func(f *fixture) {
		f.network.set(func(n *testNetwork) { n.answer = server.answer })
		f.Up("gw@example.org/home")
		f.rosterOf()
		time.Sleep(time.Minute)
		for n := range 60 {
			f.house.read("oven", "target", devices.Number(float64(100+n)))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if server.asked > 8 {
			t.Errorf("asked %d times", server.asked)
		}
		server.change(func() { server.refuse = nil })
		time.Sleep(publishRetry + time.Minute)
		if got := server.shows(); len(got) != 4 || !strings.Contains(got[3], "target=159°C") {
			t.Errorf("%v", got)
		}
	})
}
