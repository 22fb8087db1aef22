package local

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tidings/xmppbridge/stream"
)

const pepNode = "http://jabber.org/protocol/nick"

// listening is online with software that wants to be notified of nodes, as its capabilities say.
func (f *fixture) listening(account, resource string, nodes ...string) *raw {
	f.t.Helper()
	c := f.login(account, resource)
	c.write("<presence><c xmlns='" + nsCaps + "' hash='sha-1' node='http://client.example' ver='" + strings.Join(nodes, "") + "x'/></presence>")
	c.answerCaps(nodes...)
	return c
}

// answerCaps answers the server's question what the software is.
func (c *raw) answerCaps(nodes ...string) {
	c.t.Helper()
	q := c.expect("question", func(e *stream.Element) bool {
		return e.Name == "iq" && e.Attr("from") == testDomain && e.Child(nsDiscoInfo, "query") != nil
	})
	answer := "<iq type='result' id='" + q.Attr("id") + "' to='" + testDomain + "'><query xmlns='" + nsDiscoInfo + "'><feature var='x'/>"
	for _, n := range nodes {
		answer += "<feature var='" + n + "+notify'/>"
	}
	c.write(answer + "</query></iq>")
	c.sync()
}

func publish(node, id, payload, options string) string {
	if id != "" {
		id = " id='" + id + "'"
	}
	if options != "" {
		options = "<publish-options>" + configForm(nsPubOptions, options) + "</publish-options>"
	}
	return "<iq type='set'><pubsub xmlns='" + nsPubSub + "'><publish node='" + node + "'><item" + id + ">" + payload + "</item></publish>" + options + "</pubsub></iq>"
}

// configForm is a submitted form of fields as "access_model=open max_items=2".
func configForm(formType, fields string) string {
	x := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" + formType + "</value></field>"
	for _, f := range strings.Fields(fields) {
		name, value, _ := strings.Cut(f, "=")
		x += "<field var='pubsub#" + name + "'><value>" + value + "</value></field>"
	}
	return x + "</x>"
}

func nick(name string) string { return "<nick xmlns='" + pepNode + "'>" + name + "</nick>" }

func askItems(to, node string) string {
	if to != "" {
		to = " to='" + to + "'"
	}
	return "<iq type='get'" + to + "><pubsub xmlns='" + nsPubSub + "'><items node='" + node + "'/></pubsub></iq>"
}

// ids are those of the items in an answer.
func ids(answer *stream.Element) []string {
	out := []string{}
	for i := range answer.Child(nsPubSub, "pubsub").Child(nsPubSub, "items").Children() {
		out = append(out, i.Attr("id"))
	}
	return out
}

// told is a notification of a node from an account.
func told(from, node, what string) func(*stream.Element) bool {
	return func(e *stream.Element) bool {
		i := e.Child(nsPubSubEvent, "event").First()
		return e.Name == "message" && e.Attr("from") == from && i.Attr("node") == node && strings.Contains(i.String(), what)
	}
}

// friends makes alice and bob see each other.
func (f *fixture) friends() {
	f.t.Helper()
	for _, pair := range [][2]string{{"alice", "bob"}, {"bob", "alice"}} {
		i := Item{JID: pair[1] + "@" + testDomain, Listed: true, To: true, From: true}
		if err := f.store.PutItem(f.t.Context(), pair[0], i); err != nil {
			f.t.Fatal(err)
		}
	}
}

