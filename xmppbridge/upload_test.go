package xmppbridge

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tidings/xmppbridge/link"
	"tidings/xmppbridge/stream"
)

// An uploadServer plays a server with a service: its IQs and its HTTP.
type uploadServer struct {
	t       *testing.T
	network *testNetwork
	http    *httptest.Server
	ca      string

	mu     sync.Mutex
	asked  []string // "to payload"
	slot   string   // what it answers instead of a slot of its own
	refuse *stream.StanzaError
	status int // of HTTP; 0: 201
	limit  string
	puts   []*http.Request
	bodies []string
	none   bool // there is no service
}

func newUploadServer(t *testing.T, secure bool) *uploadServer {
	t.Helper()
	s := &uploadServer{t: t, network: &testNetwork{}, limit: "1000"}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.put))
	if secure {
		s.http.StartTLS()
		s.ca = filepath.Join(t.TempDir(), "ca.pem")
		content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
		if err := os.WriteFile(s.ca, content, 0o600); err != nil {
			t.Fatal(err)
		}
	} else {
		s.http.Start()
	}
	t.Cleanup(s.http.Close)
	s.network.answer = s.answer
	return s
}

func (s *uploadServer) put(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts, s.bodies = append(s.puts, r), append(s.bodies, string(body))
	if s.status/100 == 3 {
		w.Header().Set("Location", "/elsewhere")
	}
	if s.status == 0 {
		s.status = http.StatusCreated
	}
	w.WriteHeader(s.status)
}

func (s *uploadServer) answer(_ context.Context, iq *stream.Element) (*stream.Element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	query := iq.First()
	s.asked = append(s.asked, iq.Attr("to")+" "+query.Name+" "+query.Space)
	payload := ""
	switch to := iq.Attr("to"); {
	case query.Is(nsDiscoItems, "query") && to == "example.org":
		payload = "<query xmlns='" + nsDiscoItems + "'><item jid='rooms.example.org'/><item jid='upload.example.org'/><item jid='hub@example.org' node='x'/></query>"
	case query.Is(nsDiscoInfo, "query") && to == "upload.example.org" && !s.none:
		payload = "<query xmlns='" + nsDiscoInfo + "'><identity category='store' type='file'/><feature var='" + nsUpload + "'/><x xmlns='jabber:x:data' type='result'>" +
			"<field var='FORM_TYPE' type='hidden'><value>" + nsUpload + "</value></field><field var='max-file-size'><value>" + s.limit + "</value></field></x></query>"
	case query.Is(nsDiscoInfo, "query") && strings.HasSuffix(to, "example.org"):
		payload = "<query xmlns='" + nsDiscoInfo + "'><feature var='" + nsDiscoInfo + "'/></query>"
	case query.Is(nsUpload, "request") && s.refuse != nil:
		return nil, s.refuse
	case query.Is(nsUpload, "request"):
		if payload = s.slot; payload == "" {
			payload = "<slot xmlns='" + nsUpload + "'><put url='" + s.http.URL + "/put/" + query.Attr("filename") + "'>" +
				"<header name='authorization'>Bearer \n one</header><header name='X-Evil'>yes</header><header name='Cookie'>c=1</header></put>" +
				"<get url='" + s.http.URL + "/get/" + query.Attr("filename") + "'/></slot>"
		}
	default:
		return nil, stream.NewStanzaError(stream.ServiceUnavailable, "")
	}
	return stream.Parse([]byte("<iq xmlns='jabber:client' type='result'>" + payload + "</iq>"))
}

func (s *uploadServer) upload(change func(*UploadOptions)) *ServerUpload {
	o := UploadOptions{Network: s.network, From: func() string { return hub }, Domain: domain, Component: true, TLS: link.TLS{CAFile: s.ca}}
	if change != nil {
		change(&o)
	}
	return NewServerUpload(o)
}

// requests are what the server was asked since the last call.
func (s *uploadServer) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	slices.Sort(out)
	return out
}

func TestUpload(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"https": true, "http on this machine": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newUploadServer(t, secure)
			u := s.upload(nil)
			address, err := u.Upload(t.Context(), "a.png", "image/png", []byte("picture"))
			if err != nil || address != s.http.URL+"/get/a.png" {
				t.Fatal(address, err)
			}
			r := s.puts[0]
			if r.Method != "PUT" || r.URL.Path != "/put/a.png" || r.ContentLength != 7 || s.bodies[0] != "picture" ||
				r.Header.Get("Content-Type") != "image/png" || r.Header.Get("Authorization") != "Bearer  one" || r.Header.Get("Cookie") != "c=1" {
				t.Errorf("put: %s %s %v %q", r.Method, r.URL, r.Header, s.bodies[0])
			}
			if r.Header.Get("X-Evil") != "" {
				t.Error("a header that no slot may have was sent")
			}
			if got := s.requests(); !slices.Contains(got, "example.org query "+nsDiscoItems) || !slices.Contains(got, "rooms.example.org query "+nsDiscoInfo) {
				t.Errorf("asked: %q", got)
			}
			if _, err = u.Upload(t.Context(), "b.png", "image/png", []byte("picture")); err != nil {
				t.Fatal(err)
			}
			if got := s.requests(); !slices.Equal(got, []string{"upload.example.org request " + nsUpload}) {
				t.Errorf("the second time it asks %q", got)
			}
		})
	}
}

