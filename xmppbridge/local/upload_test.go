package local

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidings/xmppbridge/stream"
)

// startUpload runs a server that takes files of up to 64 KiB.
func startUpload(t testing.TB, dir string) *fixture {
	t.Helper()
	return startWith(t, Limits{}, people(), func(s *Server) {
		s.uploads = newUploads(Upload{Listen: "127.0.0.1:0", MaxSize: 64 << 10, Keep: time.Hour, Dir: dir})
		s.uploadDoor = &door{address: "127.0.0.1:0", answer: s.uploadHandler}
		s.doors = append(s.doors, s.uploadDoor)
	})
}

// browser speaks HTTPS with the server's certificate.
func (f *fixture) browser() *http.Client {
	config := f.tls()
	config.ServerName = ""
	return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
}

func (c *raw) slot(name string, size int, mime string) *stream.Element {
	c.t.Helper()
	return c.request("<iq type='get' to='" + testDomain + "'><request xmlns='" + nsUpload + "' filename='" + name + "' size='" +
		strconv.Itoa(size) + "' content-type='" + mime + "'/></iq>")
}

func urls(answer *stream.Element) (put, get string) {
	slot := answer.Child(nsUpload, "slot")
	return slot.Child(nsUpload, "put").Attr("url"), slot.Child(nsUpload, "get").Attr("url")
}

// try asks for a URL and returns the answer with its content read.
func (f *fixture) try(method, url string, body string) (*http.Response, string) {
	f.t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	answer, err := f.browser().Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer, string(content)
}

func TestUpload(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "upload")
	f := startUpload(t, dir)
	c := f.online("alice", "phone")
	put, get := urls(c.slot("Küche 1.PNG", 5, "image/png"))
	if !strings.HasPrefix(get, "https://127.0.0.1:") || !strings.HasSuffix(get, "/K%C3%BCche_1.PNG") || !strings.HasPrefix(put, get+"?put=") {
		t.Fatalf("slot %s, %s", put, get)
	}
	if answer, _ := f.try(http.MethodGet, get, ""); answer.StatusCode != http.StatusNotFound {
		t.Errorf("before the upload: %s", answer.Status)
	}
	if answer, _ := f.try(http.MethodPut, put, "\x89PNG\r"); answer.StatusCode != http.StatusCreated {
		t.Fatalf("upload: %s", answer.Status)
	}
	answer, content := f.try(http.MethodGet, get, "")
	if answer.StatusCode != http.StatusOK || content != "\x89PNG\r" || answer.Header.Get("Content-Type") != "image/png" {
		t.Errorf("%s %q %v", answer.Status, content, answer.Header)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "*",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox", "Content-Disposition": ""} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if answer, content := f.try(http.MethodHead, get, ""); answer.StatusCode != http.StatusOK || answer.ContentLength != 5 || content != "" {
		t.Errorf("HEAD: %s, %d", answer.Status, answer.ContentLength)
	}
	if answer, _ := f.try(http.MethodOptions, put, ""); answer.StatusCode != http.StatusNoContent ||
		!strings.Contains(answer.Header.Get("Access-Control-Allow-Methods"), "PUT") {
		t.Errorf("preflight: %s", answer.Status)
	}
	// A slot is used once.
	if answer, _ := f.try(http.MethodPut, put, "again"); answer.StatusCode != http.StatusForbidden {
		t.Errorf("again: %s", answer.Status)
	}

	// The house's own.
	own, err := f.Put(t.Context(), "chart.png", "image/png", []byte("chart"))
	if err != nil {
		t.Fatal(err)
	}
	if answer, content := f.try(http.MethodGet, own, ""); answer.StatusCode != http.StatusOK || content != "chart" {
		t.Errorf("%s: %s", own, answer.Status)
	}
	if _, err := f.Put(t.Context(), "big.png", "image/png", make([]byte, 64<<10+1)); err == nil {
		t.Error("a picture that is too large is kept")
	}

	// They are there after a restart, and what is not whole is gone.
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"half", "odd.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f = startUpload(t, dir)
	old, _ := url.Parse(get)
	old.Host = f.uploadDoor.listener.Addr().String()
	if answer, content := f.try(http.MethodGet, old.String(), ""); answer.StatusCode != http.StatusOK || content != "\x89PNG\r" {
		t.Errorf("after a restart: %s", answer.Status)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 4 {
		t.Errorf("on the disk: %v, %v", left, err)
	}
}

