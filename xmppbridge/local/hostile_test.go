package local

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/stream"
)

// What strangers send. Each case is a connection; the answer is a stream error, or the end.
func TestHostileBeforeLogin(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{PerAddress: 100, LoginBytes: 2048})
	auth := "<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-256'>"
	for _, c := range []struct {
		name   string
		secure bool // after TLS and a stream header
		send   string
		want   string
	}{
		{name: "web browser", send: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", want: "bad-format"},
		{name: "another protocol", send: "\x00\x01\x02\x03", want: "bad-format"},
		{name: "another root", send: "<html xmlns='http://www.w3.org/1999/xhtml'>", want: "invalid-namespace"},
		{name: "server", send: strings.Replace(header, "jabber:client", "jabber:server", 1), want: "invalid-namespace"},
		{name: "another host", send: strings.Replace(header, testDomain, "example.net", 1), want: "host-unknown"},
		{name: "no host", send: strings.Replace(header, "to='"+testDomain+"'", "", 1), want: "host-unknown"},
		{name: "host that is none", send: strings.Replace(header, testDomain, "a@b@c", 1), want: "host-unknown"},
		{name: "no version", send: strings.Replace(header, "version='1.0' xmlns", "xmlns", 1), want: "unsupported-version"},
		{name: "document type", send: "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]>", want: "restricted-xml"},
		{name: "endless header", send: "<stream:stream to='" + strings.Repeat("a", 5000), want: "policy-violation"},
		{name: "login in the clear", send: header + auth + "eA==</auth><iq/>", want: "not-authorized"},
		{name: "stanza in the clear", send: header + "<message/>", want: "not-authorized"},
		{name: "bytes before the handshake", send: header + "<starttls xmlns='" + nsTLS + "'/><auth/>", want: "policy-violation"},

		{name: "stanza", secure: true, send: "<message to='alice@home.example'/>", want: "not-authorized"},
		{name: "bind before login", secure: true, send: "<iq type='set' id='1'><bind xmlns='" + nsBind + "'/></iq>", want: "not-authorized"},
		{name: "starttls twice", secure: true, send: "<starttls xmlns='" + nsTLS + "'/>", want: "unsupported-stanza-type"},
		{name: "response first", secure: true, send: "<response xmlns='" + nsSASL + "'/>", want: "unsupported-stanza-type"},
		{name: "large", secure: true, send: auth + strings.Repeat("A", 10<<20), want: "policy-violation"},
		{name: "deep", secure: true, send: strings.Repeat("<a>", 100), want: "policy-violation"},
		{name: "attributes", secure: true, send: "<a" + attributes(100) + "/>", want: "policy-violation"},
		{name: "entity", secure: true, send: "<auth>&lol;</auth>", want: "restricted-xml"},
		{name: "comment", secure: true, send: "<!-- -->", want: "restricted-xml"},
		{name: "instruction", secure: true, send: "<?php ?>", want: "restricted-xml"},
		{name: "not UTF-8", secure: true, send: "<a>\xff</a>", want: "unsupported-encoding"},
		{name: "unclosed", secure: true, send: "<a></b>", want: "not-well-formed"},
		{name: "white space", secure: true, send: strings.Repeat(" ", 100<<10), want: "policy-violation"},
		{name: "many small", secure: true, send: strings.Repeat("<auth xmlns='"+nsSASL+"' mechanism='X'/>", 10), want: "policy-violation"},
		{name: "auth within auth", secure: true, send: strings.Repeat(auth+b64("n,,n=alice,r=x")+"</auth>", 10), want: "policy-violation"},
		{name: "error", secure: true, send: "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", want: "closed without an error: EOF"},
		{name: "goodbye", secure: true, send: "</stream:stream>", want: "closed without an error: EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client := f.dial()
			if c.secure {
				client = f.secure()
			}
			client.t = t
			go func() { client.try(c.send) }() // the server need not read it all
			if !c.secure {
				if _, err := client.dec.Open(); err != nil {
					t.Fatalf("no stream header: %v", err)
				}
			}
			if got := client.ended(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " a%d='x'", i)
	}
	return b.String()
}

// SASL says what is wrong and the stream goes on.
func TestHostileSASL(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{PerAddress: 100})
	for name, c := range map[string]struct{ send, want string }{
		"not base64":    {"<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'>*</auth>", "incorrect-encoding"},
		"markup":        {"<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'><a/></auth>", "incorrect-encoding"},
		"empty":         {"<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'/><response xmlns='" + nsSASL + "'>=</response>", "malformed-request"},
		"garbage":       {"<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'>AAAA</auth>", "malformed-request"},
		"no mechanism":  {"<auth xmlns='" + nsSASL + "'>AAAA</auth>", "invalid-mechanism"},
		"auth for auth": {"<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'/><auth xmlns='" + nsSASL + "'/>", "malformed-request"},
		"abort":         {"<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'/><abort xmlns='" + nsSASL + "'/>", "aborted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := f.secure()
			client.t = t
			client.write(c.send)
			e := client.expect("failure", func(e *stream.Element) bool { return e.Is(nsSASL, "failure") })
			if got := e.First().Name; got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if got := client.handLogin("n,,", "alice"); got != "" {
				t.Errorf("afterwards: %s", got)
			}
		})
	}
}

