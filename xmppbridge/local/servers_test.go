//go:build servers

package local

import (
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/stream"
	"tidings/xmppbridge/xmpptest"
)

// slixmpp says how the slixmpp client logs in.
func (f *fixture) slixmpp(account, resource string) xmpptest.Login {
	f.t.Helper()
	file := filepath.Join(f.t.TempDir(), "ca.pem")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.cert.Certificate[0]})
	if err := os.WriteFile(file, b, 0o600); err != nil {
		f.t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		f.t.Fatal(err)
	}
	return xmpptest.Login{
		JID: account + "@" + testDomain + "/" + resource, Password: password, Host: host, Port: n, CAFile: file,
	}
}

func person(f *fixture, account, resource string) *xmpptest.Client {
	f.t.Helper()
	c := xmpptest.StartClient(f.t)
	c.Login(f.slixmpp(account, resource))
	if c.JID != account+"@"+testDomain+"/"+resource {
		f.t.Fatalf("bound %s", c.JID)
	}
	return c
}

func TestSlixmppLogin(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	for _, direct := range []bool{false, true} {
		l := f.slixmpp("alice", "r"+strconv.FormatBool(direct))
		l.DirectTLS = direct
		c := xmpptest.StartClient(t)
		c.Login(l)
		c.Ping(testDomain)
		c.Logout()
	}
	l := f.slixmpp("alice", "phone")
	l.Password = "wrong"
	if err := xmpptest.StartClient(t).TryLogin(l); err == nil {
		t.Error("a wrong password is accepted")
	}
	l = f.slixmpp("mallory", "phone")
	if err := xmpptest.StartClient(t).TryLogin(l); err == nil {
		t.Error("an unknown user is accepted")
	}
}

// The house is in the contact list of a client no one here wrote; what is changed there is kept.
func TestSlixmppHouse(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c := person(f, "alice", "phone")
	roster := c.Roster()
	if item := roster["lamp@home.example"]; item.Name != "Lamp" || item.Subscription != "both" || !slices.Equal(item.Groups, []string{"Hall"}) {
		t.Errorf("lamp %+v in %+v", item, roster)
	}
	c.ExpectPresence(xmpptest.Expect{From: "lamp@home.example/lamp", Type: "available", Status: "lamp is on"})
	c.Say("lamp@home.example", "on")
	c.ExpectMessage(xmpptest.Expect{From: "lamp@home.example", Body: "heard on"})
	f.Broadcast(stream.New(stream.NS, "presence", "type", "unavailable", "from", "lamp@home.example/lamp").
		Add(stream.New(stream.NS, "status").AddText("pulled out")))
	c.ExpectPresence(xmpptest.Expect{From: "lamp@home.example/lamp", Type: "unavailable", Status: "pulled out"})

	c.Do("roster_set", map[string]any{"jid": "lamp@home.example", "name": "Big lamp", "groups": []string{"Mine"}}, nil)
	c.Do("roster_remove", map[string]any{"jid": "door@home.example"}, nil)
	c.Logout()
	c.Login(f.slixmpp("alice", "phone"))
	roster = c.Roster()
	if item := roster["lamp@home.example"]; item.Name != "Big lamp" || !slices.Equal(item.Groups, []string{"Mine"}) {
		t.Errorf("renamed lamp after login: %+v", item)
	}
	if _, there := roster["door@home.example"]; there {
		t.Error("the removed door is back")
	}
	c.Subscribe("door@home.example")
	c.ExpectPresence(xmpptest.Expect{From: "door@home.example/door", Type: "available"})
	if _, there := c.Roster()["door@home.example"]; !there {
		t.Error("the door did not come back")
	}
	c.Drop()
	f.house.awaitEvent("unavailable " + c.JID)
}

func TestSlixmppPeople(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a, b, desk := person(f, "alice", "phone"), person(f, "bob", "phone"), person(f, "alice", "desk")
	// Two clients of one account.
	a.ExpectPresence(xmpptest.Expect{From: desk.JID, Type: "available"})
	a.Say(desk.JID, "a note")
	desk.ExpectMessage(xmpptest.Expect{From: a.JID, Body: "a note"})
	// Two accounts; the driver grants what is asked.
	a.Subscribe("bob@home.example")
	a.ExpectPresence(xmpptest.Expect{From: b.JID, Type: "available"})
	b.Say("alice@home.example", "hello")
	a.ExpectMessage(xmpptest.Expect{From: b.JID, Body: "hello"})
	desk.ExpectMessage(xmpptest.Expect{From: b.JID, Body: "hello"})
	b.Drop()
	a.ExpectPresence(xmpptest.Expect{From: b.JID, Type: "unavailable"})
	a.Say("bob@home.example", "still there?")
	b.Login(f.slixmpp("bob", "phone"))
	b.ExpectMessage(xmpptest.Expect{From: a.JID, Body: "still there?", XML: "urn:xmpp:delay"})
}

