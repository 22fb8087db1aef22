package local

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/stream"
)

func startArchive(t *testing.T) *fixture {
	t.Helper()
	return startWith(t, Limits{}, &memory{accounts: map[string]Credentials{"alice": testCredentials(), "bob": testCredentials()},
		items: map[string]map[string]Item{}, keep: 24 * time.Hour})
}

// page is what an archive answered.
type page struct {
	ids, bodies []string
	fin         *stream.Element
}

func (p page) String() string { return strings.Join(p.bodies, " ") }

// archived asks for a page; query is what stands in the <query/>.
func (c *raw) archived(query string) page {
	c.t.Helper()
	answer := c.request("<iq type='set'><query xmlns='urn:xmpp:mam:2' queryid='q'>" + query + "</query></iq>")
	p := page{fin: answer.Child(nsMAM, "fin")}
	if p.fin == nil {
		c.t.Fatalf("%s: %s", query, answer)
	}
	c.backlog = slices.DeleteFunc(c.backlog, func(e *stream.Element) bool {
		r := e.Child(nsMAM, "result")
		if r == nil {
			return false
		}
		f := r.Child(nsForward, "forwarded")
		if r.Attr("queryid") != "q" || e.Attr("from") != bare(c.full) || f.Child(nsDelay, "delay") == nil {
			c.t.Errorf("result %s", e)
		}
		p.ids, p.bodies = append(p.ids, r.Attr("id")), append(p.bodies, f.Child(stream.NS, "message").Body())
		return true
	})
	return p
}

func filter(fields ...string) string {
	x := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>"
	for i := 0; i < len(fields); i += 2 {
		x += "<field var='" + fields[i] + "'><value>" + strings.ReplaceAll(fields[i+1], ",", "</value><value>") + "</value></field>"
	}
	return x + "</x>"
}

func rsm(inner string) string {
	return "<set xmlns='http://jabber.org/protocol/rsm'>" + inner + "</set>"
}