func TestPEP(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	f.friends()
	alice, desk := f.listening("alice", "phone", pepNode), f.listening("alice", "desk")
	bob := f.listening("bob", "phone", pepNode, "other")
	answer := alice.request(publish(pepNode, "", nick("Al"), ""))
	id := answer.Child(nsPubSub, "pubsub").Child(nsPubSub, "publish").Child(nsPubSub, "item").Attr("id")
	if id == "" {
		t.Fatalf("published: %s", answer)
	}
	for _, c := range []*raw{alice, bob} {
		e := c.expect("nick", told("alice@home.example", pepNode, "Al"))
		if item := e.Child(nsPubSubEvent, "event").First().First(); item.Attr("id") != id || item.ChildText(pepNode, "nick") != "Al" || e.Attr("type") != "headline" {
			t.Errorf("notified by %s", e)
		}
	}
	desk.none("what it does not want", told("alice@home.example", pepNode, ""))
	// One who comes is told the newest; who wants more later is told that.
	late := f.listening("bob", "late", pepNode)
	late.expect("nick", told("alice@home.example", pepNode, "Al"))
	desk.write("<presence><c xmlns='" + nsCaps + "' node='http://client.example' ver='2'/></presence>")
	desk.answerCaps(pepNode)
	desk.expect("nick", told("alice@home.example", pepNode, "Al"))
	// Read by name, by oneself and by others.
	for _, c := range []*raw{alice, bob} {
		if got := ids(c.request(askItems("alice@home.example", pepNode))); !slices.Equal(got, []string{id}) {
			t.Errorf("items %q", got)
		}
	}
	// It is there after a restart.
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	f = startWith(t, Limits{}, f.store)
	bob = f.listening("bob", "phone", pepNode)
	bob.expect("nick after a restart", told("alice@home.example", pepNode, "Al"))
	alice = f.listening("alice", "phone", pepNode)
	info := alice.request("<iq type='get' to='alice@home.example'><query xmlns='"+nsDiscoInfo+"'/></iq>").Child(nsDiscoInfo, "query")
	if !strings.Contains(info.String(), "category='pubsub' type='pep'") || !strings.Contains(info.String(), nsPubSub+"#publish-options") {
		t.Errorf("info %s", info)
	}
	if list := alice.request("<iq type='get' to='alice@home.example'><query xmlns='" + nsDiscoItems + "'/></iq>"); !strings.Contains(list.String(), "node='"+pepNode+"'") {
		t.Errorf("items %s", list)
	}
	// Retracted, with notice, and gone with its node.
	alice.request("<iq type='set'><pubsub xmlns='" + nsPubSub + "'><retract node='" + pepNode + "' notify='true'><item id='" + id + "'/></retract></pubsub></iq>")
	bob.expect("retraction", told("alice@home.example", pepNode, "<retract id='"+id+"'/>"))
	alice.request("<iq type='set'><pubsub xmlns='" + nsPubSubOwner + "'><delete node='" + pepNode + "'/></pubsub></iq>")
	bob.expect("deletion", func(e *stream.Element) bool {
		return e.Child(nsPubSubEvent, "event").Child(nsPubSubEvent, "delete") != nil
	})
	if got := condition(bob.request(askItems("alice@home.example", pepNode))); got != "cancel item-not-found" {
		t.Errorf("afterwards: %q", got)
	}
}

