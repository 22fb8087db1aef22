package local

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/ping"
	"mellium.im/xmpp/stanza"
	webclient "mellium.im/xmpp/websocket"

	"tidings/xmppbridge/stream"
)

// startWeb runs a server with a door for web clients, with TLS or without, and returns where it is.
func startWeb(t *testing.T, limits Limits, plain bool) (f *fixture, address string) {
	t.Helper()
	f = startWith(t, limits, people(), func(s *Server) {
		s.doors = []*door{{address: "127.0.0.1:0", plain: plain, answer: s.webSocketHandler}}
	})
	return f, f.WebAddr(t.Context(), "127.0.0.1:0").String()
}

// web is a client of the WebSocket that says exactly what a test wants.
type web struct {
	t  *testing.T
	ws *websocket.Conn
}

func (f *fixture) web(address string, head http.Header) *web {
	f.t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"xmpp"}, TLSClientConfig: f.tls()}
	ws, _, err := d.DialContext(context.Background(), "ws://"+address+WebSocketPath, head)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { ws.Close() })
	_ = ws.SetReadDeadline(time.Now().Add(patience))
	return &web{f.t.(*testing.T), ws}
}

func (w *web) write(s string) {
	w.t.Helper()
	if err := w.ws.WriteMessage(websocket.TextMessage, []byte(s)); err != nil {
		w.t.Fatal(err)
	}
}

// try writes what the server may already have stopped reading.
func (w *web) try(s string) { _ = w.ws.WriteMessage(websocket.TextMessage, []byte(s)) }

const opened = "<open xmlns='" + nsFraming + "' to='" + testDomain + "' version='1.0'/>"

// next is the next message, which has to stand for itself.
func (w *web) next() *stream.Element {
	w.t.Helper()
	_, b, err := w.ws.ReadMessage()
	if err != nil {
		w.t.Fatalf("read: %v", err)
	}
	if err := xml.Unmarshal(b, new(struct{ XMLName xml.Name })); err != nil {
		w.t.Fatalf("message %s: %v", b, err)
	}
	e, err := stream.Parse(b)
	if err != nil {
		w.t.Fatalf("message %s: %v", b, err)
	}
	return e
}

// ended reads up to the end and returns the condition of the stream error, and how the WebSocket ended.
func (w *web) ended() (condition string, code int) {
	w.t.Helper()
	for {
		_, b, err := w.ws.ReadMessage()
		if err != nil {
			if closed, ok := err.(*websocket.CloseError); ok {
				code = closed.Code
			}
			return condition, code
		}
		e, err := stream.Parse(b)
		if err != nil {
			w.t.Fatalf("message %s: %v", b, err)
		}
		if fault := stream.ParseStreamError(e); fault != nil {
			condition = fault.Condition
		}
	}
}

// mellium's client logs in over a WebSocket with TLS, binds, gets an answer and the presence of a device.
func TestWebSocketMellium(t *testing.T) {
	t.Parallel()
	f, address := startWeb(t, Limits{}, false)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	config := f.tls()
	d := webclient.Dialer{Origin: "wss://web.example", TLSConfig: config} // it takes the scheme of this one for ours
	conn, err := d.DialDirect(ctx, "wss://"+address+WebSocketPath)
	if err != nil {
		t.Fatal(err)
	}
	me := jid.MustParse("alice@" + testDomain + "/web")
	session, err := webclient.NewSession(ctx, me, conn,
		xmpp.SASL("", password, sasl.ScramSha256), xmpp.BindResource())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan xml.StartElement, 100)
	done := make(chan error, 1)
	go func() {
		done <- session.Serve(xmpp.HandlerFunc(func(_ xmlstream.TokenReadEncoder, start *xml.StartElement) error {
			got <- *start
			return nil
		}))
	}()
	if err := ping.Send(ctx, session, jid.MustParse(testDomain)); err != nil {
		t.Error(err)
	}
	if err := session.Send(ctx, stanza.Presence{}.Wrap(nil)); err != nil {
		t.Fatal(err)
	}
	timeout := time.After(patience)
	for seen := false; !seen; {
		select {
		case start := <-got:
			seen = start.Name.Local == "presence" && slices.ContainsFunc(start.Attr, func(a xml.Attr) bool {
				return a.Name.Local == "from" && a.Value == "lamp@"+testDomain+"/lamp"
			})
		case <-timeout:
			t.Fatal("no presence of the lamp")
		}
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	f.house.awaitEvent("unavailable " + session.LocalAddr().String())
	conn.Close()
	<-done
}

