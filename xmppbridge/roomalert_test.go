package xmppbridge

import (
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// reflect shows us what we said, as the room does to everybody.
func (r *testRoom) reflect(st *stream.Element, id string) {
	r.t.Helper()
	r.deliver("<message from='" + ops + "/home' to='" + hub + "' type='groupchat' id='" + id + "'><body>" + st.Body() + "</body>" +
		"<origin-id xmlns='urn:xmpp:sid:0' id='" + st.Attr("id") + "'/></message>")
}

func (r *testRoom) outboxed(want int) {
	r.t.Helper()
	r.sent()
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	if got := len(r.store.outbox); got != want {
		r.t.Errorf("%d alerts in the outbox, want %d", got, want)
	}
}

// An alert waits until we are in the room, and is out of the outbox once the room has shown it.
func TestRoomAlert(t *testing.T) {
	for name, id := range map[string]string{"same id": "alert-hot", "id of the room's": "room-1"} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(r *testRoom) {
				r.post(1, "room:"+ops, "hot")
				equal(t, "not in it", bodies(r.sent()), nil)
				r.Up("")
				r.sent()
				r.enters("home")
				out := r.sent()
				equal(t, "in it", bodies(out), []string{"hot"})
				st := out[len(out)-1]
				if st.Attr("type") != "groupchat" || st.Attr("from") != hub || st.Attr("to") != ops || st.Attr("id") != "alert-hot" || st.Child(nsReceipts, "request") != nil {
					t.Errorf("alert %s", st)
				}
				r.outboxed(1)
				r.reflect(st, id)
				r.outboxed(0)
				if n := r.pings(); n != 0 || r.network.barriers != 0 {
					t.Errorf("%d pings, %d barriers", n, r.network.barriers)
				}
			})
		})
	}
}

// Where the room does not show what was said, our own ping through it says that it has it; where we are no longer in it, it is said again.
func TestRoomAlertUnseen(t *testing.T) {
	inRoom(t, func(r *testRoom) {
		r.joins()
		r.post(1, "room:"+ops, "hot")
		equal(t, "said", bodies(r.sent()), []string{"hot"})
		time.Sleep(roomReflect)
		r.outboxed(0)

		r.is(func() { r.ping = stream.NewStanzaError(stream.NotAcceptable, "") })
		r.post(2, "room:"+ops, "hotter")
		equal(t, "said", bodies(r.sent()), []string{"hotter"})
		time.Sleep(2 * roomReflect)
		r.outboxed(1)
		r.is(func() { r.ping = nil })
		r.enters("home")
		time.Sleep(alertRetry)
		r.enters("home")
		out := r.sent()
		equal(t, "said again", bodies(out), []string{"hotter"})
		r.reflect(out[len(out)-1], "alert-hotter")
		r.outboxed(0)
	})
}

