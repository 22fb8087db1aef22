//go:build servers

package link

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/stream"
	"tidings/xmppbridge/xmpptest"
)

// quick are options with a short backoff, that hand events to the test.
func quick(ch chan string) Options {
	return Options{
		Backoff: Backoff{Min: 50 * time.Millisecond, Max: 500 * time.Millisecond},
		Pace:    time.Millisecond,
		Up:      func(jid string) { ch <- "up " + jid },
		Down:    func(jid string, err error) { ch <- fmt.Sprintf("down %s %v", jid, err) },
		Handle: func(e *stream.Element, m Meta) {
			if e.Name == "message" {
				ch <- fmt.Sprintf("%s fresh=%v %s", m.Stream, m.Fresh, e.Body())
			}
		},
		Single: func(err error) { ch <- "single " + err.Error() },
	}
}

// await returns the next event that begins so, dropping others.
func await(t *testing.T, ch chan string, prefix string) string {
	t.Helper()
	limit := time.After(60 * time.Second)
	var seen []string
	for {
		select {
		case event := <-ch:
			if strings.HasPrefix(event, prefix) {
				return event
			}
			seen = append(seen, event)
		case <-limit:
			t.Fatalf("no %q, only %q", prefix, seen)
		}
	}
}

func message(from, to, body string) *stream.Element {
	return stream.New(stream.NS, "message", "type", "chat", "from", from, "to", to).Add(stream.New(stream.NS, "body").AddText(body))
}

func TestComponentLinkOutlivesTheServer(t *testing.T) {
	t.Parallel()
	p := xmpptest.StartProsody(t, xmpptest.Options{})
	e := xmpptest.StartEjabberd(t, xmpptest.EjabberdOptions{})
	type server interface {
		Kill() error
		Stop() error
		Start() error
		Login(string) xmpptest.Login
	}
	for name, s := range map[string]struct {
		server
		domain, addr, account string
	}{
		"prosody":  {p, p.Components[0], p.Component, "alice@" + p.Domain},
		"ejabberd": {e, e.Components[0], e.Component, "alice@" + e.Domain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ch := make(chan string, 1000)
			link := NewComponent(ComponentConfig{Domain: s.domain, Server: s.addr, Secret: xmpptest.Secret}, quick(ch))
			defer start(t, link.Run)()
			ctx := testContext(t)
			talk := func(body string) {
				t.Helper()
				alice := xmpptest.StartClient(t)
				alice.Login(s.Login("alice"))
				if err := link.Send(message("lamp@"+s.domain+"/lamp", s.account, body)); err != nil {
					t.Fatal(err)
				}
				if err := link.Barrier(ctx, s.account); err != nil {
					t.Fatal(err)
				}
				alice.ExpectMessage(xmpptest.Expect{From: "lamp@" + s.domain + "/lamp", Body: body})
				alice.Say("lamp@"+s.domain+"/lamp", "status "+body)
				await(t, ch, s.domain+" fresh=true status "+body)
				alice.Logout()
			}
			await(t, ch, "up "+s.domain)
			talk("first")
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			await(t, ch, "down "+s.domain)
			if err := link.Send(message(s.domain, s.account, "nobody")); !errors.Is(err, ErrDown) {
				t.Errorf("send while down: %v", err)
			}
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			await(t, ch, "up "+s.domain)
			talk("second")
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			t.Log(await(t, ch, "down "+s.domain))
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			await(t, ch, "up "+s.domain)
			answer, err := link.Request(ctx, stream.New(stream.NS, "iq", "type", "get", "from", s.domain, "to", s.account[len("alice@"):]).Add(stream.New(nsPing, "ping")))
			if err != nil || !stream.IsResult(answer) {
				t.Errorf("ping: %v, %v", answer, err)
			}
		})
	}
}

func TestEjabberdComponentRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		domain string
		secret Secret
		want   error
	}{
		"wrong secret":   {ejabberd.Components[1], "guess", ErrCredentials},
		"unknown domain": {"nobody.test", xmpptest.Secret, ErrCredentials}, // it does not say which
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := DialComponent(testContext(t), ComponentConfig{Domain: c.domain, Server: ejabberd.ComponentAddrs[1], Secret: c.secret})
			if !errors.Is(err, c.want) || !Permanent(err) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			t.Log(err)
		})
	}
}

func TestClientLogsInToEjabberd(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]string{"STARTTLS": ejabberd.C2S, "direct TLS": ejabberd.DirectTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := ClientConfig{
				JID: "gateway@" + ejabberd.Domain, Resource: "lamp " + name, Password: Secret(xmpptest.Password("gateway")),
				Server: addr, DirectTLS: addr == ejabberd.DirectTLS, TLS: TLS{CAFile: ejabberd.CAFile},
			}
			conn, err := DialClient(testContext(t), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if conn.JID != cfg.JID+"/"+cfg.Resource || !strings.HasPrefix(conn.Mechanism, "SCRAM-SHA-") {
				t.Errorf("got %+v", conn)
			}
			t.Log(conn.Mechanism)
			cfg.Password = "guess"
			if _, err := DialClient(testContext(t), cfg); !errors.Is(err, ErrCredentials) {
				t.Errorf("wrong password: %v", err)
			}
		})
	}
}

