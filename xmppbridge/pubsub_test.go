package xmppbridge

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

var publishing = setup{publish: Publish{Enabled: true, Every: 10 * time.Second}}

const (
	lampNode   = "tidings/lamp/power"
	targetNode = "tidings/oven/target"
)

// pubsub is a request of XEP-0060.
func pubsub(typ, from, to, what string) string {
	return "<iq type='" + typ + "' id='1' from='" + from + "' to='" + to + "'><pubsub xmlns='" + nsPubsub + "'>" + what + "</pubsub></iq>"
}

func owner(typ, from, to, what string) string {
	return strings.Replace(pubsub(typ, from, to, what), nsPubsub, nsPubsubOwner, 1)
}

func subscribeTo(node, jid string) string {
	return "<subscribe node='" + node + "' jid='" + jid + "'/>"
}

// itemsOf are the events among stanzas, as "to: node kind value".
func itemsOf(sent []*stream.Element) []string {
	var out []string
	for _, st := range sent {
		event := st.Child(nsPubsubEvent, "event")
		if st.Name != "message" || event == nil || st.Attr("type") != "headline" {
			continue
		}
		what := event.First()
		text := st.Attr("to") + ": " + what.Attr("node") + " " + what.Name
		if what.Name == "items" {
			text += " " + value(what.First())
		}
		out = append(out, text)
	}
	return out
}

// value is what an item says, "lamp power=false at a time" without the time.
func value(item *stream.Element) string {
	nd := item.First().First()
	f := nd.First().First()
	return nd.Attr("id") + " " + f.Attr("n") + "=" + f.Attr("v") + f.Attr("u")
}