// A message that comes back is said again when there is reason to: when we are in the room again, when it has calmed down, when we
// have a voice.
func TestRoomAlertReturned(t *testing.T) {
	returned := func(r *testRoom, typ, condition string) {
		r.deliver("<message from='" + ops + "' to='" + hub + "' type='error' id='alert-hot'><body>hot</body><error type='" + typ + "'><" + condition +
			" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
	}
	inRoom(t, func(r *testRoom) {
		r.joins()
		r.post(1, "room:"+ops, "hot")
		equal(t, "said", bodies(r.sent()), []string{"hot"})
		returned(r, "modify", "not-acceptable")
		if r.asks() == nil {
			t.Fatal("not joined again")
		}
		r.enters("home")
		time.Sleep(alertRetry)
		equal(t, "in it again", bodies(r.sent()), []string{"hot"})

		returned(r, "wait", "resource-constraint")
		time.Sleep(alertRetry)
		equal(t, "after a while", bodies(r.sent()), []string{"hot"})

		returned(r, "auth", "forbidden")
		r.state("joined as home, but it does not take what we say")
		time.Sleep(roomKicked - time.Second)
		equal(t, "left alone", bodies(r.sent()), nil)
		time.Sleep(alertRetry)
		equal(t, "then", bodies(r.sent()), []string{"hot"})
		r.outboxed(1)
	})
	inRoom(t, func(r *testRoom) {
		r.joins()
		r.presence("home", "", "<item affiliation='none' role='visitor'/><status code='110'/>")
		r.state("joined as home, but it lets us say nothing: have a moderator give us a voice")
		r.post(1, "room:"+ops, "hot")
		equal(t, "without a voice", bodies(r.sent()), nil)
		r.presence("home", "", "<item affiliation='none' role='participant'/><status code='110'/>")
		equal(t, "with one", bodies(r.sent()), []string{"hot"})
		r.leaves("<status code='307'/><status code='110'/>")
		r.outboxed(1)
		time.Sleep(roomKicked + time.Second)
		r.sent()
		r.enters("home")
		equal(t, "after a kick", bodies(r.sent()), []string{"hot"})
	})
	inRoom(t, func(r *testRoom) { // a room that is not in the configuration (any more)
		r.joins()
		r.SetRooms(nil)
		r.post(1, "room:"+ops, "hot")
		time.Sleep(time.Minute)
		equal(t, "to no room", bodies(r.sent()), nil)
	})
}

// An alert is acknowledged in the room by words to us, by an answer to it and by a thumb under it, whichever id the room gave it.
func TestRoomAcknowledge(t *testing.T) {
	const stanzaID = "<stanza-id xmlns='urn:xmpp:sid:0' by='" + ops + "' id='room-7'/>"
	for name, c := range map[string]struct {
		nick, body, more string
		acknowledged     bool
	}{
		"words":              {"rob", "home: ack", "", true},
		"a reply":            {"rob", "ack", "<reply xmlns='urn:xmpp:reply:0' to='" + ops + "/home' id='room-7'/>", true},
		"a reply with quote": {"rob", "&gt; hot\nack", "<reply xmlns='urn:xmpp:reply:0' id='room-7'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='6'/></fallback>", true},
		"by our own id":      {"rob", "", "<reactions xmlns='urn:xmpp:reactions:0' id='alert-hot'><reaction>👍</reaction></reactions>", true},
		"a thumb":            {"vera", "", "<reactions xmlns='urn:xmpp:reactions:0' id='room-7'><reaction>👍🏽</reaction></reactions>", true},
		"a heart":            {"rob", "", "<reactions xmlns='urn:xmpp:reactions:0' id='room-7'><reaction>❤</reaction></reactions>", false},
		"of another":         {"rob", "", "<reactions xmlns='urn:xmpp:reactions:0' id='room-8'><reaction>👍</reaction></reactions>", false},
		"by a stranger":      {"eve", "", "<reactions xmlns='urn:xmpp:reactions:0' id='room-7'><reaction>👍</reaction></reactions>", false},
		"to somebody else":   {"rob", "ack", "<reply xmlns='urn:xmpp:reply:0' id='room-8'/>", false},
		"shown again":        {"rob", "home: ack", "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>", false},
	} {
		t.Run(name, func(t *testing.T) {
			inRoomOf(t, roomFile+"[alerts.hot]\ndevice = \"lamp\"\nwhen = \"power\"\nto = [\"room:"+ops+"\"]\ntext = \"hot\"\n", func(r *testRoom) {
				r.joins()
				r.house.read("lamp", "power", devices.Bool(true))
				active := r.house.Alerts()[0]
				r.store.mu.Lock()
				r.store.outbox = append(r.store.outbox, Outgoing{Seq: 1, ID: "alert-hot", To: "room:" + ops, Device: "lamp", Alert: "hot",
					Began: active.Began, Body: "hot", At: time.Now()})
				r.store.mu.Unlock()
				r.Alert()
				var st *stream.Element
				for _, said := range r.sent() {
					if said.Attr("type") == "groupchat" {
						st = said
					}
				}
				if want := "hot\nSay \"home: lamp ack\" or \"home: lamp silence 1h\"."; st.Body() != want || st.Child(nsDiscoItems, "query") != nil {
					t.Errorf("said %s, want %q", st, want)
				}
				r.deliver("<message from='" + ops + "/home' to='" + hub + "' type='groupchat' id='alert-hot'><body>hot</body>" + stanzaID + "</message>")
				r.outboxed(0)
				r.says(c.nick, c.body, c.more)
				by := ""
				if c.acknowledged {
					by = c.nick + "@example.org in room:" + ops
				}
				if got := r.house.Alerts()[0].By; got != by {
					t.Errorf("acknowledged by %q, want %q", got, by)
				}
				for _, said := range r.house.said { // those in the room know
					if said.Occasion == mapping.Acknowledged && len(said.To) != 0 {
						t.Errorf("told %v", said.To)
					}
				}
			})
		})
	}
}

// Pictures are for the room as alerts and answers are: bare of anything beside their address, which clients would not show.
func TestRoomPictures(t *testing.T) {
	file := strings.Replace(roomFile, `"operator", devices = ["lamp"] }`, `"operator", devices = ["lamp", "oven"] }`, 1)
	inRoomOf(t, file, func(r *testRoom) {
		r.joins()
		said := r.says("rob", "home: oven chart 6h", "")
		if len(said) != 1 || !strings.HasPrefix(said[0], "https://upload.example.org/") {
			t.Errorf("a chart: %q", said)
		}
		r.alert(Outgoing{ID: "a1", Alert: "hot", Chart: 6 * time.Hour}, "room:"+ops)
		var ids []string
		for _, st := range r.sent() {
			if st.Attr("type") != "groupchat" || st.Attr("to") != ops || st.Attr("from") != hub {
				t.Errorf("sent %s", st)
			}
			if ids = append(ids, st.Attr("id")); st.Attr("id") == "a1-chart" {
				pictureIn(t, st)
			}
		}
		equal(t, "an alert and its picture", ids, []string{"a1", "a1-chart"})
	}, alertsWithPictures(&testHistory{}, &testUploader{}).more)
}