// A login that does not get on ends, wherever it stands, and its place is free again.
func TestSlowLogin(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{LoginTime: 300 * time.Millisecond, PerAddress: 3})
	silent, half := f.dial(), f.dial()
	half.write("<stream:str")
	tls := f.dial()
	tls.write("\x16\x03\x01")
	for name, c := range map[string]*raw{"silent": silent, "half a header": half, "half a handshake": tls} {
		if b, err := io.ReadAll(c.conn); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if name == "half a header" && !bytes.Contains(b, []byte("connection-timeout")) {
			t.Errorf("%s: %q", name, b)
		}
	}
	f.login("alice", "phone")
}

func TestTooManyStrangers(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{PerAddress: 2})
	f.login("alice", "phone") // who is in does not count
	a, b := f.dial(), f.dial()
	a.open()
	b.open()
	c := f.dial()
	if n, err := c.conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("a third stranger read %d bytes", n)
	}
	a.conn.Close()
	deadline := time.Now().Add(patience)
	for {
		d := f.dial()
		d.try(header)
		if _, err := d.dec.Open(); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the place of one that went is not free")
		}
		runtime.Gosched()
	}
}

// What clients send that are logged in: a stanza error, or the end of their stream and of nobody else's.
func TestHostileAfterLogin(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{PerAddress: 100, StanzasPerSec: 10000, Streams: 100})
	witness := f.online("bob", "witness")
	for i, c := range []struct {
		name, send string
		want       string // stream error, or
		stanza     string // stanza error
	}{
		{name: "large", send: "<message><body>" + strings.Repeat("A", 10<<20), want: "policy-violation"},
		{name: "deep", send: "<message>" + strings.Repeat("<a>", 1000), want: "policy-violation"},
		{name: "attributes", send: "<message" + attributes(1000) + "/>", want: "policy-violation"},
		{name: "document type", send: "<!DOCTYPE lolz>", want: "restricted-xml"},
		{name: "entity", send: "<message><body>&lol;</body></message>", want: "restricted-xml"},
		{name: "nul", send: "<message><body>\x00</body></message>", want: "not-well-formed"},
		{name: "not UTF-8", send: "<message><body>\xc3(</body></message>", want: "unsupported-encoding"},
		{name: "forged from", send: "<message from='bob@home.example' to='bob@home.example'><body>x</body></message>", want: "invalid-from"},
		{name: "forged resource", send: "<message from='alice@home.example/other'/>", want: "invalid-from"},
		{name: "from that is none", send: "<message from='@'/>", want: "invalid-from"},
		{name: "login again", send: "<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'/>", want: "unsupported-stanza-type"},
		{name: "TLS again", send: "<starttls xmlns='" + nsTLS + "'/>", want: "unsupported-stanza-type"},
		{name: "another namespace", send: "<message xmlns='jabber:server'/>", want: "unsupported-stanza-type"},
		{name: "bind again", send: "<iq type='set' id='x'><bind xmlns='" + nsBind + "'/></iq>", stanza: "cancel not-allowed"},
		{name: "no payload", send: "<iq type='get' id='x'/>", stanza: "modify bad-request"},
		{name: "two payloads", send: "<iq type='get' id='x'><a xmlns='a'/><b xmlns='b'/></iq>", stanza: "modify bad-request"},
		{name: "text for payload", send: "<iq type='get' id='x'>hello</iq>", stanza: "modify bad-request"},
		{name: "no id", send: "<iq type='get'><a xmlns='a'/></iq>", stanza: "modify bad-request"},
		{name: "type of IQ", send: "<iq type='put' id='x'><a xmlns='a'/></iq>", stanza: "modify bad-request"},
		{name: "type of presence", send: "<presence id='x' type='maybe'/>", stanza: "modify bad-request"},
		{name: "priority", send: "<presence id='x'><priority>200</priority></presence>", stanza: "modify bad-request"},
		{name: "large presence", send: "<presence id='x'><status>" + strings.Repeat("A", 20<<10) + "</status></presence>", stanza: "modify policy-violation"},
		{name: "recipient that is none", send: "<message id='x' to='a@b@c'/>", stanza: "modify jid-malformed"},
		{name: "recipient PRECIS forbids", send: "<iq type='get' id='x' to='&#x200e;@home.example'><a xmlns='a'/></iq>", stanza: "modify jid-malformed"},
		{name: "foreign message", send: "<message id='x' to='a@example.net'/>", stanza: "cancel remote-server-not-found"},
		{name: "foreign subscription", send: "<presence id='x' type='subscribe' to='a@example.net'/>", stanza: "cancel remote-server-not-found"},
		{name: "unknown query", send: "<iq type='get' id='x'><a xmlns='a'/></iq>", stanza: "cancel service-unavailable"},
		{name: "unknown set", send: "<iq type='set' id='x'><a xmlns='a'/></iq>", stanza: "cancel service-unavailable"},
		{name: "roster of another", send: "<iq type='get' id='x' to='bob@home.example'><query xmlns='jabber:iq:roster'/></iq>", stanza: "auth forbidden"},
		{name: "client that is not there", send: "<iq type='get' id='x' to='bob@home.example/nowhere'><a xmlns='a'/></iq>", stanza: "cancel service-unavailable"},
		{name: "a count of nothing", send: "<a xmlns='urn:xmpp:sm:3' h='1'/>", want: "unsupported-stanza-type"},
		{name: "huge resumption", send: "<resume xmlns='urn:xmpp:sm:3' previd='" + strings.Repeat("x", 300<<10) + "' h='0'/>", want: "policy-violation"},
		{name: "enable twice", send: "<enable xmlns='urn:xmpp:sm:3'/><enable xmlns='urn:xmpp:sm:3'/>", want: "policy-violation"},
		{name: "count too high", send: "<enable xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='5'/>", want: "undefined-condition"},
		{name: "count that is none", send: "<enable xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='-1'/>", want: "bad-format"},
		{name: "state that is none", send: "<asleep xmlns='urn:xmpp:csi:0'/>", want: "unsupported-stanza-type"},
		{name: "copies for another", send: "<iq type='set' id='x' to='bob@home.example'><enable xmlns='urn:xmpp:carbons:2'/></iq>", stanza: "cancel service-unavailable"},
		{name: "archive that is not kept", send: "<iq type='set' id='x'><query xmlns='urn:xmpp:mam:2'/></iq>", stanza: "cancel service-unavailable"},
		{name: "archive of another", send: "<iq type='set' id='x' to='bob@home.example'><query xmlns='urn:xmpp:mam:2'/></iq>", stanza: "cancel service-unavailable"},
		{name: "block nobody", send: "<iq type='set' id='x'><block xmlns='urn:xmpp:blocking'/></iq>", stanza: "modify bad-request"},
		{name: "block the server", send: "<iq type='set' id='x'><block xmlns='urn:xmpp:blocking'><item jid='home.example'/></block></iq>", stanza: "cancel not-allowed"},
		{name: "block everybody", send: "<iq type='set' id='x'><block xmlns='urn:xmpp:blocking'>" + items(6000) + "</block></iq>", stanza: "wait resource-constraint"},
		{name: "block for another", send: "<iq type='set' id='x' to='bob@home.example'><block xmlns='urn:xmpp:blocking'>" + items(1) + "</block></iq>", stanza: "cancel service-unavailable"},
		{name: "groupchat to an account", send: "<message id='x' type='groupchat' to='bob@home.example'/>", stanza: "cancel service-unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := f.login("alice", fmt.Sprint("case", i))
			client.t = t
			go func() { client.try(c.send) }()
			if c.want != "" {
				if got := client.ended(); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
				return
			}
			e := client.next()
			if got := condition(e); got != c.stanza {
				t.Errorf("%q, want %q", e, c.stanza)
			}
			client.sync()
		})
	}
	witness.none("stanza", func(e *stream.Element) bool { return e.Name == "message" })
}

