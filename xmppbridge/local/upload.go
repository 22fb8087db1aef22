package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tidings/xmppbridge/stream"
)

const (
	nsUpload = "urn:xmpp:http:upload:0"
	nsForm   = "jabber:x:data"

	// slotTime is how long a client may take from the slot to the upload.
	slotTime = 5 * time.Minute
	// maxSlots and maxAccountSlots bound slots that nobody has used yet.
	maxSlots        = 200
	maxAccountSlots = 20
	// What is kept, in files and in bytes: of one account (the house is one, with the name ""), and in all. One file of the
	// greatest size always fits.
	maxFiles        = 5000
	maxAccountFiles = 1000
	maxBytes        = 1 << 30
	maxAccountBytes = 100 << 20
	// maxNames bounds the name and the type of a file, in bytes each.
	maxNames = 100
	// lookAgain is how often is asked whether the domain leads here.
	lookAgain = 10 * time.Minute
)

// ErrNoUpload says that the server takes no files.
var ErrNoUpload = errors.New("there is no place for files: [xmpp.local] has no upload")

// Upload is a place for people's files and the house's pictures (XEP-0363), over HTTPS with the server's certificate.
type Upload struct {
	Listen  string        // an address such as "[::]:5281"
	MaxSize int64         // of one file, in bytes
	Keep    time.Duration // how long a file is kept
	Dir     string        // where; made if it is not there
	// URL is where people's clients find it, such as "https://files.example.org"; "" is where they find the server itself: at the
	// domain if Resolves says so, else at the address that the client is connected to.
	URL string
	// Resolves reports whether the domain's name leads to this machine; nil: it does not.
	Resolves func(ctx context.Context) bool
}

// uploads is the state of that place.
type uploads struct {
	Upload
	named atomic.Bool // the domain's name leads here
	files *shelf

	mu    sync.Mutex
	slots map[string]slot // by id
}

// A slot is the permission to upload one file, once.
type slot struct {
	file    stored
	secret  [sha256.Size]byte // the hash of what the URL for the upload has in addition
	expires time.Time
	used    bool // the upload is under way
}

func newUploads(u Upload) *uploads {
	return &uploads{Upload: u, files: newShelf(u.Dir), slots: make(map[string]slot)}
}

// run forgets what nobody came for and what was kept long enough, and asks whether the domain leads here.
func (u *uploads) run(ctx context.Context) {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		if u.Resolves != nil {
			u.named.Store(u.Resolves(ctx))
		}
		u.files.expire(time.Now().Add(-u.Keep))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// info is what the domain's disco#info says of it.
func (u *uploads) info() []*stream.Element {
	field := func(name, typ, value string) *stream.Element {
		return stream.New(nsForm, "field", "var", name, "type", typ).Add(stream.New(nsForm, "value").AddText(value))
	}
	return []*stream.Element{
		stream.New(nsDiscoInfo, "identity", "category", "store", "type", "file", "name", "Files"),
		stream.New(nsDiscoInfo, "feature", "var", nsUpload),
		stream.New(nsForm, "x", "type", "result").Add(field("FORM_TYPE", "hidden", nsUpload),
			field("max-file-size", "", strconv.FormatInt(u.MaxSize, 10))),
	}
}

// slot answers a client that wants to upload a file (XEP-0363 §4).
func (c *session) slot(iq, request *stream.Element) {
	u := c.server.uploads
	size, err := strconv.ParseInt(request.Attr("size"), 10, 64)
	name := request.Attr("filename")
	switch {
	case err != nil || size <= 0 || name == "":
		c.send(stream.ErrorReply(iq, stream.NewStanzaError(stream.BadRequest, "a name and a size in bytes are needed")))
		return
	case size > u.MaxSize:
		c.send(stream.ErrorReply(iq, stream.NewStanzaError(stream.NotAcceptable, fmt.Sprintf("files may have %d bytes", u.MaxSize),
			stream.New(nsUpload, "file-too-large").Add(stream.New(nsUpload, "max-file-size").AddText(strconv.FormatInt(u.MaxSize, 10))))))
		return
	}
	file := stored{ID: rand.Text(), Name: fileName(name), Type: fileType(request.Attr("content-type"), name), Size: size, Account: c.account.name}
	put, get, err := u.grant(file, u.base(c), time.Now())
	if err != nil {
		c.server.log.Info("file refused", "account", c.account.name, "size", size, "err", err)
		c.send(stream.ErrorReply(iq, stream.NewStanzaError(stream.ResourceConstraint, err.Error(),
			stream.New(nsUpload, "retry", "stamp", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))))
		return
	}
	c.result(iq, stream.New(nsUpload, "slot").Add(stream.New(nsUpload, "put", "url", put), stream.New(nsUpload, "get", "url", get)))
}

// grant makes a slot for a file, if there is room for it.
func (u *uploads) grant(file stored, base string, now time.Time) (put, get string, err error) {
	secret := rand.Text()
	u.mu.Lock()
	defer u.mu.Unlock()
	pending, bytes, own := 0, int64(0), int64(0)
	for id, s := range u.slots {
		switch {
		case now.After(s.expires) && !s.used:
			delete(u.slots, id)
		default:
			bytes += s.file.Size
			if s.file.Account == file.Account {
				pending++
				own += s.file.Size
			}
		}
	}
	if pending >= maxAccountSlots || len(u.slots) >= maxSlots {
		return "", "", errors.New("too many uploads at once: try again in five minutes")
	}
	if err := u.files.room(file, u.MaxSize, bytes, own); err != nil {
		return "", "", err
	}
	u.slots[file.ID] = slot{file: file, secret: sha256.Sum256([]byte(secret)), expires: now.Add(slotTime)}
	get = base + uploadPath + file.ID + "/" + url.PathEscape(file.Name)
	return get + "?put=" + secret, get, nil
}

// redeem takes a slot, which is used once; done must follow. Until then the file still counts as one that is coming.
func (u *uploads) redeem(id, name, secret string, now time.Time) (stored, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s, ok := u.slots[id]
	sum := sha256.Sum256([]byte(secret))
	if !ok || s.used || s.file.Name != name || now.After(s.expires) || subtle.ConstantTimeCompare(sum[:], s.secret[:]) != 1 {
		return stored{}, false
	}
	s.used = true
	u.slots[id] = s
	return s.file, true
}

// done ends a slot.
func (u *uploads) done(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.slots, id)
}

