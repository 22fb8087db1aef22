package xmppbridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

// roomFile is the house with a room whose people see and control the lamp, and nothing else. Vera, who only sees, and alice have
// lines of their own; rob is of the room alone.
var roomFile = strings.Replace(houseFile, "[drivers.line]", `
"room:ops@rooms.example.org" = { role = "operator", devices = ["lamp"] }
"*@guests.example.org" = "viewer"

[rooms."ops@rooms.example.org"]

[drivers.line]`, 1)

const ops = "ops@rooms.example.org"

// A testRoom plays the service of one room.
type testRoom struct {
	*fixture
	mu       sync.Mutex
	features []string
	info     error // in answer to disco#info
	ping     error // in answer to a self-ping
	asked    int   // disco#info
	pinged   int
}

var private = []string{"http://jabber.org/protocol/muc", "muc_membersonly", "muc_nonanonymous"}

// inRoom runs a test of a bridge with a room that it is about to join.
func inRoom(t *testing.T, test func(*testRoom)) {
	t.Helper()
	inRoomOf(t, roomFile, test)
}

func inRoomOf(t *testing.T, file string, test func(*testRoom), more ...func(*Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, setup{file: file, more: func(o *Options) {
			o.Rooms = []Room{{JID: ops, Nick: "home", Password: "sesame"}}
			for _, m := range more {
				m(o)
			}
		}})
		r := &testRoom{fixture: f, features: private}
		f.network.set(func(n *testNetwork) { n.answer = r.answerRequest })
		test(r)
		f.stop()
	})
}

func (r *testRoom) answerRequest(ctx context.Context, iq *stream.Element) (*stream.Element, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch query := iq.First(); {
	case query.Is(nsPing, "ping"):
		r.pinged++
		if r.ping == errSilent {
			r.mu.Unlock()
			<-ctx.Done()
			r.mu.Lock()
			return nil, ctx.Err()
		}
		return stream.Result(iq), r.ping
	case r.info != nil:
		return nil, r.info
	default:
		r.asked++
		answer := stream.New(nsDiscoInfo, "query")
		for _, f := range r.features {
			answer.Add(stream.New(nsDiscoInfo, "feature", "var", f))
		}
		return stream.Result(iq, answer), nil
	}
}

var errSilent = fmt.Errorf("no answer")

func (r *testRoom) is(change func()) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// pings are how often it was asked whether we are in it.
func (r *testRoom) pings() (n int) {
	r.t.Helper()
	r.is(func() { n = r.pinged })
	return n
}

// asks is the presence that asks to be in, among what was sent, or nil.
func (r *testRoom) asks() *stream.Element {
	r.t.Helper()
	var found *stream.Element
	for _, st := range r.sent() {
		if st.Name == "presence" && strings.HasPrefix(st.Attr("to"), ops+"/") && st.Attr("type") == "" {
			found = st
		}
	}
	return found
}

// presence is one of the room's, from a nick, with a muc#user child.
func (r *testRoom) presence(nick, attrs, inner string) {
	r.t.Helper()
	r.deliver(fmt.Sprintf("<presence from='%s/%s' to='%s' %s><x xmlns='http://jabber.org/protocol/muc#user'>%s</x></presence>", ops, nick, hub, attrs, inner))
}

// joins goes in as home, with vera, alice and rob there.
func (r *testRoom) joins() {
	r.t.Helper()
	r.Up("")
	if r.asks() == nil {
		r.t.Fatal("the room is not joined")
	}
	r.enters("home")
	r.sent()
}

func (r *testRoom) enters(nick string) {
	r.t.Helper()
	for _, who := range []string{"vera", "alice", "rob"} {
		r.presence(who, "", "<item affiliation='member' role='participant' jid='"+who+"@example.org/phone'/>")
	}
	r.presence(nick, "", "<item affiliation='member' role='participant' jid='"+hub+"'/><status code='100'/><status code='110'/>")
}

func (r *testRoom) leaves(inner string) {
	r.t.Helper()
	r.presence("home", "type='unavailable'", "<item affiliation='none' role='none'><reason>enough</reason></item>"+inner)
}

// says is somebody who says something in the room, and what is said for it.
func (r *testRoom) says(nick, body, more string) []string {
	r.t.Helper()
	r.sent()
	r.deliver(fmt.Sprintf("<message from='%s/%s' to='%s' type='groupchat' id='%d'><body>%s</body>%s</message>", ops, nick, hub, time.Now().UnixNano(), body, more))
	var out []string
	for _, st := range r.sent() {
		if st.Name == "message" {
			if st.Attr("type") != "groupchat" || st.Attr("to") != ops || st.Attr("from") != hub {
				r.t.Errorf("answered by %s", st)
			}
			out = append(out, st.Body())
		}
	}
	time.Sleep(time.Second)
	return out
}