// A panic in the handling of one client's stanza ends nothing.
// items are so many addresses to block.
func items(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<item jid='d%d@home.example'/>", i)
	}
	return b.String()
}

func TestPanic(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c := f.online("alice", "phone")
	c.write("<message to='lamp@home.example'><body/></message>")
	c.write("<presence to='lamp@home.example'><body>panic</body></presence>")
	c.sync()
}

// A client that does not read is cut off when its queue is full, and nobody else notices.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Queue: 256 << 10})
	deaf, well := f.login("alice", "deaf"), f.online("bob", "well")
	deaf.write("<presence/>")
	f.house.awaitEvent("available alice@home.example/deaf")
	body := strings.Repeat("A", 32<<10)
	for i := range 1000 {
		st := stream.New(stream.NS, "message", "from", "lamp@home.example/lamp", "to", "alice@home.example").
			Add(stream.New(stream.NS, "body").AddText(body))
		if err := f.Send(st); err != nil {
			break
		}
		if i%50 == 0 {
			well.sync()
		}
	}
	f.house.awaitEvent("unavailable alice@home.example/deaf")
	well.sync()
}

// A flood is slowed down, and the client stays.
func TestFlood(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{StanzasPerSec: 100})
	c := f.online("alice", "phone")
	before := time.Now()
	const n = 600 // four seconds' worth at once, and two more
	c.write(strings.Repeat("<message to='bob@home.example' type='headline'/>", n))
	c.sync()
	if passed := time.Since(before); passed < time.Second {
		t.Errorf("%d stanzas were taken in %v", n, passed)
	}
}

