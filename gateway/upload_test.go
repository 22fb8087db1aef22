package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidings/xmppbridge/link"
	"tidings/xmppbridge/local"
	"tidings/xmppbridge/stream"
)

// With the keys of the server inside, a client finds the place for files, uses it, and there is a WebSocket. A file of the gateway's own
// is there, too.
func TestServicesInside(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(strings.Replace(trialFile, `listen = ["127.0.0.1:0"]`,
		"listen = [\"127.0.0.1:0\"]\nwebsocket = \"127.0.0.1:0\"\nupload = { listen = \"localhost:0\", max_size = \"20KB\" }", 1))
	x.start()
	ctx := t.Context()
	if err := x.AddAccount(ctx, "alice", "admin", "secret of alice"); err != nil {
		t.Fatal(err)
	}
	server := x.xmpp.Load().network.(*localNetwork).server
	certificate := filepath.Join(x.dir, local.CertificateFile)
	conn, err := link.DialClient(ctx, link.ClientConfig{JID: "alice@home.arpa", Resource: "phone", Password: "secret of alice",
		Server: server.Addrs(ctx)[0].String(), TLS: link.TLS{CAFile: certificate}})
	if err != nil {
		t.Fatal(err)
	}
	decoder := stream.NewDecoder(conn, stream.Limits{})
	decoder.Assume(stream.Header{NS: stream.NS})
	alice := stream.NewStream(conn, decoder, stream.Options{JID: conn.JID})
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- alice.Run(running) }()
	defer func() { stop(); <-done }()
	ask := func(payload *stream.Element) *stream.Element {
		t.Helper()
		answer, err := alice.Request(ctx, stream.New(stream.NS, "iq", "type", "get", "to", "home.arpa").Add(payload))
		if err != nil {
			t.Fatal(err)
		}
		return answer.First()
	}
	info := ask(stream.New("http://jabber.org/protocol/disco#info", "query")).String()
	for _, want := range []string{"category='store' type='file'", "urn:xmpp:http:upload:0", "<value>20000</value>", "category='server' type='im'"} {
		if !strings.Contains(info, want) {
			t.Errorf("no %s in %s", want, info)
		}
	}
	slot := ask(stream.New("urn:xmpp:http:upload:0", "request", "filename", "note.txt", "size", "5"))
	text, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(text)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, DisableKeepAlives: true}}
	do := func(method, url, body string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	put, get := slot.Child("", "put").Attr("url"), slot.Child("", "get").Attr("url")
	if code := do(http.MethodPut, put, "21.5\n"); code != http.StatusCreated {
		t.Errorf("upload: %d", code)
	}
	if code := do(http.MethodGet, get, ""); code != http.StatusOK {
		t.Errorf("fetched: %d", code)
	}
	own, err := server.Put(ctx, "chart.png", "image/png", []byte("PNG"))
	if err != nil {
		t.Fatal(err)
	}
	if code := do(http.MethodGet, own, ""); code != http.StatusOK {
		t.Errorf("the gateway's own: %d", code)
	}
	web := "http://" + server.WebAddr(ctx, "127.0.0.1:0").String()
	if code := do(http.MethodGet, web+"/.well-known/host-meta.json", ""); code != http.StatusOK {
		t.Errorf("host-meta: %d", code)
	}
}