// Who sees a device finds its nodes, reads them and subscribes; who does not finds nothing.
func TestPubsub(t *testing.T) {
	bubble(t, publishing, func(f *fixture) {
		info := f.answer(get(vera, lampBare, "<query xmlns='"+nsDiscoInfo+"'/>")).First()
		if !strings.Contains(info.String(), "type=\"pep\"") && !strings.Contains(info.String(), "type='pep'") {
			t.Errorf("no pep: %s", info)
		}
		items := f.answer(get(vera, lampBare, "<query xmlns='"+nsDiscoItems+"'/>")).First()
		if i := items.First(); i.Attr("node") != lampNode || i.Attr("jid") != lampBare || i.Attr("name") != "Lamp: Power" {
			t.Errorf("items: %s", items)
		}
		leaf := f.answer(get(vera, lampBare, "<query xmlns='"+nsDiscoInfo+"' node='"+lampNode+"'/>")).First()
		if i := leaf.Child(nsDiscoInfo, "identity"); i.Attr("category") != "pubsub" || i.Attr("type") != "leaf" {
			t.Errorf("leaf: %s", leaf)
		}
		got := f.answer(pubsub("get", vera, ovenBare, "<items node='"+targetNode+"'/>")).First().First()
		if got.Attr("node") != targetNode || value(got.First()) != "oven target=180°C" || got.First().Attr("id") != itemID {
			t.Errorf("item: %s", got)
		}

		f.deliver(pubsub("set", vera, ovenBare, subscribeTo(targetNode, veraBare)))
		out := f.sent()
		if s := out[0].First().First(); s.Attr("subscription") != "subscribed" || s.Attr("jid") != veraBare {
			t.Errorf("subscribed: %s", out[0])
		}
		equal(t, "the present item", itemsOf(out), []string{veraBare + ": " + targetNode + " items oven target=180°C"})
		f.house.read("oven", "target", devices.Number(180))
		f.house.read("oven", "heat", devices.Bool(true))
		equal(t, "nothing new", itemsOf(f.sent()), nil)
		for _, v := range []float64{200, 210, 220} {
			f.house.read("oven", "target", devices.Number(v))
			synctest.Wait()
		}
		equal(t, "the first", itemsOf(f.sent()), []string{veraBare + ": " + targetNode + " items oven target=200°C"})
		time.Sleep(10 * time.Second)
		equal(t, "the last", itemsOf(f.sent()), []string{veraBare + ": " + targetNode + " items oven target=220°C"})
		time.Sleep(time.Minute)
		equal(t, "no more", itemsOf(f.sent()), nil)
		f.SetPublishEvery(2 * time.Second)
		for _, v := range []float64{200, 210} {
			f.house.read("oven", "target", devices.Number(v))
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		equal(t, "both, sooner", itemsOf(f.sent()), []string{veraBare + ": " + targetNode + " items oven target=200°C",
			veraBare + ": " + targetNode + " items oven target=210°C"})

		list := f.answer(pubsub("get", vera, ovenBare, "<subscriptions/>")).First().First()
		if s := list.First(); s.Attr("node") != targetNode || s.Attr("jid") != veraBare {
			t.Errorf("subscriptions: %s", list)
		}
		list = f.answer(pubsub("get", vera, ovenBare, "<affiliations/>")).First().First()
		if a := list.First(); a.Attr("affiliation") != "member" || len(list.Nodes) != 3 {
			t.Errorf("affiliations: %s", list)
		}
		if got := f.answer(pubsub("set", vera, ovenBare, "<unsubscribe node='"+targetNode+"' jid='"+veraBare+"'/>")); got.Attr("type") != "result" {
			t.Errorf("unsubscribe: %s", got)
		}
		f.house.read("oven", "target", devices.Number(99))
		equal(t, "unsubscribed", itemsOf(f.sent()), nil)
		if f.items.total != 0 || len(f.items.nodes) != 0 || len(f.events.watched) != 0 || len(f.store.nodes) != 0 {
			t.Errorf("left: %d, %v, %v, %v", f.items.total, f.items.nodes, f.events.watched, f.store.nodes)
		}
	})
}

// What there is not, or not for everyone, has the condition of XEP-0060.
func TestPubsubErrors(t *testing.T) {
	const lampSub = "<subscribe node='" + lampNode + "' jid='" + veraBare + "'/>"
	bubble(t, publishing, func(f *fixture) {
		for _, c := range []struct{ iq, want string }{
			{pubsub("get", vera, lampBare, ""), "bad-request"},
			{pubsub("get", vera, lampBare, "<items/>"), "bad-request/nodeid-required"},
			{pubsub("get", vera, lampBare, "<items node='x'/>"), "item-not-found"},
			{pubsub("get", vera, lampBare, "<items node='tidings/lamp/x'/>"), "item-not-found"},
			{pubsub("get", vera, lampBare, "<items node='"+targetNode+"'/>"), "item-not-found"},
			{pubsub("get", vera, hubBare, "<items node='"+targetNode+"'/>"), "item-not-found"},
			{pubsub("get", vera, domain, "<items node='"+targetNode+"'/>"), "item-not-found"},
			{pubsub("get", wim, ovenBare, "<items node='"+targetNode+"'/>"), "item-not-found"},
			{pubsub("get", mallory, lampBare, "<items node='"+lampNode+"'/>"), "service-unavailable"},
			{pubsub("get", vera, lampBare, "<options node='"+lampNode+"' jid='"+veraBare+"'/>"), "feature-not-implemented/unsupported"},
			{pubsub("get", vera, lampBare, "<default/>"), "feature-not-implemented/unsupported"},
			{pubsub("get", vera, lampBare, "<subscribe/>"), "bad-request"},
			{pubsub("get", vera, lampBare, "<x xmlns='y'/>"), "bad-request"},
			{pubsub("set", vera, lampBare, "<subscribe node='"+lampNode+"'/>"), "bad-request/jid-required"},
			{pubsub("set", vera, lampBare, subscribeTo(lampNode, "alice@example.org")), "bad-request/invalid-jid"},
			{pubsub("set", vera, lampBare, subscribeTo(lampNode, "@")), "bad-request/invalid-jid"},
			{pubsub("set", vera, lampBare, subscribeTo("", veraBare)), "bad-request/nodeid-required"},
			{pubsub("set", vera, lampBare, lampSub+"<options/>"), "feature-not-implemented/unsupported"},
			{pubsub("set", vera, lampBare, lampSub+lampSub), "bad-request"},
			{pubsub("set", vera, lampBare, "<unsubscribe node='"+lampNode+"' jid='"+veraBare+"'/>"), "unexpected-request/not-subscribed"},
			{pubsub("set", vera, lampBare, "<unsubscribe node='"+lampNode+"' jid='"+veraBare+"' subid='1'/>"), "not-acceptable/invalid-subid"},
			{pubsub("set", alice, lampBare, "<publish node='"+lampNode+"'><item/></publish>"), "forbidden"},
			{pubsub("set", alice, lampBare, "<publish node='"+lampNode+"'><item/></publish><publish-options/>"), "forbidden"},
			{pubsub("set", alice, lampBare, "<retract node='"+lampNode+"'><item id='current'/></retract>"), "forbidden"},
			{pubsub("set", alice, lampBare, "<publish node='new'><item/></publish>"), "item-not-found"},
			{pubsub("set", alice, lampBare, "<create node='x'/><configure/>"), "feature-not-implemented/unsupported"},
			{pubsub("set", alice, lampBare, "<items node='"+lampNode+"'/>"), "bad-request"},
			{owner("get", alice, lampBare, "<configure node='"+lampNode+"'/>"), "feature-not-implemented/unsupported"},
			{owner("set", alice, lampBare, "<delete node='"+lampNode+"'/>"), "feature-not-implemented/unsupported"},
			{owner("set", alice, lampBare, "<purge node='"+lampNode+"'/>"), "feature-not-implemented/unsupported"},
			{owner("set", alice, lampBare, "<affiliations node='"+lampNode+"'/>"), "feature-not-implemented/unsupported"},
			{owner("set", alice, lampBare, "<explode/>"), "bad-request"},
		} {
			if got := failure(f.answer(c.iq)); got != c.want {
				t.Errorf("%s\nis answered with %s, want %s", c.iq, got, c.want)
			}
		}
		if f.items.total != 0 {
			t.Errorf("%d subscriptions", f.items.total)
		}
	})
	t.Run("off", func(t *testing.T) {
		bubble(t, setup{}, func(f *fixture) {
			if got := failure(f.answer(pubsub("get", vera, lampBare, "<items node='"+lampNode+"'/>"))); got != "service-unavailable" {
				t.Error(got)
			}
			items := f.answer(get(vera, lampBare, "<query xmlns='"+nsDiscoItems+"'/>")).First()
			if items.First() != nil {
				t.Errorf("items: %s", items)
			}
		})
	})
}

// Subscriptions outlive a restart, and end with access, with the device, and with a client that is gone.
func TestPubsubLife(t *testing.T) {
	bubble(t, publishing, func(f *fixture) {
		f.deliver(pubsub("set", vera, ovenBare, subscribeTo(targetNode, veraBare)))
		f.deliver(pubsub("set", vera, lampBare, subscribeTo(lampNode, vera)))
		f.deliver(pubsub("set", wim, lampBare, subscribeTo(lampNode, "wim@example.org")))
		f.stop()
		f = begin(t, setup{publish: publishing.publish, store: f.store})
		time.Sleep(time.Minute)
		f.house.read("lamp", "power", devices.Bool(true))
		f.house.read("oven", "target", devices.Number(100))
		got := itemsOf(f.sent())
		slices.Sort(got)
		equal(t, "after a restart", got, []string{vera + ": " + lampNode + " items lamp power=true",
			veraBare + ": " + targetNode + " items oven target=100°C", "wim@example.org: " + lampNode + " items lamp power=true"})

		// Her tablet is gone.
		f.deliver("<message type='error' from='" + vera + "' to='" + lampBare + "'><error type='cancel'>" +
			"<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		// Her account is only not reached for the moment.
		f.deliver("<message type='error' from='" + veraBare + "' to='" + ovenBare + "'><error type='wait'>" +
			"<remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		f.sent()
		time.Sleep(time.Minute)
		f.house.read("lamp", "power", devices.Bool(false))
		f.house.read("oven", "target", devices.Number(110))
		got = itemsOf(f.sent())
		slices.Sort(got)
		equal(t, "after a bounce", got, []string{veraBare + ": " + targetNode + " items oven target=110°C",
			"wim@example.org: " + lampNode + " items lamp power=false"})

		// Wim loses his role.
		f.house.reload(strings.Replace(houseFile, `"wim@example.org"`, `"tim@example.org"`, 1))
		f.Configure("House", f.house.config.Access)
		out := f.sent()
		if len(out) != 1 || out[0].Child(nsPubsub, "pubsub").First().Attr("subscription") != "none" || out[0].Attr("to") != "wim@example.org" {
			t.Errorf("lost access: %v", out)
		}
		// The oven goes.
		f.house.step(mapping.Change{Withdraw: &mapping.Withdrawal{ID: "oven", Why: devices.Gone}})
		equal(t, "gone", itemsOf(f.sent()), []string{veraBare + ": " + targetNode + " delete"})
		if f.items.total != 0 || len(f.store.nodes) != 0 || len(f.items.mine) != 0 {
			t.Errorf("left: %d, %v, %v", f.items.total, f.store.nodes, f.items.mine)
		}
		f.stop()
	})
}

// There is a bound to subscriptions, for one and for all.
func TestPubsubBounds(t *testing.T) {
	bubble(t, publishing, func(f *fixture) {
		for n := range maxNodesPerJID {
			f.items.put(changedField{"lamp", "power"}, fmt.Sprintf("%s/%d", veraBare, n))
		}
		if got := failure(f.answer(pubsub("set", vera, lampBare, subscribeTo(lampNode, veraBare)))); got != "policy-violation/too-many-subscriptions" {
			t.Error(got)
		}
		f.deliver(pubsub("set", vera, lampBare, subscribeTo(lampNode, veraBare+"/1"))) // she has that one
		if got := f.sent()[0].Attr("type"); got != "result" {
			t.Error(got)
		}
	})
}

// Where devices share an address, so do their nodes.
func TestPubsubShared(t *testing.T) {
	s := publishing
	s.layout = "resource"
	bubble(t, s, func(f *fixture) {
		items := f.answer(get(wim, hubBare, "<query xmlns='"+nsDiscoItems+"'/>")).First()
		var nodes []string
		for i := range items.Children() {
			if i.Attr("node") != "" {
				nodes = append(nodes, i.Attr("jid")+" "+i.Attr("node"))
			}
		}
		equal(t, "nodes", nodes, []string{hubBare + " " + lampNode})
		f.deliver(pubsub("set", vera, hubBare, subscribeTo(targetNode, veraBare)))
		out := f.sent()
		if len(itemsOf(out)) != 1 || out[1].Attr("from") != hubBare {
			t.Errorf("subscribed: %v", out)
		}
	})
}

// listening is a presence whose capabilities name a node, and answersCaps what they are when asked.
func listening(from, to, ver string) string {
	return "<presence from='" + from + "' to='" + to + "'><c xmlns='" + nsCaps + "' hash='sha-1' node='urn:x' ver='" + ver + "'/></presence>"
}

func (f *fixture) answersCaps(out []*stream.Element, features ...string) int {
	n := 0
	for _, st := range out {
		if q := st.Child(nsDiscoInfo, "query"); st.Name == "iq" && st.Attr("type") == "get" && q != nil {
			n++
			answer := "<iq type='result' id='" + st.Attr("id") + "' from='" + st.Attr("to") + "' to='" + st.Attr("from") + "'><query xmlns='" + nsDiscoInfo + "'>"
			for _, v := range features {
				answer += "<feature var='" + v + "'/>"
			}
			f.deliver(answer + "</query></iq>")
		}
	}
	return n
}

// Whose presence we have, and whose capabilities say so, is told without having subscribed.
func TestPubsubNotify(t *testing.T) {
	bubble(t, publishing, func(f *fixture) {
		f.deliver(presenceOf(veraBare, lampBare, "subscribe"))
		f.deliver(presenceOf(veraBare, lampBare, "subscribed"))
		f.sent()
		f.deliver(listening(vera, lampBare, "1"))
		if n := f.answersCaps(f.sent(), lampNode+"+notify", targetNode+"+notify", "urn:other+notify"); n != 1 {
			t.Fatalf("asked %d times", n)
		}
		// The oven does not have her presence.
		equal(t, "at first", itemsOf(f.sent()), []string{vera + ": " + lampNode + " items lamp power=false"})
		f.deliver(listening(vera, lampBare, "1"))
		f.deliver(listening(veraBare+"/other", lampBare, "1"))
		out := f.sent()
		if n := f.answersCaps(out); n != 0 {
			t.Errorf("asked %d times for what is known", n)
		}
		equal(t, "another client", itemsOf(out), []string{veraBare + "/other: " + lampNode + " items lamp power=false"})
		f.house.read("lamp", "power", devices.Bool(true))
		f.house.read("oven", "target", devices.Number(100))
		equal(t, "a change", itemsOf(f.sent()), []string{veraBare + "/other: " + lampNode + " items lamp power=true", vera + ": " + lampNode + " items lamp power=true"})

		// Whoever subscribed is told once.
		f.deliver(pubsub("set", vera, lampBare, subscribeTo(lampNode, veraBare)))
		f.sent()
		time.Sleep(time.Minute)
		f.house.read("lamp", "power", devices.Bool(false))
		equal(t, "once", itemsOf(f.sent()), []string{veraBare + ": " + lampNode + " items lamp power=false"})
		f.deliver(pubsub("set", vera, lampBare, "<unsubscribe node='"+lampNode+"' jid='"+veraBare+"'/>"))

		f.deliver("<presence type='unavailable' from='" + vera + "' to='" + lampBare + "'/>")
		f.deliver(listening(veraBare+"/other", lampBare, "2"))
		f.answersCaps(f.sent())
		time.Sleep(time.Minute)
		f.house.read("lamp", "power", devices.Bool(true))
		equal(t, "gone", itemsOf(f.sent()), nil)
		f.items.listeners.mu.Lock()
		if l := f.items.listeners; len(l.live) != 0 || len(l.byNode) != 0 || len(l.asking) != 0 || f.events.all != 0 {
			t.Errorf("left: %v, %v, %v, %d", l.live, l.byNode, l.asking, f.events.all)
		}
		f.items.listeners.mu.Unlock()

		// A stranger is not asked, and nobody answers for another.
		f.deliver(listening(mallory, lampBare, "1"))
		if out := f.sent(); len(out) != 0 {
			t.Errorf("a stranger: %v", out)
		}
		f.deliver(listening(otto, lampBare, "1"))
		id := f.sent()[0].Attr("id")
		f.deliver("<iq type='result' id='" + id + "' from='" + vera + "' to='" + hub + "'><query xmlns='" + nsDiscoInfo + "'><feature var='" + lampNode + "+notify'/></query></iq>")
		if f.items.listeners.live[otto] != nil {
			t.Error("vera answered for otto")
		}
	})
}

// The bound on listeners holds, and a filled memory of capabilities is emptied.
func TestPubsubListenerBounds(t *testing.T) {
	s := publishing
	s.audience = Rosters
	bubble(t, s, func(f *fixture) {
		house := f.LocalHouse(func(string) bool { return true })
		l := f.items.listeners
		for n := range 3 * maxListeners {
			full := fmt.Sprintf("vera@example.org/%d", n)
			house.Available(full, f.parse(listening(full, "", fmt.Sprint(n))), false)
		}
		f.answersCaps(f.sent(), lampNode+"+notify")
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.live) > maxListeners || len(l.known) > maxKnownCaps || len(l.asking) > maxAsking || len(l.live) == 0 {
			t.Errorf("%d listeners, %d known, %d asked", len(l.live), len(l.known), len(l.asking))
		}
	})
}