// Whatever comes before login, nothing breaks and the connection ends.
func FuzzLogin(f *testing.F) {
	s := start(f, Limits{PerAddress: 1000, Unauthenticated: 1000, LoginTime: 200 * time.Millisecond})
	for _, seed := range []string{
		"", "<", header, header + "<starttls xmlns='" + nsTLS + "'/>", "\x16\x03\x01\x00\x05hello", "GET / HTTP/1.0\r\n\r\n",
		header + "<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'>biws</auth>", header + "<stream:error/>", header + "</stream:stream>",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, inside bool) {
		ours, theirs := net.Pipe()
		in := &login{server: s.Server, wire: &wire{Conn: theirs}}
		done := make(chan error, 1)
		go func() {
			defer theirs.Close()
			_, err := func() (*line, error) {
				if !inside {
					return in.run(t.Context())
				}
				// As if TLS were done: what SASL and bind make of it.
				in.wire.left = 64 << 10
				in.dec = stream.NewDecoder(in.wire, stream.Limits{Bytes: 10 << 10})
				theirs.SetDeadline(time.Now().Add(200 * time.Millisecond))
				in.bindings = map[string][]byte{"tls-exporter": []byte("x")}
				return nil, in.authenticate(t.Context())
			}()
			if err != nil {
				in.refuse(err)
			}
			done <- err
		}()
		go io.Copy(io.Discard, ours)
		_, _ = ours.Write(b)
		ours.Close()
		if err := <-done; err == nil {
			t.Error("logged in")
		}
	})
}
