//go:build servers

package link

import (
	"errors"
	"strings"
	"testing"

	"tidings/xmppbridge/stream"
	"tidings/xmppbridge/xmpptest"
)

// TestCutConnectionIsResumed cuts the way to Prosody and to ejabberd: nobody sees the devices go, what is said meanwhile, either way,
// arrives once, and what the server delivers again is not fresh.
func TestCutConnectionIsResumed(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]struct {
		account, addr, ca, domain string
		login                     func(string) xmpptest.Login
	}{
		"prosody":  {"carol", prosody.C2S, prosody.CAFile, prosody.Domain, prosody.Login},
		"ejabberd": {"gateway", ejabberd.C2S, ejabberd.CAFile, ejabberd.Domain, ejabberd.Login},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			way := xmpptest.StartRelay(t, s.addr)
			account := s.account + "@" + s.domain
			ch := make(chan string, 1000)
			var link *Client
			o := quick(ch)
			o.Up = func(jid string) {
				if err := link.Send(stream.New(stream.NS, "presence", "from", jid)); err != nil {
					t.Error(err)
				}
				ch <- "up " + jid
			}
			handle := o.Handle
			o.Handle = func(e *stream.Element, m Meta) {
				if e.Name == "presence" && e.Attr("type") == "subscribe" {
					_ = link.Send(stream.New(stream.NS, "presence", "type", "subscribed", "to", e.Attr("from")))
				}
				handle(e, m)
			}
			link = NewClient(ClientConfig{JID: account, Resource: "home", Password: Secret(xmpptest.Password(s.account)),
				Server: way.Addr, TLS: TLS{CAFile: s.ca}}, o)
			link.Add("lamp")
			defer start(t, link.Run)()
			await(t, ch, "up "+account)
			await(t, ch, "up "+account)
			alice := xmpptest.StartClient(t)
			alice.Login(s.login("alice"))
			alice.Subscribe(account)
			alice.ExpectPresence(xmpptest.Expect{From: account + "/lamp", Type: "available"})
			for _, body := range []string{"one", "two"} {
				way.Sever(true)
				alice.Say(account+"/lamp", "to "+body) // the server does not know yet, or keeps it
				if err := link.Send(message(account+"/lamp", alice.JID, "from "+body)); err != nil {
					t.Fatal(err)
				}
				passed := make(chan error, 1)
				go func() { passed <- link.Barrier(testContext(t), alice.JID) }()
				way.Mend()
				if event := await(t, ch, ""); event != account+"/lamp fresh=false to "+body {
					t.Errorf("first of all comes %q", event)
				}
				if err := <-passed; err != nil {
					t.Error(err)
				}
				alice.ExpectMessage(xmpptest.Expect{From: account + "/lamp", Body: "from " + body})
				alice.Say(account+"/lamp", "after "+body)
				if event := await(t, ch, ""); event != account+"/lamp fresh=true after "+body {
					t.Errorf("then comes %q", event)
				}
			}
			// The last word is the last: nothing came twice, and nothing was seen to go.
			if err := errors.Join(link.Send(message(account+"/lamp", alice.JID, "the end")), link.Barrier(testContext(t), alice.JID)); err != nil {
				t.Fatal(err)
			}
			alice.ExpectMessage(xmpptest.Expect{From: account + "/lamp", Body: "the end"})
			for _, st := range append(alice.Seen("message", account), alice.Seen("presence", account)...) {
				// A bare JID's was the server's own word, before it knew of the subscription.
				if st.Kind == "message" || st.Type == "unavailable" && st.From != account {
					t.Errorf("also seen: %s", st.XML)
				}
			}
		})
	}
}

// TestSomebodyElseTakesTheAddress: a second gateway with the same account. Prosody ends the first one's stream, which says so,
// waits, and takes the address back.
func TestSomebodyElseTakesTheAddress(t *testing.T) {
	t.Parallel()
	ch := make(chan string, 1000)
	o := quick(ch)
	cfg := clientConfig(prosody, "mallory", "home")
	link := NewClient(cfg, o)
	defer start(t, link.Run)()
	await(t, ch, "up")
	other, err := DialClient(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if event := await(t, ch, "down"); !strings.Contains(event, "says the address is in use (conflict): a second gateway, or our last stream") {
		t.Errorf("got %q", event)
	}
	await(t, ch, "up")
	buffer, said := make([]byte, 4096), ""
	for !strings.Contains(said, "conflict") {
		n, err := other.Read(buffer)
		if err != nil {
			t.Fatalf("the other one is not ended with conflict: %v after %q", err, said)
		}
		said += string(buffer[:n])
	}
}
