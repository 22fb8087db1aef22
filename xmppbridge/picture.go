package xmppbridge

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

const (
	nsOOB   = "jabber:x:oob"
	nsMedia = "urn:xmpp:media-element"

	// maxPicturesWaiting is how many people wait for a picture while one is made. A chart takes a few megabytes and a core:
	// on a small machine one at a time is quicker for everyone.
	maxPicturesWaiting = 8
)

// pictures makes those who want one wait for each other.
type pictures struct {
	turn chan struct{} // one token

	mu      sync.Mutex
	waiting int
}

func newPictures() *pictures {
	p := &pictures{turn: make(chan struct{}, 1)}
	p.turn <- struct{}{}
	return p
}

// take waits for the turn, which done gives back. Where many wait it fails with devices.ErrBusy.
func (p *pictures) take(ctx context.Context) (done func(), err error) {
	p.mu.Lock()
	if p.waiting >= maxPicturesWaiting {
		p.mu.Unlock()
		return nil, fmt.Errorf("other pictures are being made: %w", devices.ErrBusy)
	}
	p.waiting++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.waiting--
		p.mu.Unlock()
	}()
	return p.wait(ctx)
}

// wait is take for what has a bound of its own.
func (p *pictures) wait(ctx context.Context) (done func(), err error) {
	select {
	case <-p.turn:
		return func() { p.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// isBusy reports whether others are before one.
func isBusy(err error) bool {
	return errors.Is(err, devices.ErrBusy) || errors.Is(err, context.DeadlineExceeded)
}

// share uploads a picture and says where it is.
func (b *Bridge) share(ctx context.Context, name, mime string, data []byte) (string, error) {
	if b.o.Uploader == nil {
		return "", ErrNoUpload
	}
	address, err := b.o.Uploader.Upload(ctx, name, mime, data)
	if err != nil && !errors.Is(err, ErrNoUpload) {
		b.log.Warn("picture not uploaded", "err", err)
	}
	return address, err
}

// withPicture makes a message one that bears a picture: clients show it where body and address are the same (XEP-0066, as
// they read it). It returns st.
func withPicture(st *stream.Element, address string) *stream.Element {
	return st.Add(
		stream.New(stream.NS, "body").AddText(address),
		stream.New(nsOOB, "x").Add(stream.New(nsOOB, "url").AddText(address)))
}

// pictureMessage is a message of type chat or groupchat that bears a picture.
func pictureMessage(from, to, typ, id, address string) *stream.Element {
	return withPicture(stream.New(stream.NS, "message", "type", typ, "id", id, "from", from, "to", to), address).
		Add(stream.New(nsStanzaID, "origin-id", "id", id), stream.New(nsHints, "store"))
}

// pictureForm shows a picture within a command's outcome, to clients that know of media there (XEP-0221).
func pictureForm(title, mime, address string, width, height string) *stream.Element {
	media := stream.New(nsMedia, "media").Add(stream.New(nsMedia, "uri", "type", mime).AddText(address))
	if width != "" {
		media.SetAttr("width", width).SetAttr("height", height)
	}
	return newForm("result", title, "").Add(newField("picture", "text-single", "Picture", address).Add(media))
}