// What is private is the account's alone, and who does not see the presence sees what is open only.
func TestPEPAccess(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	alice, bob := f.listening("alice", "phone", "private", "open", "presence"), f.listening("bob", "phone", "private", "open", "presence")
	for node, options := range map[string]string{"private": "access_model=whitelist persist_items=true max_items=max send_last_published_item=never",
		"open": "access_model=open", "presence": ""} {
		if e := alice.request(publish(node, "1", "<x xmlns='x'/>", options)); e.Attr("type") != "result" {
			t.Fatalf("%s: %s", node, e)
		}
		alice.expect(node, told("alice@home.example", node, ""))
	}
	check := func(when string, want map[string]string) {
		t.Helper()
		for node, want := range want {
			if got := condition(bob.request(askItems("alice@home.example", node))); got != want {
				t.Errorf("%s, %s: %q, want %q", when, node, got, want)
			}
		}
	}
	check("a stranger", map[string]string{"private": "cancel not-allowed", "open": "", "presence": "auth not-authorized", "none": "cancel item-not-found"})
	bob.none("notification", told("alice@home.example", "open", ""))
	bob.write("<presence type='subscribe' to='alice@home.example'/>")
	alice.expect("request", presence("subscribe", "bob@home.example"))
	alice.write("<presence type='subscribed' to='bob@home.example'/>")
	bob.expect("approval", presence("subscribed", "alice@home.example"))
	check("a contact", map[string]string{"private": "cancel not-allowed", "open": "", "presence": ""})
	for _, node := range []string{"private", "open", "presence"} {
		alice.request(publish(node, "2", "<y xmlns='x'/>", ""))
	}
	bob.expect("open", told("alice@home.example", "open", ""))
	bob.expect("presence", told("alice@home.example", "presence", ""))
	bob.none("private", told("alice@home.example", "private", ""))
	// Bookmarks and the like are many; others one.
	if got := ids(alice.request(askItems("", "private"))); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("private %q", got)
	}
	if got := ids(alice.request(askItems("", "open"))); !slices.Equal(got, []string{"2"}) {
		t.Errorf("open %q", got)
	}
	newest := strings.Replace(askItems("", "private"), "'/></pubsub>", "' max_items='1'/></pubsub>", 1)
	if got := ids(alice.request(newest)); !slices.Equal(got, []string{"2"}) {
		t.Errorf("newest %q", got)
	}
	// Options that differ are a conflict; the owner changes the node.
	again := publish("private", "3", "<x xmlns='x'/>", "access_model=open")
	e := alice.request(again)
	if condition(e) != "cancel conflict" || e.Child(stream.NS, "error").Child(nsPubSubErrors, "precondition-not-met") == nil {
		t.Errorf("other options: %s", e)
	}
	form := alice.request("<iq type='get'><pubsub xmlns='" + nsPubSubOwner + "'><configure node='private'/></pubsub></iq>")
	if !strings.Contains(form.String(), "<value>whitelist</value>") || !strings.Contains(form.String(), "<value>max</value>") {
		t.Errorf("form %s", form)
	}
	alice.request("<iq type='set'><pubsub xmlns='" + nsPubSubOwner + "'><configure node='private'>" + configForm(nsNodeConfig, "access_model=open") + "</configure></pubsub></iq>")
	if e := alice.request(again); e.Attr("type") != "result" {
		t.Errorf("after the change: %s", e)
	}
	check("opened", map[string]string{"private": ""})
}