// What a browser sends and gets, message by message, in the clear as a proxy on this machine has it.
func TestWebSocketFraming(t *testing.T) {
	t.Parallel()
	f, address := startWeb(t, Limits{}, true)
	w := f.web(address, http.Header{"Origin": {"https://elsewhere.example"}})
	if w.ws.Subprotocol() != "xmpp" {
		t.Fatalf("subprotocol %q", w.ws.Subprotocol())
	}
	w.write(opened)
	e := w.next()
	if !e.Is(nsFraming, "open") || e.Attr("from") != testDomain || e.Attr("version") != "1.0" || e.Attr("id") == "" {
		t.Fatalf("opened by %s", e)
	}
	features := w.next()
	var offered []string
	for m := range features.Child(nsSASL, "mechanisms").Children() {
		offered = append(offered, m.Content())
	}
	if !slices.Equal(offered, []string{"SCRAM-SHA-256", "SCRAM-SHA-1"}) || features.Child(nsTLS, "starttls") != nil ||
		features.Child(nsBinding, "sasl-channel-binding") != nil {
		t.Errorf("features %s", features)
	}
	talk := conversation(t, "SCRAM-SHA-256", "alice", password, nil)
	first, _ := talk.Step("")
	w.write("<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-256'>" + b64(first) + "</auth>")
	second, err := talk.Step(unb64(t, w.next().Content()))
	if err != nil {
		t.Fatal(err)
	}
	w.write("<response xmlns='" + nsSASL + "'>" + b64(second) + "</response>")
	if e := w.next(); !e.Is(nsSASL, "success") {
		t.Fatalf("login: %s", e)
	}
	w.write(opened)
	w.next()
	if e := w.next(); e.Child(nsBind, "bind") == nil {
		t.Fatalf("features after login: %s", e)
	}
	w.write("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='" + nsBind + "'><resource>web</resource></bind></iq>")
	if e := w.next(); e.Child(nsBind, "bind").ChildText(nsBind, "jid") != "alice@home.example/web" {
		t.Fatalf("bound: %s", e)
	}
	// An element may come in pieces, and quotes and brackets in it are no ends.
	long := strings.Repeat("it's <b> & \"so\"; ", 8000)
	body := stream.New(stream.NS, "message", "to", "lamp@"+testDomain, "type", "chat", "id", "a'b>c").
		Add(stream.New(stream.NS, "body").AddText(long)).AppendXML(nil)
	writer, err := w.ws.NextWriter(websocket.TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(body, 1000) {
		if _, err := writer.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if e := w.next(); e.Body() != "heard "+long {
		t.Errorf("answer of %d bytes", len(e.Body()))
	}
	ponged := make(chan string, 1)
	w.ws.SetPongHandler(func(s string) error { ponged <- s; return nil })
	if err := w.ws.WriteControl(websocket.PingMessage, []byte("there?"), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	w.write("<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	if e := w.next(); e.Attr("id") != "p" || e.Attr("type") != "result" {
		t.Errorf("ping: %s", e)
	}
	if got := <-ponged; got != "there?" {
		t.Errorf("pong %q", got)
	}
	w.write("<close xmlns='" + nsFraming + "'/>")
	if e := w.next(); !e.Is(nsFraming, "close") {
		t.Errorf("closed by %s", e)
	}
	if condition, code := w.ended(); condition != "" || code != websocket.CloseNormalClosure {
		t.Errorf("ended with %q, %d", condition, code)
	}
}

// When the server stops, a web client is told.
func TestWebSocketShutdown(t *testing.T) {
	t.Parallel()
	f, address := startWeb(t, Limits{}, true)
	w := f.web(address, nil)
	w.login("alice", "web")
	go func() { _ = f.stop() }()
	if condition, code := w.ended(); condition != stream.SystemShutdown || code != websocket.CloseNormalClosure {
		t.Errorf("ended with %q, %d", condition, code)
	}
	if err := f.stop(); err != nil {
		t.Error(err)
	}
}

func (w *web) login(account, resource string) {
	w.t.Helper()
	w.write(opened)
	w.next()
	w.next()
	talk := conversation(w.t, "SCRAM-SHA-1", account, password, nil)
	first, _ := talk.Step("")
	w.write("<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'>" + b64(first) + "</auth>")
	second, _ := talk.Step(unb64(w.t, w.next().Content()))
	w.write("<response xmlns='" + nsSASL + "'>" + b64(second) + "</response>")
	w.next()
	w.write(opened)
	w.next()
	w.next()
	if resource != "" {
		w.write("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='" + nsBind + "'><resource>" + resource + "</resource></bind></iq>")
		w.next()
	}
}

// A web client resumes its stream on another WebSocket.
func TestWebSocketResume(t *testing.T) {
	t.Parallel()
	f, address := startWeb(t, Limits{}, true)
	w := f.web(address, nil)
	w.login("alice", "page")
	w.write("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	enabled := w.next()
	w.ws.UnderlyingConn().Close()
	const full = "alice@" + testDomain + "/page"
	f.awaitLost(full)
	b := f.online("bob", "phone")
	b.write("<message type='chat' to='" + full + "'><body>meanwhile</body></message>")
	b.sync()
	w = f.web(address, nil)
	w.login("alice", "")
	w.write("<resume xmlns='urn:xmpp:sm:3' previd='" + enabled.Attr("id") + "' h='0'/>")
	if e := w.next(); !e.Is(nsSM, "resumed") {
		t.Fatalf("resume: %s", e)
	}
	if e := w.next(); e.Body() != "meanwhile" {
		t.Errorf("after it came %s", e)
	}
}

// The bounds on strangers hold for web clients, and a flood ends with its stream error.
func TestWebSocketHostile(t *testing.T) {
	t.Parallel()
	f, address := startWeb(t, Limits{LoginBytes: 2048, PerAddress: 50}, true)
	for _, c := range []struct {
		name string
		send func(w *web)
		want string
	}{
		{"no element", func(w *web) { w.try("hello") }, stream.BadFormat},
		{"empty", func(w *web) { w.try("") }, stream.BadFormat},
		{"binary", func(w *web) { _ = w.ws.WriteMessage(websocket.BinaryMessage, []byte(opened)) }, stream.BadFormat},
		{"another host", func(w *web) { w.try(strings.Replace(opened, testDomain, "else.example", 1)) }, stream.HostUnknown},
		{"no version", func(w *web) { w.try(strings.Replace(opened, "version='1.0'", "", 1)) }, stream.UnsupportedVersion},
		{"another open", func(w *web) { w.try("<open xmlns='urn:else' to='home.example' version='1.0'/>") }, stream.InvalidNamespace},
		{"open and more", func(w *web) { w.try(opened + "<iq/>") }, stream.NotWellFormed},
		{"long open", func(w *web) { w.try("<open xmlns='" + nsFraming + "' to='" + strings.Repeat("a", 8000) + "'/>") }, stream.PolicyViolation},
		{"stanza before login", func(w *web) { w.try(opened); w.try("<message xmlns='jabber:client'/>") }, stream.NotAuthorized},
		{"starttls", func(w *web) { w.try(opened); w.try("<starttls xmlns='" + nsTLS + "'/>") }, stream.UnsupportedStanzaType},
		{"large", func(w *web) { w.try(opened); w.try("<auth>" + strings.Repeat("a", 60<<10) + "</auth>") }, stream.PolicyViolation},
		{"entity", func(w *web) { w.try(opened); w.try("<auth>&lol;</auth>") }, stream.RestrictedXML},
		{"pings", func(w *web) {
			w.try(opened)
			for range 2000 {
				if w.ws.WriteControl(websocket.PingMessage, []byte(strings.Repeat("a", 100)), time.Now().Add(time.Second)) != nil {
					return
				}
			}
		}, stream.PolicyViolation},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := f.web(address, nil)
			go c.send(w)
			if condition, _ := w.ended(); condition != c.want {
				t.Errorf("%q, want %q", condition, c.want)
			}
		})
	}
	t.Run("without the subprotocol", func(t *testing.T) {
		t.Parallel()
		_, answer, err := websocket.DefaultDialer.Dial("ws://"+address+WebSocketPath, nil)
		if err == nil || answer == nil || answer.StatusCode != http.StatusBadRequest {
			t.Errorf("let in: %v", err)
		}
	})
}

// Whoever a proxy on this machine names has the bounds of their own address.
func TestWebSocketProxy(t *testing.T) {
	t.Parallel()
	f, address := startWeb(t, Limits{PerAddress: 1}, true)
	from := func(forwarded string) http.Header { return http.Header{"X-Forwarded-For": {forwarded}} }
	first := f.web(address, from("192.0.2.1"))
	first.write(opened)
	first.next()
	second := f.web(address, from("203.0.113.9, 192.0.2.1"))
	if condition, code := second.ended(); condition != "" || code != websocket.CloseNormalClosure {
		t.Errorf("a second from the same address: %q, %d", condition, code)
	}
	third := f.web(address, from("192.0.2.2"))
	third.write(opened)
	third.next()
}

// Clients find the WebSocket by host-meta, from pages of any origin.
func TestHostMeta(t *testing.T) {
	t.Parallel()
	f, address := startWeb(t, Limits{}, false)
	config := f.tls()
	config.ServerName = "127.0.0.1"
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: patience}
	get := func(path string) (*http.Response, []byte) {
		t.Helper()
		answer, err := client.Get("https://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Header.Get("Access-Control-Allow-Origin") != "*" && answer.StatusCode == http.StatusOK {
			t.Errorf("%s: not for other origins", path)
		}
		return answer, b
	}
	want := "wss://" + address + WebSocketPath
	var xrd struct {
		XMLName xml.Name `xml:"http://docs.oasis-open.org/ns/xri/xrd-1.0 XRD"`
		Link    struct {
			Rel  string `xml:"rel,attr"`
			Href string `xml:"href,attr"`
		}
	}
	_, b := get("/.well-known/host-meta")
	if err := xml.Unmarshal(b, &xrd); err != nil || xrd.Link.Rel != relWS || xrd.Link.Href != want {
		t.Errorf("%s: %v", b, err)
	}
	var jrd struct {
		Links []struct{ Rel, Href string }
	}
	_, b = get("/.well-known/host-meta.json")
	if err := json.Unmarshal(b, &jrd); err != nil || len(jrd.Links) != 1 || jrd.Links[0].Href != want {
		t.Errorf("%s: %v", b, err)
	}
	if answer, _ := get("/"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("/: %s", answer.Status)
	}
	// Plain text is refused where TLS is wanted.
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /.well-known/host-meta HTTP/1.1\r\nHost: x\r\n\r\n")
	_ = conn.SetDeadline(time.Now().Add(patience))
	answer, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(answer), "HTTP/1.0 400") {
		t.Errorf("in the clear: %q", answer)
	}

}