func (r *testRoom) state(want string) {
	r.t.Helper()
	r.sent()
	if got := r.Rooms()[0].State; got != want {
		r.t.Errorf("state of the room: %s\nwant %s", got, want)
	}
}

func TestRoomJoin(t *testing.T) {
	inRoom(t, func(r *testRoom) {
		r.state("not joined: waiting for the connection")
		r.Up("")
		st := r.asks()
		x := st.Child(nsMUC, "x")
		if st.Attr("to") != ops+"/home" || st.Attr("from") != hub || x.Child(nsMUC, "history").Attr("maxstanzas") != "0" ||
			x.ChildText(nsMUC, "password") != "sesame" || st.Child(nsCaps, "c") == nil {
			t.Errorf("joining: %s", st)
		}
		r.state("joining")
		r.enters("home")
		r.state("joined as home")
		if r.asked != 2 { // before and after
			t.Errorf("asked %d times what the room is", r.asked)
		}
		r.Up("") // a new stream: whether we are in it nobody knows
		if r.asks() == nil {
			t.Error("not joined again")
		}
		r.enters("home")
		r.sent()
		r.stop()
		if out := shown(r.sent()); !slices.Contains(out, "unavailable "+hub+" > "+ops+"/home") {
			t.Errorf("at the end: %v", out)
		}
	})
}

// What keeps us out is said in a sentence, and what only a person can set right is not asked for again and again.
func TestRoomRefused(t *testing.T) {
	const slow, fast = roomPerson, 2 * time.Second
	for name, c := range map[string]struct {
		condition, state string
		again            time.Duration
	}{
		"password": {"not-authorized", "the password is wrong: correct password_file in its table of [rooms]", slow},
		"member":   {"registration-required", "it is for members only: have an owner make home@things.example.org a member", slow},
		"banned":   {"forbidden", "home@things.example.org is banned from it: have an owner lift that", slow},
		"none":     {"not-allowed", "there is no such room: make it, members-only and non-anonymous, and home@things.example.org a member", slow},
		"locked":   {"item-not-found", "there is no such room: make it, members-only and non-anonymous, and home@things.example.org a member", slow},
		"nick":     {"not-acceptable", "it lets us in only under a nick registered for us: set nick in its table of [rooms]", slow},
		"no nick":  {"jid-malformed", `it does not allow the nick "home": set another in its table of [rooms]`, slow},
		"full":     {"service-unavailable", "it is full, or its service is down", fast},
		"away":     {"remote-server-not-found", "its service cannot be reached", fast},
		"slow":     {"resource-constraint", "its service says resource-constraint", fast},
		"no more":  {"gone", "there is no such room: make it, members-only and non-anonymous, and home@things.example.org a member", slow},
	} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(r *testRoom) {
				r.Up("")
				if r.asks() == nil {
					t.Fatal("not asked")
				}
				r.deliver("<presence from='" + ops + "/home' to='" + hub + "' type='error'><x xmlns='http://jabber.org/protocol/muc'/>" +
					"<error type='auth'><" + c.condition + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>")
				r.state("not joined: " + c.state)
				time.Sleep(c.again - 2*time.Second)
				if c.again > fast && r.asks() != nil {
					t.Error("asked again soon")
				}
				time.Sleep(2 * time.Second)
				if r.asks() == nil {
					t.Error("never asked again")
				}
			})
		})
	}
}

// Where there is no room, none is made; one that was made all the same is left.
func TestRoomNone(t *testing.T) {
	const none = "not joined: there is no such room: make it, members-only and non-anonymous, and home@things.example.org a member"
	inRoom(t, func(r *testRoom) {
		r.is(func() { r.info = stream.NewStanzaError(stream.ItemNotFound, "") })
		r.Up("")
		if r.asks() != nil {
			t.Error("joined a room that is not there")
		}
		r.state(none)
		r.is(func() { r.info = nil })
		r.deliver("<message from='" + ops + "' to='" + hub + "'><x xmlns='http://jabber.org/protocol/muc#user'><invite from='alice@example.org'/></x></message>")
		time.Sleep(roomSoon)
		if r.asks() == nil {
			t.Fatal("an invitation is no reason to try again")
		}
		r.presence("home", "", "<item affiliation='owner' role='moderator'/><status code='110'/><status code='201'/>")
		if out := shown(r.sent()); !slices.Contains(out, "unavailable "+hub+" > "+ops+"/home") {
			t.Errorf("the room that was made is not left: %v", out)
		}
		r.state(none)
	})
	inRoom(t, func(r *testRoom) { // who does not say what it is may be joined; who does not answer is tried again
		r.is(func() { r.info = stream.NewStanzaError(stream.Forbidden, "") })
		r.Up("")
		if r.asks() == nil {
			t.Fatal("not asked")
		}
		time.Sleep(roomAnswer)
		r.state("not joined: its service does not answer")
		time.Sleep(2 * time.Second)
		if r.asks() == nil {
			t.Error("not asked again")
		}
		r.enters("home")
		r.state("joined as home, but nothing is said or done there: it is not members-only and non-anonymous, as its owner can make it")
	})
}