func TestArchive(t *testing.T) {
	t.Parallel()
	f := startArchive(t)
	a, b := f.online("alice", "phone"), f.online("bob", "phone")
	a.write("<message type='chat' to='bob@home.example'><body>one</body><stanza-id xmlns='urn:xmpp:sid:0' by='bob@home.example' id='forged'/>" +
		"<stanza-id xmlns='urn:xmpp:sid:0' by='alice@home.example' id='forged'/></message>")
	e := b.expect("message", message("one"))
	id := e.Child(nsStanzaID, "stanza-id").Attr("id")
	if strings.Contains(e.String(), "forged") || id == "" || e.Child(nsStanzaID, "stanza-id").Attr("by") != "bob@home.example" {
		t.Errorf("ids in %s", e)
	}
	b.write("<message type='chat' to='" + a.full + "'><body>two</body></message>")
	a.expect("message", message("two"))
	a.write("<message type='chat' to='lamp@home.example'><body>on</body></message>")
	a.expect("answer", message("heard on"))
	for _, not := range []string{
		"<message type='chat' to='bob@home.example'><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>",
		"<message type='chat' to='bob@home.example'><body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/></message>",
		"<message type='headline' to='bob@home.example'><body>x</body></message>",
		"<message type='chat' to='bob@home.example'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
	} {
		a.write(not)
	}
	a.write("<message type='chat' to='bob@home.example'><reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>x</reaction></reactions></message>")
	a.write("<message type='chat' to='bob@home.example'><thing xmlns='x'/><store xmlns='urn:xmpp:hints'/></message>")
	a.write("<message type='chat' to='alice@home.example'><body>note</body></message>")
	a.expect("note", message("note"))

	p := a.archived("")
	if p.String() != "one two on heard on   note" || p.fin.Attr("complete") != "true" ||
		p.fin.Child(nsRSM, "set").ChildText(nsRSM, "count") != "7" || p.fin.Child(nsRSM, "set").ChildText(nsRSM, "last") != p.ids[6] {
		t.Errorf("alice's archive: %q, %s", p, p.fin)
	}
	if q := b.archived(""); q.String() != "one two  " || q.ids[0] != id {
		t.Errorf("bob's archive: %q", q)
	}
	for _, c := range []struct {
		query, want string
		complete    bool
	}{
		{filter("with", "lamp@home.example"), "on heard on", true},
		{filter("with", "lamp@home.example/lamp"), "", true},
		{filter("with", "alice@home.example"), "note", true},
		{filter("with", b.full), "two", true},
		{filter("start", "2999-01-01T00:00:00Z"), "", true},
		{filter("start", "1000-01-01T00:00:00Z", "end", "2999-01-01T00:00:00+01:00"), "one two on heard on   note", true},
		{filter("end", "0001-01-01T00:00:00Z"), "", true},
		{rsm("<max>2</max>"), "one two", false},
		{rsm("<max>2</max><after>" + p.ids[1] + "</after>"), "on heard on", false},
		{rsm("<max>1</max><after>" + p.ids[5] + "</after>"), "note", true},
		{rsm("<max>2</max><before/>"), " note", false},
		{rsm("<max>2</max><before>" + p.ids[2] + "</before>"), "one two", true},
		{rsm("<max>2</max>") + "<flip-page/>", "two one", false},
		{rsm("<max>0</max>"), "", false},
		{rsm("<max>4000000000</max>"), "one two on heard on   note", true},
		{filter("after-id", p.ids[0], "before-id", p.ids[3]), "two on", true},
		{filter("after-id", p.ids[0]) + rsm("<max>1</max><after>"+p.ids[1]+"</after>"), "on", false},
		{filter("ids", p.ids[1]+","+p.ids[3]), "two heard on", true},
	} {
		got := a.archived(c.query)
		if got.String() != c.want || (got.fin.Attr("complete") == "true") != c.complete {
			t.Errorf("%s: %q, %s", c.query, got, got.fin)
		}
	}
	for _, c := range []struct{ query, want string }{
		{filter("with", "@"), "modify jid-malformed"},
		{filter("start", "yesterday"), "modify bad-request"},
		{filter("start", "2026-01-01T00:00:00Z", "start", "2026-01-01T00:00:00Z"), "modify bad-request"},
		{filter("text", "x"), "cancel feature-not-implemented"},
		{filter("after-id", "nothing"), "cancel item-not-found"},
		{filter("ids", p.ids[0]+",nothing"), "cancel item-not-found"},
		{filter("ids", strings.Repeat("x,", 101)), "modify policy-violation"},
		{rsm("<max>-1</max>"), "modify bad-request"},
		{rsm("<max>99999999999999999999</max>"), "modify bad-request"},
		{rsm("<after>" + id + "</after>"), "cancel item-not-found"}, // bob's
		{rsm("<index>3</index>"), "cancel feature-not-implemented"},
		{"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>other</value></field></x>", "modify bad-request"},
	} {
		if got := condition(a.request("<iq type='set'><query xmlns='urn:xmpp:mam:2'>" + c.query + "</query></iq>")); got != c.want {
			t.Errorf("%s: %q, want %q", c.query, got, c.want)
		}
	}
	if got := condition(b.request("<iq type='set' to='alice@home.example'><query xmlns='urn:xmpp:mam:2'/></iq>")); got != "cancel service-unavailable" {
		t.Errorf("somebody else's archive: %q", got)
	}
	if e := a.request("<iq type='get'><metadata xmlns='urn:xmpp:mam:2'/></iq>").Child(nsMAM, "metadata"); e.Child(nsMAM, "start").Attr("id") != p.ids[0] ||
		e.Child(nsMAM, "end").Attr("id") != p.ids[6] {
		t.Errorf("metadata %s", e)
	}
	if e := a.request("<iq type='get'><prefs xmlns='urn:xmpp:mam:2'/></iq>").Child(nsMAM, "prefs"); e.Attr("default") != "always" {
		t.Errorf("preferences %s", e)
	}
	if got := condition(a.request("<iq type='set'><prefs xmlns='urn:xmpp:mam:2' default='never'/></iq>")); got != "cancel service-unavailable" {
		t.Errorf("other preferences: %q", got)
	}
	if e := a.request("<iq type='get'><query xmlns='urn:xmpp:mam:2'/></iq>"); strings.Count(e.String(), "<field") != 7 {
		t.Errorf("form %s", e)
	}
	for _, to := range []string{"alice@home.example", testDomain} {
		e := a.request("<iq type='get' to='" + to + "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
		if !strings.Contains(e.String(), "mam:2#extended") {
			t.Errorf("features %s", e)
		}
	}
}

// What nobody was there for is in the archive as well, under the id it is delivered with; what the house repeats is in it once.
func TestArchiveOnce(t *testing.T) {
	t.Parallel()
	f := startArchive(t)
	a := f.online("alice", "phone")
	a.write("<message type='chat' to='bob@home.example'><body>later</body></message>")
	a.sync()
	b := f.online("bob", "phone")
	e := b.expect("message", message("later"))
	if p := b.archived(""); p.String() != "later" || p.ids[0] != e.Child(nsStanzaID, "stanza-id").Attr("id") {
		t.Errorf("archive %v, delivered %s", p.ids, e)
	}
	alert := stream.New(stream.NS, "message", "type", "chat", "id", "alert-1", "from", "lamp@home.example/lamp", "to", "bob@home.example").
		Add(stream.New(stream.NS, "body").AddText("hot"))
	var ids []string
	for range 2 {
		if err := f.Send(alert); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, b.expect("alert", message("hot")).Child(nsStanzaID, "stanza-id").Attr("id"))
	}
	if p := b.archived(""); p.String() != "later hot" || ids[0] != ids[1] || ids[0] != p.ids[1] {
		t.Errorf("archive %v %v, delivered %v", p, p.ids, ids)
	}
}