func TestPEPHostile(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{BytesPerSecond: 64 << 20, StanzasPerSec: 10000})
	alice, bob := f.online("alice", "phone"), f.online("bob", "phone")
	to := func(iq string) string { return strings.Replace(iq, "<iq ", "<iq to='alice@home.example' ", 1) }
	one := publish("n", "1", "<x xmlns='x'/>", "")
	owner := func(s string) string {
		return "<iq type='set'><pubsub xmlns='" + nsPubSubOwner + "'>" + s + "</pubsub></iq>"
	}
	pub := func(s string) string {
		return "<iq type='set'><pubsub xmlns='" + nsPubSub + "'>" + s + "</pubsub></iq>"
	}
	for _, c := range []struct {
		who      *raw
		iq, want string
	}{
		{bob, to(one), "auth forbidden"},
		{bob, to(owner("<delete node='n'/>")), "auth forbidden"},
		{alice, publish("", "1", "<x xmlns='x'/>", ""), "modify bad-request"},
		{alice, publish(strings.Repeat("n", 600), "1", "<x xmlns='x'/>", ""), "modify bad-request"},
		{alice, publish("n", strings.Repeat("n", 600), "<x xmlns='x'/>", ""), "modify bad-request"},
		{alice, publish("n", "1", "", ""), "modify bad-request"},
		{alice, publish("n", "1", "<x xmlns='x'/><y xmlns='x'/>", ""), "modify bad-request"},
		{alice, publish("n", "1", "<x xmlns='x'>"+strings.Repeat("x", 200<<10)+"</x>", ""), "modify not-acceptable"},
		{alice, publish("n", "1", "<x xmlns='x'/>", "access_model=authorize"), "modify not-acceptable"},
		{alice, publish("n", "1", "<x xmlns='x'/>", "access_model=nonsense"), "modify not-acceptable"},
		{alice, publish("n", "1", "<x xmlns='x'/>", "max_items=0"), "modify not-acceptable"},
		{alice, publish("n", "1", "<x xmlns='x'/>", "max_items=many"), "modify not-acceptable"},
		{alice, publish("n", "1", "<x xmlns='x'/>", "persist_items=perhaps"), "modify bad-request"},
		{alice, strings.Replace(publish("n", "1", "<x xmlns='x'/>", "access_model=open"), nsPubOptions, "other", 1), "modify bad-request"},
		{alice, pub("<publish node='n'/>"), "modify bad-request"},
		{alice, pub("<retract node='n'><item id='1'/></retract>"), "cancel item-not-found"},
		{alice, pub("<retract node='n'/>"), "modify bad-request"},
		{alice, pub("<subscribe node='n' jid='alice@home.example'/>"), "cancel feature-not-implemented"},
		{alice, pub("<unknown node='n'/>"), "cancel feature-not-implemented"},
		{alice, pub(""), "modify bad-request"},
		{alice, owner("<delete node='n'/>"), "cancel item-not-found"},
		{alice, owner("<purge node='n'/>"), "cancel item-not-found"},
		{alice, owner("<configure node='n'/>"), "cancel item-not-found"},
		{alice, owner("<affiliations node='n'/>"), "cancel feature-not-implemented"},
		{alice, askItems("", "n"), "cancel item-not-found"},
		{alice, askItems("", ""), "modify bad-request"},
	} {
		if got := condition(c.who.request(c.iq)); got != c.want {
			t.Errorf("%.150s: %q, want %q", c.iq, got, c.want)
		}
	}
	if len(f.store.nodes["alice"]) != 0 {
		t.Errorf("kept %d nodes", len(f.store.nodes["alice"]))
	}
	// What is kept is bounded: in bytes, in nodes, in items.
	for i := range 20 {
		e := alice.request(publish("big"+strconv.Itoa(i), "1", "<x xmlns='x'>"+strings.Repeat("x", 150<<10)+"</x>", ""))
		if i < 13 != (e.Attr("type") == "result") || i == 19 && condition(e) != "wait resource-constraint" {
			t.Errorf("%d: %.200s", i, e)
		}
	}
	for i := range maxNodes + 1 {
		if e := bob.request(publish("n"+strconv.Itoa(i), "1", "<x xmlns='x'/>", "")); i < maxNodes != (e.Attr("type") == "result") {
			t.Errorf("node %d: %s", i, e)
		}
	}
	for i := range maxNodeItems + 10 {
		bob.request(publish("n0", strconv.Itoa(i), "<x xmlns='x'/>", ""))
		if i == 0 {
			bob.request(owner("<configure node='n0'>" + configForm(nsNodeConfig, "max_items=max") + "</configure>"))
		}
	}
	if got := ids(bob.request(askItems("", "n0"))); len(got) != maxNodeItems || got[len(got)-1] != strconv.Itoa(maxNodeItems+9) {
		t.Errorf("%d items", len(got))
	}
	// A disk that fails changes nothing.
	f.store.mu.Lock()
	f.store.broken = errors.New("full")
	f.store.mu.Unlock()
	if got := condition(bob.request(publish("n1", "2", "<x xmlns='x'/>", ""))); got != "cancel internal-server-error" {
		t.Errorf("a broken disk: %q", got)
	}
	if got := ids(bob.request(askItems("", "n1"))); !slices.Equal(got, []string{"1"}) {
		t.Errorf("after it: %q", got)
	}
	f.store.mu.Lock()
	f.store.broken = nil
	f.store.mu.Unlock()
	// Answers nobody asked for, and more than a client can want.
	alice.write("<iq type='result' id='made-up' to='home.example'><query xmlns='" + nsDiscoInfo + "'><feature var='n+notify'/></query></iq>")
	var many []string
	for i := range maxNotify + 100 {
		many = append(many, "many"+strconv.Itoa(i))
	}
	alice.write("<presence><c xmlns='" + nsCaps + "' node='x' ver='y'/></presence>")
	alice.answerCaps(many...)
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.accounts["alice"].sessions["phone"].interest.nodes); n != maxNotify {
		t.Errorf("wants %d nodes", n)
	}
}