func TestRoomNick(t *testing.T) {
	inRoom(t, func(r *testRoom) {
		taken := func(nick string) {
			r.deliver("<presence from='" + ops + "/" + nick + "' to='" + hub + "' type='error'><error type='cancel'>" +
				"<conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>")
		}
		r.Up("")
		r.sent()
		taken("home")
		if st := r.asks(); st.Attr("to") != ops+"/home-2" {
			t.Fatalf("another nick: %s", st)
		}
		r.presence("home", "", "<item affiliation='member' role='participant' jid='rob@example.org/tv'/>")
		r.enters("home-2")
		r.state("joined as home-2 (somebody else is home)")
		equal(t, "by the other's name", r.says("rob", "home: lamp on", ""), nil)
		equal(t, "by ours", r.says("rob", "home-2: lamp on", ""), []string{"rob: Lamp: Power is on (confirmed by the device)."})
		r.requests()
		r.presence("home", "type='unavailable'", "<item affiliation='member' role='none'/>")
		if st := r.asks(); st == nil || st.Attr("to") != ops+"/home" {
			t.Fatalf("the own nick: %v", st)
		}
		taken("home") // somebody was quicker
		r.state("joined as home-2 (somebody else is home)")
		time.Sleep(roomOwn)
		if st := r.asks(); st == nil || st.Attr("to") != ops+"/home" {
			t.Fatalf("the own nick, later: %v", st)
		}
		r.presence("home-2", "type='unavailable'", "<item affiliation='member' role='participant' nick='home'/><status code='303'/><status code='110'/>")
		r.presence("home", "", "<item affiliation='member' role='participant'/><status code='110'/>")
		r.state("joined as home")
	})
	inRoom(t, func(r *testRoom) {
		r.Up("")
		r.sent()
		for i := range roomNicks {
			r.deliver("<presence from='" + ops + fmt.Sprintf("/home-%d", i) + "' to='" + hub + "' type='error'><error type='cancel'>" +
				"<conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>")
		}
		r.state("not joined: the nick home and those like it are taken: set another in its table of [rooms]")
		r.SetRooms([]Room{{JID: ops, Nick: "house"}})
		if st := r.asks(); st == nil || st.Attr("to") != ops+"/house" {
			t.Errorf("after a reload: %v", st)
		}
		r.enters("house")
		r.sent()
		r.SetRooms(nil)
		if out := shown(r.sent()); !slices.Contains(out, "unavailable "+hub+" > "+ops+"/house") || len(r.Rooms()) != 0 {
			t.Errorf("a room that is gone: %v", out)
		}
	})
}

// Who is put out of a room says why, and does not come back at once.
func TestRoomLeft(t *testing.T) {
	for name, c := range map[string]struct {
		inner, state string
		again        time.Duration
	}{
		"kicked":     {"<status code='307'/><status code='110'/>", "somebody put us out of it: enough", roomKicked},
		"banned":     {"<status code='301'/>", "we were banned from it: enough", roomPerson},
		"no member":  {"<status code='321'/><status code='110'/>", "we are no longer a member of it: enough", roomPerson},
		"closed":     {"<status code='322'/>", "it is for members only now, and we are none: enough", roomPerson},
		"trouble":    {"<status code='307'/><status code='333'/>", "its service let go of us: enough", 2 * time.Second},
		"shutdown":   {"<status code='332'/><status code='110'/>", "its service let go of us: enough", 2 * time.Second},
		"destroyed":  {"<destroy jid='ops2@rooms.example.org'><reason>moved</reason></destroy>", "it was destroyed: moved (people go on in ops2@rooms.example.org)", roomPerson},
		"left":       {"<status code='110'/>", "we are no longer in it: enough", 2 * time.Second},
		"by nothing": {"", "we are no longer in it: enough", 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(r *testRoom) {
				r.joins()
				r.leaves(c.inner)
				r.state("not joined: " + c.state)
				equal(t, "nobody is in it", r.says("rob", "home: lamp on", ""), nil)
				time.Sleep(c.again - 2*time.Second)
				if c.again > 2*time.Second && r.asks() != nil {
					t.Error("asked again at once")
				}
				time.Sleep(2 * time.Second)
				if r.asks() == nil {
					t.Error("never asked again")
				}
				r.enters("home")
				r.state("joined as home")
			})
		})
	}
}