func TestNoArchive(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a := f.online("alice", "phone")
	for _, iq := range []string{"<iq type='set'><query xmlns='urn:xmpp:mam:2'/></iq>", "<iq type='get'><query xmlns='urn:xmpp:mam:2'/></iq>",
		"<iq type='get'><prefs xmlns='urn:xmpp:mam:2'/></iq>", "<iq type='get'><metadata xmlns='urn:xmpp:mam:2'/></iq>"} {
		if got := condition(a.request(iq)); got != "cancel service-unavailable" {
			t.Errorf("%s: %q", iq, got)
		}
	}
	if e := a.request("<iq type='get' to='alice@home.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"); strings.Contains(e.String(), "mam") {
		t.Errorf("features %s", e)
	}
	a.write("<message type='chat' to='alice@home.example'><body>x</body></message>")
	if e := a.expect("message", message("x")); e.Child(nsStanzaID, "stanza-id") != nil || len(f.store.archive) > 0 {
		t.Errorf("%s, archived %d", e, len(f.store.archive))
	}
}

// A page holds what may wait for a client, however many messages were asked for.
func TestArchivePages(t *testing.T) {
	t.Parallel()
	f := startArchive(t)
	a := f.online("alice", "phone")
	for i := range 300 {
		f.store.Archive(Archived{Account: "alice", ID: strconv.Itoa(i), At: time.Now(), With: "lamp@home.example",
			Stanza: fmt.Appendf(nil, "<message><body>%d</body></message>", i)})
	}
	seen, after, pages := 0, "", 0
	for {
		p := a.archived(rsm("<max>1000</max>" + after))
		seen += len(p.ids)
		if pages++; p.fin.Attr("complete") == "true" {
			break
		}
		after = "<after>" + p.ids[len(p.ids)-1] + "</after>"
	}
	if seen != 300 || pages != 2 {
		t.Errorf("%d messages on %d pages", seen, pages)
	}
}
