package local

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"tidings/xmppbridge/stream"
)

// raw is a client that says exactly what a test wants.
type raw struct {
	t       testing.TB
	conn    net.Conn
	dec     *stream.Decoder
	backlog []*stream.Element
	full    string
	seen    func(*stream.Element) // gets everything that expect reads
}

func (f *fixture) tls() *tls.Config {
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(f.cert.Certificate[0])
	if err != nil {
		f.t.Fatal(err)
	}
	pool.AddCert(leaf)
	return &tls.Config{RootCAs: pool, ServerName: testDomain}
}

// dial connects without a word.
func (f *fixture) dial() *raw {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	c := &raw{t: f.t}
	c.use(conn)
	f.t.Cleanup(func() { c.conn.Close() })
	return c
}

func (c *raw) use(conn net.Conn) {
	c.conn = conn
	_ = conn.SetDeadline(time.Now().Add(patience))
	c.dec = stream.NewDecoder(conn, stream.Limits{Bytes: 1 << 20})
}

const header = "<?xml version='1.0'?><stream:stream to='" + testDomain + "' version='1.0' xmlns='jabber:client' " +
	"xmlns:stream='http://etherx.jabber.org/streams'>"

func (c *raw) write(s string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(s)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// try writes what the server may already have stopped reading.
func (c *raw) try(s string) { _, _ = c.conn.Write([]byte(s)) }

// open opens a stream and returns the features.
func (c *raw) open() *stream.Element {
	c.t.Helper()
	c.write(header)
	if _, err := c.dec.Open(); err != nil {
		c.t.Fatalf("stream header: %v", err)
	}
	e := c.next()
	if !e.Is(stream.NSStream, "features") {
		c.t.Fatalf("features: %s", e)
	}
	return e
}

func (c *raw) next() *stream.Element {
	c.t.Helper()
	e, err := c.dec.Next()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return e
}

// expect returns the first stanza that is what ok looks for; others wait for later calls.
func (c *raw) expect(what string, ok func(*stream.Element) bool) *stream.Element {
	c.t.Helper()
	for i, e := range c.backlog {
		if ok(e) {
			c.backlog = slices.Delete(c.backlog, i, i+1)
			return e
		}
	}
	for {
		e, err := c.dec.Next()
		if err != nil {
			c.t.Fatalf("%s: no %s: %v; got %v", c.full, what, err, c.backlog)
		}
		if c.seen != nil {
			c.seen(e)
		}
		if ok(e) {
			return e
		}
		c.backlog = append(c.backlog, e)
	}
}

// none checks that nothing of the kind has come, by what the server answers to a ping sent now.
func (c *raw) none(what string, ok func(*stream.Element) bool) {
	c.t.Helper()
	c.sync()
	for _, e := range c.backlog {
		if ok(e) {
			c.t.Errorf("%s: unexpected %s: %s", c.full, what, e)
		}
	}
}

// sync returns when the server has handled all that was sent before.
func (c *raw) sync() {
	c.t.Helper()
	id := newID()
	c.write("<iq type='get' id='" + id + "' to='" + testDomain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	c.expect("pong", func(e *stream.Element) bool { return e.Name == "iq" && e.Attr("id") == id })
}

// request sends an IQ and returns its answer.
func (c *raw) request(iq string) *stream.Element {
	c.t.Helper()
	e, err := stream.Parse([]byte(iq))
	if err != nil {
		c.t.Fatalf("%s: %v", iq, err)
	}
	id := newID()
	c.write(e.SetAttr("id", id).String())
	return c.expect("answer to "+iq, func(e *stream.Element) bool { return e.Name == "iq" && e.Attr("id") == id })
}

// ended reads up to the end of the stream and returns the condition of its error.
func (c *raw) ended() string {
	c.t.Helper()
	for {
		e, err := c.dec.Next()
		if err != nil {
			return "closed without an error: " + err.Error()
		}
		if fault := stream.ParseStreamError(e); fault != nil {
			return fault.Condition
		}
		c.backlog = append(c.backlog, e)
	}
}

func (c *raw) startTLS(config *tls.Config) {
	c.t.Helper()
	c.open()
	c.write("<starttls xmlns='" + nsTLS + "'/>")
	if e := c.next(); !e.Is(nsTLS, "proceed") {
		c.t.Fatalf("starttls: %s", e)
	}
	c.use(tls.Client(c.conn, config))
}

// secure connects with direct TLS and opens a stream.
func (f *fixture) secure() *raw {
	f.t.Helper()
	c := f.dial()
	config := f.tls()
	config.NextProtos = []string{"xmpp-client"}
	c.use(tls.Client(c.conn, config))
	c.open()
	return c
}

// conversation is a SCRAM client written by others, so that a mistake of ours does not meet itself.
func conversation(t testing.TB, mechanism, user, password string, binding *scram.ChannelBinding) *scram.ClientConversation {
	t.Helper()
	h := scram.HashGeneratorFcn(sha256.New)
	if strings.HasPrefix(mechanism, "SCRAM-SHA-1") && !strings.HasPrefix(mechanism, "SCRAM-SHA-1-5") {
		h = sha1.New
	}
	client, err := h.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	if binding != nil {
		return client.NewConversationWithChannelBinding(*binding)
	}
	return client.NewConversation()
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func unb64(t testing.TB, s string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// authenticate runs an exchange and returns the condition it failed with, "" for success. tamper may change a message of the
// client, by its number.
func (c *raw) authenticate(mechanism string, talk *scram.ClientConversation, tamper func(int, string) string) string {
	c.t.Helper()
	if tamper == nil {
		tamper = func(_ int, s string) string { return s }
	}
	first, err := talk.Step("")
	if err != nil {
		c.t.Fatal(err)
	}
	c.write("<auth xmlns='" + nsSASL + "' mechanism='" + mechanism + "'>" + b64(tamper(1, first)) + "</auth>")
	for {
		switch e := c.next(); {
		case e.Is(nsSASL, "challenge"):
			answer, err := talk.Step(unb64(c.t, e.Content()))
			if err != nil {
				c.t.Fatalf("challenge: %v", err)
			}
			c.write("<response xmlns='" + nsSASL + "'>" + b64(tamper(2, answer)) + "</response>")
		case e.Is(nsSASL, "success"):
			if _, err := talk.Step(unb64(c.t, e.Content())); err != nil || !talk.Valid() {
				c.t.Fatalf("the server does not know the password: %v", err)
			}
			return ""
		case e.Is(nsSASL, "failure"):
			return e.First().Name
		default:
			c.t.Fatalf("sasl: %s", e)
		}
	}
}

// bind binds a resource and returns the answer.
func (c *raw) bind(resource string) *stream.Element {
	c.t.Helper()
	c.write("<iq type='set' id='bind'><bind xmlns='" + nsBind + "'><resource>" + resource + "</resource></bind></iq>")
	e := c.expect("bind", func(e *stream.Element) bool { return e.Attr("id") == "bind" })
	c.full = e.Child(nsBind, "bind").ChildText(nsBind, "jid")
	return e
}

// login logs in and binds, without presence.
func (f *fixture) login(account, resource string) *raw {
	f.t.Helper()
	c := f.secure()
	if failed := c.authenticate("SCRAM-SHA-256", conversation(f.t, "SCRAM-SHA-256", account, password, nil), nil); failed != "" {
		f.t.Fatalf("login of %s: %s", account, failed)
	}
	c.open()
	if c.bind(resource); c.full != account+"@"+testDomain+"/"+resource {
		f.t.Fatalf("bound %q", c.full)
	}
	return c
}

// online logs in, asks for the roster and becomes available.
func (f *fixture) online(account, resource string) *raw {
	f.t.Helper()
	c := f.login(account, resource)
	c.request("<iq type='get'><query xmlns='jabber:iq:roster'/></iq>")
	c.write("<presence/>")
	c.expect("own presence", presence("", c.full))
	return c
}

func presence(typ, from string) func(*stream.Element) bool {
	return func(e *stream.Element) bool {
		return e.Name == "presence" && e.Attr("type") == typ && e.Attr("from") == from
	}
}

func message(body string) func(*stream.Element) bool {
	return func(e *stream.Element) bool { return e.Name == "message" && e.Body() == body }
}

func condition(e *stream.Element) string {
	if err := stream.ParseError(e); err != nil {
		return err.Type + " " + err.Condition
	}
	return ""
}