// slixmpp uploads over HTTPS and fetches what it uploaded.
func TestSlixmppUpload(t *testing.T) {
	t.Parallel()
	f := startUpload(t, t.TempDir())
	login := f.slixmpp("alice", "phone")
	c := xmpptest.StartClient(t, "SSL_CERT_FILE="+login.CAFile)
	c.Login(login)
	var got struct {
		URL, Type, Content string
		Status             int
	}
	c.Do("upload", map[string]any{"name": "note.txt", "content": "21.5 °C"}, &got)
	if got.Status != 200 || got.Content != "21.5 °C" || got.Type != "text/plain; charset=utf-8" {
		t.Errorf("%+v", got)
	}
	if err := c.Try("upload", map[string]any{"name": "big.txt", "content": strings.Repeat("a", 100<<10)}, nil); err == nil {
		t.Error("a file that is too large is taken")
	}
}

// slixmpp makes an account with an invitation and is in, with the house in its contact list.
func TestSlixmppRegister(t *testing.T) {
	t.Parallel()
	f, _ := startInviting(t, Limits{FailureDelay: time.Millisecond})
	f.house.note(func() { f.house.contacts["carol"] = devices() })
	c := xmpptest.StartClient(t)
	l := f.slixmpp("carol", "phone")
	l.Preauth = "CAROL"
	c.Login(l)
	c.ExpectPresence(xmpptest.Expect{From: "lamp@home.example/lamp", Type: "available", Status: "lamp is on"})
	l = f.slixmpp("dora", "phone")
	l.Preauth = "CAROL"
	if err := xmpptest.StartClient(t).TryLogin(l); err == nil || !strings.Contains(err.Error(), "item-not-found") {
		t.Errorf("an invitation that was used: %v", err)
	}
}

// slixmpp publishes a nickname; another client of the account and one of a friend hear of it, and read it.
func TestSlixmppPEP(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	f.friends()
	a, desk, b := person(f, "alice", "phone"), person(f, "alice", "desk"), person(f, "bob", "phone")
	for _, c := range []*xmpptest.Client{desk, b} {
		c.Do("interest", map[string]any{"node": pepNode}, nil)
		// The server asks what it is now; what comes behind the answer finds it known.
		f.awaitInterest(c.JID, pepNode)
	}
	var made struct{ Item string }
	a.Do("publish", map[string]any{"node": pepNode, "payload": nick("Al"), "options": map[string]string{"pubsub#access_model": "presence"}}, &made)
	if made.Item == "" {
		t.Error("no id")
	}
	for _, c := range []*xmpptest.Client{desk, b} {
		c.ExpectMessage(xmpptest.Expect{From: "alice@home.example", Type: "headline"})
	}
	var got struct {
		Items []struct{ ID, XML string }
	}
	b.Do("node_items", map[string]any{"jid": "alice@home.example", "node": pepNode}, &got)
	if len(got.Items) != 1 || got.Items[0].ID != made.Item || !strings.Contains(got.Items[0].XML, ">Al<") {
		t.Errorf("items %+v", got)
	}
	a.Do("publish", map[string]any{"node": "private", "payload": nick("Al"), "options": map[string]string{"pubsub#access_model": "whitelist"}}, nil)
	if err := b.Try("node_items", map[string]any{"jid": "alice@home.example", "node": "private"}, nil); err == nil {
		t.Error("a friend reads what is private")
	}
}

// awaitInterest waits until a client is known to want to hear of a node.
func (f *fixture) awaitInterest(full, node string) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		known := false
		f.locked(func() {
			for _, a := range f.accounts {
				for _, c := range a.sessions {
					known = known || c.full == full && c.wants(node)
				}
			}
		})
		if known {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("%s never wants %s", full, node)
		}
	}
}