func TestUploadNamed(t *testing.T) {
	t.Parallel()
	s := newUploadServer(t, true)
	u := s.upload(func(o *UploadOptions) { o.Service = "upload.example.org" })
	if _, err := u.Upload(t.Context(), "a.png", "image/png", []byte("picture")); err != nil {
		t.Error(err)
	}
	if got := s.requests(); !slices.Equal(got, []string{"upload.example.org query " + nsDiscoInfo, "upload.example.org request " + nsUpload}) {
		t.Errorf("asked: %q", got)
	}
	u = s.upload(func(o *UploadOptions) { o.Service = "rooms.example.org" })
	if _, err := u.Upload(t.Context(), "a.png", "image/png", nil); err == nil || !strings.Contains(err.Error(), "rooms.example.org, which [xmpp] upload names") {
		t.Error(err)
	}
}

func TestUploadRefused(t *testing.T) {
	t.Parallel()
	slot := func(put, get string) func(*uploadServer) {
		return func(s *uploadServer) {
			s.slot = "<slot xmlns='" + nsUpload + "'><put url='" + put + "'/><get url='" + get + "'/></slot>"
		}
	}
	for name, test := range map[string]struct {
		change func(*uploadServer)
		want   string
		puts   int
	}{
		"not admitted": {func(s *uploadServer) { s.refuse = stream.NewStanzaError(stream.Forbidden, "") }, "add it to http_file_share_access", 0},
		"not allowed":  {func(s *uploadServer) { s.refuse = stream.NewStanzaError(stream.NotAllowed, "") }, "things.example.org", 0},
		"full": {func(s *uploadServer) {
			s.refuse = stream.NewStanzaError(stream.ResourceConstraint, "Daily quota reached")
		}, "Daily quota reached", 0},
		"too large":       {func(s *uploadServer) { s.limit = "6" }, "7 bytes are more than the 6", 0},
		"in the clear":    {slot("http://example.org/a", "https://example.org/a"), "only https is used", 0},
		"read in clear":   {slot("https://example.org/a", "http://example.org/a"), "only https is used", 0},
		"another scheme":  {slot("file:///etc/passwd", "https://example.org/a"), "an address that is none", 0},
		"no address":      {slot("", ""), "an address that is none", 0},
		"long address":    {slot("https://example.org/"+strings.Repeat("a", 3000), "https://example.org/a"), "an address that is none", 0},
		"no slot":         {func(s *uploadServer) { s.slot = "<other xmlns='urn:x'/>" }, "holds no slot", 0},
		"http says no":    {func(s *uploadServer) { s.status = 413 }, "413", 1},
		"sent elsewhere":  {func(s *uploadServer) { s.status = 307 }, "307", 1},
		"nobody believed": {func(s *uploadServer) { s.ca = "" }, "certificate", 0},
		"no service":      {func(s *uploadServer) { s.none = true }, "no upload service", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newUploadServer(t, true)
			s.http.Config.ErrorLog = nil
			test.change(s)
			address, err := s.upload(nil).Upload(t.Context(), "a.png", "image/png", []byte("picture"))
			if err == nil || address != "" || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q: %v, want %q", address, err, test.want)
			}
			if len(s.puts) != test.puts {
				t.Errorf("%d requests over HTTP", len(s.puts))
			}
		})
	}
}

// TestUploadLooksAgain: what was found is forgotten with a failure, and that there is none for a while only.
func TestUploadLooksAgain(t *testing.T) {
	t.Parallel()
	s := newUploadServer(t, true)
	s.none = true
	u := s.upload(nil)
	for range 2 {
		if _, err := u.Upload(t.Context(), "a.png", "image/png", nil); !errors.Is(err, ErrNoUpload) {
			t.Fatal(err)
		}
	}
	if got := s.requests(); len(got) != 4 { // items, and three to look at
		t.Errorf("asked twice: %q", got)
	}
	s.none = false
	u.Forget() // the stream is new
	if _, err := u.Upload(t.Context(), "a.png", "image/png", nil); err != nil {
		t.Error(err)
	}
	s.refuse = stream.NewStanzaError(stream.InternalServerError, "")
	if _, err := u.Upload(t.Context(), "a.png", "image/png", nil); err == nil {
		t.Error("not refused")
	}
	s.requests()
	s.refuse = nil
	if _, err := u.Upload(t.Context(), "a.png", "image/png", nil); err != nil || len(s.requests()) != 5 {
		t.Error("a service that failed was not looked for anew:", err)
	}
}

func TestUploadDomains(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		domain    string
		component bool
		want      string
	}{
		{"example.org", false, "example.org"},
		{"things.example.org", true, "example.org"},
		{"a.b.c.example.org", true, "b.c.example.org c.example.org example.org"},
		{"things.localhost", true, "localhost"},
		{"things", true, ""},
	} {
		u := NewServerUpload(UploadOptions{Domain: test.domain, Component: test.component})
		if got := strings.Join(u.domains(), " "); got != test.want {
			t.Errorf("%s: %q, want %q", test.domain, got, test.want)
		}
	}
}
