package local

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"tidings/xmppbridge/stream"
)

const (
	// WebSocketPath is where web clients find the server.
	WebSocketPath = "/xmpp-websocket"

	nsXRD  = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
	relWS  = "urn:xmpp:alt-connections:websocket" // XEP-0156
	wsTime = 10 * time.Second                     // to answer a handshake
)

// webSocketPaths are the paths answered: Prosody's, and ejabberd's, which clients try by themselves.
var webSocketPaths = []string{WebSocketPath, "/ws"}

// webSocketHandler answers at the door for web clients.
func (s *Server) webSocketHandler(ctx context.Context, serving *sync.WaitGroup) http.Handler {
	mux := http.NewServeMux()
	for _, path := range webSocketPaths {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			serving.Add(1)
			defer serving.Done()
			s.webSocket(ctx, w, r)
		})
	}
	mux.HandleFunc("GET /.well-known/host-meta", hostMeta)
	mux.HandleFunc("GET /.well-known/host-meta.json", hostMetaJSON)
	return mux
}

// webSocketURL is where the client that made a request finds the WebSocket: where it asked, which behind a proxy is the proxy.
func webSocketURL(r *http.Request) string {
	if secure(r) {
		return "wss://" + r.Host + WebSocketPath
	}
	return "ws://" + r.Host + WebSocketPath
}

// hostMeta answers XEP-0156 in XML, hostMetaJSON in JSON.
func hostMeta(w http.ResponseWriter, r *http.Request) {
	anyOrigin(w.Header())
	w.Header().Set("Content-Type", "application/xrd+xml; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store") // it says what the request asked for
	xrd := stream.New(nsXRD, "XRD").Add(stream.New(nsXRD, "Link", "rel", relWS, "href", webSocketURL(r)))
	// The client is gone when this fails: there is nobody left to tell.
	_, _ = w.Write(xrd.AppendXML([]byte("<?xml version='1.0' encoding='utf-8'?>\n")))
}

func hostMetaJSON(w http.ResponseWriter, r *http.Request) {
	anyOrigin(w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	type link struct {
		Rel  string `json:"rel"`
		Href string `json:"href"`
	}
	_ = json.NewEncoder(w).Encode(map[string][]link{"links": {{relWS, webSocketURL(r)}}})
}

// webSocket has one web client from the handshake to its last byte.
//
// Any origin may connect: what lets a page in is the account's password, which the page has to be given, not a cookie that a
// browser would send along.
func (s *Server) webSocket(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if !slices.Contains(websocket.Subprotocols(r), "xmpp") {
		http.Error(w, "This is an XMPP server's WebSocket: the subprotocol is xmpp (RFC 7395).", http.StatusBadRequest)
		return
	}
	taken := &takeover{ResponseWriter: w}
	upgrader := websocket.Upgrader{
		Subprotocols: []string{"xmpp"}, CheckOrigin: func(*http.Request) bool { return true },
		ReadBufferSize: 4096, WriteBufferSize: 4096, HandshakeTimeout: wsTime,
	}
	ws, err := upgrader.Upgrade(taken, r, nil)
	if err != nil {
		s.log.Debug("web client not let in", "address", r.RemoteAddr, "err", err)
		return
	}
	s.serve(ctx, newFramed(ws, taken.conn, webAddr(caller(r))), (*login).runWeb)
}

// runWeb is run for a web client. There is no STARTTLS on a WebSocket, and nothing to bind SASL to: a browser does not show its
// page the TLS connection, and between the two there may be a proxy.
func (l *login) runWeb(ctx context.Context) (*line, error) {
	l.begin()
	return l.letIn(ctx)
}

// takeover gives the library a connection of ours for that of the HTTP server.
type takeover struct {
	http.ResponseWriter
	conn *timeless
}

func (t *takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h, ok := t.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, errors.ErrUnsupported
	}
	conn, buffered, err := h.Hijack()
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(wsTime)) // those of the HTTP server end here
	t.conn = &timeless{Conn: conn}
	return t.conn, buffered, nil
}

// webAddr is the address of a web client, which behind a proxy is not that of its connection.
type webAddr string

func (webAddr) Network() string  { return "tcp" }
func (a webAddr) String() string { return string(a) }