// However its writing is cut, every element is a message of its own.
func TestSplitter(t *testing.T) {
	t.Parallel()
	written := []byte(string(stream.Header{From: testDomain, ID: "x>y'z", Version: "1.0", Lang: "en"}.AppendXML(nil)) +
		"<stream:features><bind xmlns='a'/></stream:features> <a xmlns='b'/><message id='1>2'><body>it's</body><x xmlns='c'><y/></x></message>" +
		"<presence/><stream:error><reset xmlns='d'/></stream:error>" + closeTag)
	want := []string{
		"<open xmlns='" + nsFraming + "' from='home.example' id='x&gt;y&apos;z' version='1.0' xml:lang='en'/>",
		"<stream:features xmlns='jabber:client' xmlns:stream='" + stream.NSStream + "'><bind xmlns='a'/></stream:features>",
		"<a xmlns='b'/>",
		"<message xmlns='jabber:client' id='1>2'><body>it's</body><x xmlns='c'><y/></x></message>",
		"<presence xmlns='jabber:client'/>",
		"<stream:error xmlns='jabber:client' xmlns:stream='" + stream.NSStream + "'><reset xmlns='d'/></stream:error>",
		"<close xmlns='" + nsFraming + "'/>",
	}
	for size := 1; size <= len(written); size++ {
		var s splitter
		var got []string
		for part := range slices.Chunk(written, size) {
			if err := s.write(part, func(m []byte) error { got = append(got, string(m)); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("in pieces of %d:\n%s", size, strings.Join(got, "\n"))
		}
		if len(s.buf) != 0 || s.depth != 0 {
			t.Errorf("in pieces of %d: %d bytes left, depth %d", size, len(s.buf), s.depth)
		}
	}
}
