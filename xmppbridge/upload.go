package xmppbridge

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"tidings/xmppbridge/link"
	"tidings/xmppbridge/stream"
)

const (
	nsUpload = "urn:xmpp:http:upload:0"

	// uploadTimeout bounds an upload as a whole.
	uploadTimeout = 30 * time.Second
	// slotTimeout bounds one question to the server.
	slotTimeout = 10 * time.Second
	// maxUploadURL bounds what a service may answer: people's clients show it as a line.
	maxUploadURL = 2000
	// maxSlotHeader bounds one header of a slot.
	maxSlotHeader = 8 << 10
)

// An Uploader puts a file where the clients of people can fetch it, and says where that is. It is safe for concurrent use
// and waits for the network.
type Uploader interface {
	Upload(ctx context.Context, name, mime string, data []byte) (url string, err error)
}

// ErrNoUpload is what an Uploader answers that has nowhere to put a file.
var ErrNoUpload = errors.New("the server has no upload service (XEP-0363)")

// UploadOptions say how a server's service is found.
type UploadOptions struct {
	Network Network
	// From returns the full JID that asks: the hub's.
	From func() string
	// Service is the JID of the service; empty: it is looked for on Domain.
	Service string
	// Domain is the server's. Of a Component it is the component's own: the domains above it are asked.
	Domain    string
	Component bool
	// TLS says which authorities are believed when it comes to HTTP. Pins are of XMPP alone.
	TLS link.TLS
}

// A ServerUpload uploads to the service of a server (XEP-0363). What was found is remembered until an upload fails or Forget.
type ServerUpload struct {
	o UploadOptions

	mu    sync.Mutex
	found *uploadService // nil: not looked for
}

// An uploadService is one that was found, or none where jid is empty.
type uploadService struct {
	jid   string
	limit int64 // bytes; 0: it does not say
	until time.Time
}

// NewServerUpload makes one. Nothing is asked before the first upload.
func NewServerUpload(o UploadOptions) *ServerUpload { return &ServerUpload{o: o} }

// Forget has the service looked for anew: the server may be another one now.
func (u *ServerUpload) Forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.found = nil
}

// Upload asks for a slot and puts the file there.
func (u *ServerUpload) Upload(ctx context.Context, name, mime string, data []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	service, err := u.service(ctx)
	if err != nil {
		return "", err
	}
	if service.limit > 0 && int64(len(data)) > service.limit {
		return "", fmt.Errorf("upload: %d bytes are more than the %d that %s takes", len(data), service.limit, service.jid)
	}
	where, err := u.request(ctx, service.jid, name, mime, len(data))
	if err == nil {
		err = u.put(ctx, where, mime, data)
	}
	if err != nil {
		u.Forget() // it may have moved
		return "", err
	}
	return where.get, nil
}

// A slot is where a file goes, and where it can be fetched then.
type slot struct {
	put, get string
	header   http.Header
}

// request asks a service for a slot (XEP-0363 §4).
func (u *ServerUpload) request(ctx context.Context, service, name, mime string, size int) (slot, error) {
	ask := stream.New(nsUpload, "request", "filename", name, "size", strconv.Itoa(size), "content-type", mime)
	answer, err := u.ask(ctx, service, ask)
	if err != nil {
		return slot{}, u.refused(service, err)
	}
	s, err := readSlot(answer.Child(nsUpload, "slot"))
	if err != nil {
		return slot{}, fmt.Errorf("upload: %s: %w", service, err)
	}
	return s, nil
}

// ask sends one request from the hub.
func (u *ServerUpload) ask(ctx context.Context, to string, payload *stream.Element) (*stream.Element, error) {
	ctx, cancel := context.WithTimeout(ctx, slotTimeout)
	defer cancel()
	iq := stream.New(stream.NS, "iq", "type", "get", "id", rand.Text(), "from", u.o.From(), "to", to).Add(payload)
	return u.o.Network.Request(ctx, iq)
}

// refused says what a service's refusal means, and which option of the server lets us in.
func (u *ServerUpload) refused(service string, err error) error {
	var e *stream.StanzaError
	if !errors.As(err, &e) {
		return fmt.Errorf("upload: %s: %w", service, err)
	}
	switch e.Condition {
	case stream.Forbidden, stream.NotAllowed, "not-authorized":
		domain := domainOf(u.o.From())
		return fmt.Errorf("upload: %s takes no files from %s: on Prosody add it to http_file_share_access, on ejabberd to the access rule "+
			"that mod_http_upload names in access: %w", service, domain, err)
	case stream.ResourceConstraint:
		return fmt.Errorf("upload: %s has no room for more at present: %w", service, err)
	}
	return fmt.Errorf("upload: %s refuses the file: %w", service, err)
}

// slotHeaders are those a service may ask for; others are left out (XEP-0363 §5).
var slotHeaders = map[string]bool{"Authorization": true, "Cookie": true, "Expires": true}

func readSlot(x *stream.Element) (slot, error) {
	if x == nil {
		return slot{}, errors.New("its answer holds no slot")
	}
	put := x.Child(nsUpload, "put")
	s := slot{put: put.Attr("url"), get: x.Child(nsUpload, "get").Attr("url"), header: http.Header{}}
	for _, address := range []string{s.put, s.get} {
		if err := checkURL(address); err != nil {
			return slot{}, err
		}
	}
	for h := range put.Children() {
		name, value := http.CanonicalHeaderKey(oneLine(h.Attr("name"))), oneLine(h.Content())
		if h.Is(nsUpload, "header") && slotHeaders[name] && len(s.header) < len(slotHeaders) && len(value) <= maxSlotHeader {
			s.header.Set(name, value)
		}
	}
	return s, nil
}

// oneLine strips line breaks, which would begin another header (XEP-0363 §5).
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == 0 {
			return -1
		}
		return r
	}, s))
}

// checkURL takes https, and http on this machine: pictures of a house and the authorisation of a slot do not cross a network
// in the clear.
func checkURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || len(address) > maxUploadURL:
		return errors.New("its answer holds an address that is none")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("it offers %s://%s: only https is used, or http on this machine", u.Scheme, u.Host)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// put sends the file. A connection each: there is one picture now and then. Redirects are not followed, since the headers
// are for whom the service named.
func (u *ServerUpload) put(ctx context.Context, where slot, mime string, data []byte) error {
	roots, err := u.o.TLS.Roots()
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	transport := &http.Transport{
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, where.put, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	req.Header = where.header.Clone()
	req.Header.Set("Content-Type", mime)
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("upload: %w", uploadCause(err))
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("upload: %s answers %s", req.URL.Host, resp.Status)
	}
	return nil
}

// uploadCause is an error without the address of the slot, which may be as good as a password.
func uploadCause(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// domainOf is the domain of a JID.
func domainOf(full string) string {
	bare := bareJID(full)
	return bare[strings.IndexByte(bare, '@')+1:]
}