func TestClientLinkHasAStreamADevice(t *testing.T) {
	t.Parallel()
	account := "gateway3@" + prosody.Domain
	ch := make(chan string, 1000)
	var link *Client
	o := quick(ch)
	o.Up = func(jid string) {
		status := "I am " + jid
		if err := link.Send(stream.New(stream.NS, "presence", "from", jid).Add(stream.New(stream.NS, "status").AddText(status))); err != nil {
			t.Errorf("sending from within Up: %v", err)
		}
		ch <- "up " + jid
	}
	handle := o.Handle
	o.Handle = func(e *stream.Element, m Meta) {
		if e.Name == "presence" && e.Attr("type") == "subscribe" {
			bare, _, _ := strings.Cut(e.Attr("from"), "/")
			_ = link.Send(stream.New(stream.NS, "presence", "type", "subscribed", "to", bare))
		}
		handle(e, m)
	}
	link = NewClient(clientConfig(prosody, "gateway3", "home"), o)
	for _, resource := range []string{"lamp", "pump", "Grünes Licht"} {
		link.Add(resource)
	}
	stop := start(t, link.Run)
	defer func() { stop() }()
	for _, resource := range []string{"home", "lamp", "pump", "Grünes Licht"} {
		_ = resource
		await(t, ch, "up "+account)
	}
	bob := xmpptest.StartClient(t)
	bob.Login(prosody.Login("bob"))
	bob.Subscribe(account)
	for _, resource := range []string{"home", "lamp", "pump", "Grünes Licht"} {
		full := account + "/" + resource
		bob.ExpectPresence(xmpptest.Expect{From: full, Type: "available", Status: "I am " + full})
	}
	bob.Say(account+"/pump", "on")
	await(t, ch, account+"/pump fresh=true on")
	if err := link.Send(message(account+"/lamp", bob.JID, "hello")); err != nil {
		t.Fatal(err)
	}
	if err := link.Barrier(testContext(t), bob.JID); err != nil {
		t.Fatal(err)
	}
	bob.ExpectMessage(xmpptest.Expect{From: account + "/lamp", Body: "hello"})
	if err := link.Send(stream.New(stream.NS, "presence", "from", account+"/lamp", "type", "unavailable").Add(stream.New(stream.NS, "status").AddText("gone"))); err != nil {
		t.Fatal(err)
	}
	link.Remove("lamp")
	bob.ExpectPresence(xmpptest.Expect{From: account + "/lamp", Type: "unavailable", Status: "gone"})
	await(t, ch, "down "+account+"/lamp")
	stop()
	stop = func() {}
	bob.ExpectPresence(xmpptest.Expect{From: account + "/home", Type: "unavailable"})
	bob.ExpectPresence(xmpptest.Expect{From: account + "/pump", Type: "unavailable"})
}

// TestEjabberdThatLimitsStreams has more devices than ejabberd's default allows an account streams: it ends the oldest, which is
// the hub's, and from then on the hub's is the only one.
func TestEjabberdThatLimitsStreams(t *testing.T) {
	t.Parallel()
	account := "gateway2@" + ejabberd.Domain
	ch := make(chan string, 1000)
	link := NewClient(ClientConfig{
		JID: account, Resource: "home", Password: Secret(xmpptest.Password("gateway2")),
		Server: ejabberd.C2S, TLS: TLS{CAFile: ejabberd.CAFile},
	}, quick(ch))
	for i := range 12 {
		link.Add(fmt.Sprint("device", i))
	}
	defer start(t, link.Run)()
	t.Log(await(t, ch, "single"))
	await(t, ch, "up "+account+"/home")
	for i := range 12 {
		from := fmt.Sprint(account, "/device", i)
		if err := link.Send(stream.New(stream.NS, "presence", "from", from)); !errors.Is(err, ErrDown) {
			t.Errorf("%s can still send: %v", from, err)
		}
		answer, err := link.Request(testContext(t), stream.New(stream.NS, "iq", "type", "get", "from", account+"/home", "to", from).Add(stream.New(nsPing, "ping")))
		if e, ok := errors.AsType[*stream.StanzaError](err); !ok || e.Condition != stream.ServiceUnavailable {
			t.Errorf("%s is still there: %v, %v", from, answer, err)
		}
	}
	for {
		select {
		case event := <-ch:
			if !strings.HasPrefix(event, "down "+account+"/device") && !strings.Contains(event, "fresh=") {
				t.Errorf("after it settled: %s", event)
			}
		default:
			return
		}
	}
}