// Nothing active is shown, whatever its uploader calls it.
func TestUploadTypes(t *testing.T) {
	t.Parallel()
	f := startUpload(t, t.TempDir())
	c := f.online("alice", "phone")
	for _, test := range []struct{ name, mime, want, disposition string }{
		{"a.html", "text/html", unknownType, "attachment"},
		{"a.svg", "image/svg+xml", unknownType, "attachment"},
		{"a.png", "text/html; charset=utf-8", unknownType, "attachment"},
		{"a.js", "", unknownType, "attachment"},
		{"a.pdf", "application/pdf", unknownType, "attachment"},
		{"a.png", "nonsense//", "image/png", ""},
		{"a.jpg", "", "image/jpeg", ""},
		{"a.txt", "text/plain; charset=iso-8859-1", "text/plain; charset=utf-8", ""},
		{"a.mp4", "VIDEO/MP4", "video/mp4", ""},
	} {
		put, get := urls(c.slot(test.name, 6, test.mime))
		f.try(http.MethodPut, put, "<html>")
		answer, content := f.try(http.MethodGet, get, "")
		if answer.Header.Get("Content-Type") != test.want || answer.Header.Get("Content-Disposition") != test.disposition || content != "<html>" {
			t.Errorf("%s %s: %s %v", test.name, test.mime, answer.Status, answer.Header)
		}
	}
}

func TestUploadHostile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := startUpload(t, dir)
	c := f.online("alice", "phone")
	for request, want := range map[string]string{
		"filename='a' size='0'":                    "modify bad-request",
		"filename='a' size='-1'":                   "modify bad-request",
		"filename='a' size='x'":                    "modify bad-request",
		"filename='a'":                             "modify bad-request",
		"size='1'":                                 "modify bad-request",
		"filename='a' size='65537'":                "modify not-acceptable",
		"filename='a' size='99999999999999999999'": "modify bad-request",
		"filename='a' size='9223372036854775807'":  "modify not-acceptable",
	} {
		answer := c.request("<iq type='get' to='" + testDomain + "'><request xmlns='" + nsUpload + "' " + request + "/></iq>")
		if got := condition(answer); got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
	if too := c.slot("a", 1<<20, "").Child(stream.NS, "error").Child(nsUpload, "file-too-large"); too.ChildText(nsUpload, "max-file-size") != "65536" {
		t.Errorf("file-too-large: %s", too)
	}
	for name, want := range map[string]string{"../../etc/passwd": "passwd", `C:\a\b.txt`: "b.txt", "...": "file", "a/": "file", ".htaccess": "htaccess",
		"a b\x00\n<>?#%.png": "a_b_______.png", strings.Repeat("ü", 200): strings.Repeat("ü", 50)} {
		if got := fileName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}

	put, get := urls(c.slot("a.txt", 5, ""))
	base := get[:strings.Index(get, uploadPath)]
	for _, test := range []struct {
		method, url, body string
		want              int
	}{
		{http.MethodPut, get, "12345", http.StatusForbidden},
		{http.MethodPut, get + "?put=x", "12345", http.StatusForbidden},
		{http.MethodPut, strings.Replace(put, "a.txt", "b.txt", 1), "12345", http.StatusForbidden},
		{http.MethodPut, put, "123456", http.StatusRequestEntityTooLarge},
		{http.MethodPut, put, "12345", http.StatusForbidden}, // used up by the one before
		{http.MethodGet, get, "", http.StatusNotFound},
		{http.MethodGet, base + "/", "", http.StatusNotFound},
		{http.MethodGet, base + uploadPath, "", http.StatusNotFound},
		{http.MethodGet, base + uploadPath + "../xmpp.pem", "", http.StatusNotFound},
		{http.MethodGet, base + uploadPath + "..%2f..%2fetc/passwd", "", http.StatusNotFound},
		{http.MethodPost, put, "12345", http.StatusMethodNotAllowed},
		{http.MethodDelete, get, "", http.StatusMethodNotAllowed},
	} {
		if answer, _ := f.try(test.method, test.url, test.body); answer.StatusCode != test.want {
			t.Errorf("%s %s: %s", test.method, test.url, answer.Status)
		}
	}
	// A body of another length than it says, and none that says how long it is.
	put, _ = urls(c.slot("a.txt", 5, ""))
	r, _ := http.NewRequest(http.MethodPut, put, io.MultiReader(strings.NewReader("123"), strings.NewReader("4567890")))
	answer, err := f.browser().Do(r)
	if err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("longer than the slot: %v, %v", answer, err)
	} else {
		answer.Body.Close()
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 0 {
		t.Errorf("left on the disk: %v", left)
	}
	// Many slots.
	refused := ""
	for range maxAccountSlots + 1 {
		refused = condition(c.slot("a.txt", 5, ""))
	}
	if refused != "wait resource-constraint" {
		t.Errorf("one slot too many: %q", refused)
	}
	if got := condition(f.online("bob", "phone").slot("a.txt", 5, "")); got != "" {
		t.Errorf("another account: %q", got)
	}
}

