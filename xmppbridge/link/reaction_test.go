package link

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestReactions: what a server may end a stream with, while it is negotiated and once it is up, what is said of it, and how often
// the server is bothered in an hour.
func TestReactions(t *testing.T) {
	t.Parallel()
	cert, pin := selfSigned(t)
	for condition, c := range map[string]struct {
		say         string
		least, most int // dials in an hour
	}{
		// Somebody has to do something about these: the longest wait, one to two minutes.
		"not-authorized": {"does the server know this address", 28, 61},
		"host-unknown":   {"add it to the server's configuration, or correct [xmpp] address", 28, 61},
		"host-gone":      {"does not serve this domain", 28, 61},
		// These may pass: 1 s, doubling to two minutes.
		"conflict":              {"a second gateway, or our last stream", 28, 90},
		"system-shutdown":       {"is shutting down", 28, 90},
		"reset":                 {"wants a new stream", 28, 90},
		"connection-timeout":    {"took the connection for dead", 28, 90},
		"policy-violation":      {"it limits what a stream may send or hold", 28, 90},
		"resource-constraint":   {"it limits what a stream may send or hold", 28, 90},
		"internal-server-error": {"a trouble of its own", 28, 90},
		"invalid-from":          {"does not take an address that we sent from", 28, 90},
		"bad-format":            {"is not in order", 28, 90},
		"undefined-condition":   {"ended the stream (undefined-condition)", 28, 90},
		"see-other-host":        {"sends us on to other.test:5222", 28, 150}, // three hops each time
	} {
		content := ""
		if condition == "see-other-host" {
			content = "other.test:5222"
		}
		text := "<stream:error><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-streams'>" + content + "</" + condition + "></stream:error></stream:stream>"
		for when, server := range map[string]script{
			"negotiating": says(`<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client' version='1.0' from='client.test' id='s1'>` + text),
			"up":          (&account{cert: cert, password: "p", then: func(f *fakeServer) error { _ = f.write(text); f.next(); return nil }}).serve,
		} {
			t.Run(condition+" "+when, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					serve, wait := scripted(server)
					dials := 0
					dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
						dials++
						return serve(ctx, network, addr)
					}
					var v events
					stop := start(t, NewClient(ClientConfig{JID: "me@client.test", Resource: "home", Password: "p", Server: "x:5222", Dial: dial,
						TLS: TLS{Pins: []Pin{pin}}}, v.options()).Run)
					time.Sleep(time.Hour)
					stop()
					wait()
					if dials < c.least || dials > c.most {
						t.Errorf("%d dials in an hour", dials)
					}
					if v.logged(c.say) == 0 {
						t.Errorf("not said: %q\n%s", c.say, v.log.String())
					}
					lines := 1
					if condition == "see-other-host" && when == "negotiating" {
						lines = 2 // of both
					}
					if n := v.logged("level=WARN"); n != lines {
						t.Errorf("%d lines in the log:\n%s", n, v.log.String())
					}
				})
			})
		}
	}
}

// A certificate that is not believed does not hammer the server, and only the hub tries.
func TestWrongCertificateDoesNotHammer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, cfg, wait := newFarm(t, 0)
		serve, dials := cfg.Dial, 0
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials++
			return serve(ctx, network, addr)
		}
		cfg.TLS = TLS{Pins: []Pin{{1}}}
		var v events
		link := NewClient(cfg, v.options())
		link.Add("lamp")
		stop := start(t, link.Run)
		time.Sleep(time.Hour)
		stop()
		wait()
		if dials > 61 || v.logged("level=WARN") != 1 || v.logged("the server's public key is not the pinned one") != 1 {
			t.Errorf("%d dials:\n%s", dials, v.log.String())
		}
	})
}

// A server that takes everything and says nothing is left within two minutes, for another connection of the same stream.
func TestSilentServerIsLeftAndResumed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, cfg, wait := newKeeping(t)
		var v events
		o := v.options()
		o.Cut = func(jid string, cut bool) { v.add("cut %v", cut) }
		stop := start(t, NewClient(cfg, o).Run)
		time.Sleep(time.Second)
		v.take()
		silence := func(on bool) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.deaf, k.mute = on, on
		}
		time.Sleep(10 * time.Minute) // a ping a minute
		silence(true)
		began := time.Now()
		for len(v.take()) == 0 {
			time.Sleep(time.Second)
		}
		if took := time.Since(began); took < time.Minute || took > 2*time.Minute+time.Second {
			t.Errorf("left after %v", took)
		}
		silence(false)
		time.Sleep(10 * time.Second)
		// The ping that found it out is answered late, and nobody waits for that.
		if got := v.take(); len(got) == 0 || len(got) > 2 || got[0] != "cut false" || k.counts() != "1 binds, 1 resumptions" {
			t.Errorf("then: %q, %s", got, k.counts())
		}
		if !strings.Contains(v.log.String(), "no longer answers") {
			t.Error(v.log.String())
		}
		stop()
		wait()
	})
}