// base is where a client finds what is uploaded: without a name for it, where it is connected to.
func (u *uploads) base(c *session) string {
	return u.at(c.server, func() string { return hostOf(c.localAddr()) })
}

// houseBase is where whoever is shown a picture of the house finds it.
func (u *uploads) houseBase(s *Server) string {
	return u.at(s, func() string {
		found := ""
		s.locked(func() {
			for _, a := range s.accounts {
				for _, c := range a.sessions {
					if host := hostOf(c.localAddr()); found == "" || net.ParseIP(found).IsLoopback() {
						found = host
					}
				}
			}
		})
		return cmp.Or(found, s.domain)
	})
}

func (u *uploads) at(s *Server, otherwise func() string) string {
	if u.URL != "" {
		return u.URL
	}
	host := s.domain
	if host != "localhost" && !u.named.Load() {
		host = otherwise()
	}
	_, port, _ := net.SplitHostPort(s.uploadDoor.listener.Addr().String())
	return "https://" + net.JoinHostPort(cmp.Or(host, s.domain), port)
}

// hostOf is the address part of a connection's end, "" where it has none.
func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil { // an IPv4 address that came over an IPv6 socket
		return ip.String()
	}
	return host
}

// Put keeps a file of the house and returns where people's clients find it. The oldest such files make room for it. It needs a
// server that runs, and waits for the disk.
func (s *Server) Put(ctx context.Context, name, mime string, data []byte) (string, error) {
	u := s.uploads
	switch {
	case u == nil:
		return "", ErrNoUpload
	case int64(len(data)) > u.MaxSize || len(data) == 0:
		return "", fmt.Errorf("upload %s: %d bytes: a file may have 1 to %d", name, len(data), u.MaxSize)
	}
	select {
	case <-s.ready:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	file := stored{ID: rand.Text(), Name: fileName(name), Type: fileType(mime, name), Size: int64(len(data)), At: time.Now()}
	if err := u.files.makeRoom(file, u.MaxSize); err != nil {
		return "", fmt.Errorf("upload %s: %w", name, err)
	}
	if err := u.files.keep(file, data); err != nil {
		return "", fmt.Errorf("upload %s: %w", name, err)
	}
	return u.houseBase(s) + uploadPath + file.ID + "/" + url.PathEscape(file.Name), nil
}