func TestRoomPing(t *testing.T) {
	inRoom(t, func(r *testRoom) {
		r.joins()
		time.Sleep(roomSilence - time.Second)
		r.says("rob", "is anyone there?", "")
		time.Sleep(roomSilence - 2*time.Second)
		if r.pings() != 0 {
			t.Error("pinged a room that is not silent")
		}
		for i, stays := range []string{"", stream.ServiceUnavailable, stream.FeatureNotImplemented, stream.ItemNotFound} {
			r.is(func() {
				if r.ping = nil; stays != "" {
					r.ping = stream.NewStanzaError(stays, "")
				}
			})
			time.Sleep(roomSilence)
			if n := r.pings(); n != i+1 || r.asks() != nil {
				t.Errorf("%q: pinged %d times", stays, n)
			}
		}
		r.is(func() { r.ping = stream.NewStanzaError(stream.RemoteServerTimeout, "") })
		time.Sleep(roomSilence)
		r.state("joined as home, but its service does not answer")
		r.is(func() { r.ping = errSilent })
		time.Sleep(2 * roomAnswer)
		if r.asks() != nil {
			t.Error("joins again while nothing is known")
		}
		r.is(func() { r.ping = nil })
		time.Sleep(3 * roomAnswer)
		r.state("joined as home")
		r.is(func() { r.ping = stream.NewStanzaError(stream.NotAcceptable, "") })
		time.Sleep(roomSilence)
		if r.asks() == nil {
			t.Error("not joined again")
		}
	})
	inRoom(t, func(r *testRoom) { // a service that does not answer itself sends our ping to us
		r.joins()
		if st := r.answer("<iq from='" + ops + "/home' to='" + hub + "' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"); st.Attr("type") != "result" {
			t.Errorf("our own ping: %s", st)
		}
	})
}

// A room that is not, or no longer, members-only and non-anonymous hears nothing and has nothing done.
func TestRoomOpen(t *testing.T) {
	const flaw = "joined as home, but nothing is said or done there: it is not members-only and non-anonymous, as its owner can make it"
	for _, features := range [][]string{{"muc_open", "muc_nonanonymous"}, {"muc_membersonly", "muc_semianonymous"}, nil} {
		inRoom(t, func(r *testRoom) {
			r.is(func() { r.features = features })
			r.joins()
			r.state(flaw)
			r.post(1, "room:"+ops, "hot")
			equal(t, "said", bodies(r.sent()), nil)
			equal(t, "a command", r.says("rob", "home: lamp on", ""), nil)
			r.is(func() { r.features = private })
			r.deliver("<message from='" + ops + "' to='" + hub + "' type='groupchat'><x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>")
			r.state("joined as home")
		})
	}
	inRoom(t, func(r *testRoom) {
		r.joins()
		equal(t, "a command", r.says("rob", "home: lamp on", ""), []string{"rob: Lamp: Power is on (confirmed by the device)."})
		r.requests()
		r.is(func() { r.features = []string{"muc_open"} })
		r.deliver("<message from='" + ops + "' to='" + hub + "' type='groupchat'><x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>")
		r.state(flaw)
		equal(t, "a command", r.says("rob", "home: lamp off", ""), nil)
		r.post(1, "room:"+ops, "hot")
		equal(t, "said", bodies(r.sent()), nil)
		if got := r.requests(); len(got) != 0 {
			t.Errorf("executed %v", got)
		}
		r.is(func() { r.features = private })
		r.deliver("<message from='" + ops + "' to='" + hub + "' type='groupchat'><x xmlns='http://jabber.org/protocol/muc#user'><status code='172'/></x></message>")
		equal(t, "said then", bodies(r.sent()), []string{"hot"})
	})
	inRoom(t, func(r *testRoom) { // an answer that took its time is not for whoever can be there by now
		r.joins()
		release := make(chan struct{})
		r.execute = func(_ context.Context, q devices.Request) (devices.Outcome, error) {
			<-release
			return devices.Outcome{Confirmed: true, Value: q.Value}, nil
		}
		equal(t, "asked", r.says("rob", "home: lamp on", ""), nil)
		r.is(func() { r.features = []string{"muc_open"} })
		r.deliver("<message from='" + ops + "' to='" + hub + "' type='groupchat'><x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>")
		r.state(flaw)
		close(release)
		equal(t, "answered", bodies(r.sent()), nil)
	})
}