// What is kept is bounded, and goes with time; the house's oldest pictures make room for new ones.
func TestShelf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newShelf(t.TempDir())
		file := func(id, account string) stored {
			return stored{ID: id, Name: "a", Account: account, Size: 40 << 20, At: time.Now()}
		}
		for _, id := range []string{"a", "b"} {
			s := file(id, "")
			if err := f.makeRoom(s, 1); err != nil {
				t.Fatal(err)
			}
			if err := f.load(); err != nil {
				t.Fatal(err)
			}
			if err := f.take(s, io.LimitReader(zeros{}, s.Size)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if err := f.room(file("c", ""), 1, 0, 0); err == nil {
			t.Error("more than an account may have")
		}
		if err := f.room(file("c", "alice"), 1, 0, 70<<20); err == nil {
			t.Error("what is promised does not count")
		}
		if err := f.room(file("c", "alice"), 1, maxBytes, 0); err == nil {
			t.Error("what is promised to others does not count")
		}
		if err := f.makeRoom(file("c", ""), 1); err != nil {
			t.Error(err)
		}
		if _, _, err := f.open("a", "a"); err == nil {
			t.Error("the oldest is still there")
		}
		f.expire(time.Now().Add(-30 * time.Second))
		if len(f.files) != 0 || f.bytes != 0 {
			t.Errorf("left: %v, %d bytes", f.files, f.bytes)
		}
		left, _ := os.ReadDir(f.dir)
		if len(left) != 0 {
			t.Errorf("left on the disk: %v", left)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Slots run out, and a name for the server comes before its address.
func TestSlots(t *testing.T) {
	t.Parallel()
	u := newUploads(Upload{MaxSize: 1 << 20})
	now := time.Now()
	put, _, err := u.grant(stored{ID: "X", Name: "a"}, "https://x", now)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(put, "?put=")
	if _, ok := u.redeem("X", "a", secret, now.Add(slotTime+time.Second)); ok {
		t.Error("an old slot is taken")
	}
	if _, ok := u.redeem("X", "a", secret, now); !ok {
		t.Error("the slot is not taken")
	}
	if _, ok := u.redeem("X", "a", secret, now); ok {
		t.Error("the slot is taken twice")
	}
	u.done("X")
	if len(u.slots) != 0 {
		t.Errorf("left: %v", u.slots)
	}
	s := &Server{domain: testDomain, uploadDoor: &door{listener: listenerAt("192.0.2.1:5281")}}
	here := func() string { return "192.0.2.7" }
	if got := u.at(s, here); got != "https://192.0.2.7:5281" {
		t.Error(got)
	}
	u.named.Store(true)
	if got := u.at(s, here); got != "https://home.example:5281" {
		t.Error(got)
	}
	u.URL = "https://files.example.org"
	if got := u.at(s, here); got != u.URL {
		t.Error(got)
	}
	if !bytes.Contains([]byte(u.info()[2].String()), []byte("1048576")) {
		t.Error(u.info()[2])
	}
}

// listenerAt is a listener that is only asked where it is.
func listenerAt(address string) net.Listener { return at{address: webAddr(address)} }

type at struct {
	net.Listener
	address net.Addr
}

func (a at) Addr() net.Addr { return a.address }
