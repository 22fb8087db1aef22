package link

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"mellium.im/xmpp"

	"tidings/xmppbridge/stream"
)

const (
	// acksBytes bounds what waits for the server's acknowledgement, or for a cut session to go on; a full one answers stream.ErrFull.
	// It leaves the stream's own queue room for what is new.
	acksBytes = 512 << 10
	// keepsUsual is how long a cut session is taken to be kept by a server that does not say; keepsMost, how long one is waited
	// for whatever the server says: ten minutes see a router restart.
	keepsUsual = 5 * time.Minute
	keepsMost  = 10 * time.Minute
)

// resumption is what a server is asked to go on with.
type resumption struct {
	jid     string
	id      string
	handled uint32
}

// resumption returns the session that was cut, or nil when there is none to go on with.
func (k *keeper) resumption() *resumption {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.session
	if s == nil || s.stream != nil {
		return nil
	}
	return &resumption{jid: s.jid, id: s.resume, handled: s.acks.Handled()}
}

// cut keeps a session whose connection is gone, and reports whether another may go on with it: not when either side ended
// the stream in words.
func (k *keeper) cut(s *session, end error) bool {
	_, said := errors.AsType[*stream.Error](end)
	k.mu.Lock()
	defer k.mu.Unlock()
	s.stream = nil
	s.mu.Lock()
	clear(s.beacons) // their answers would come to another connection
	s.mu.Unlock()
	if said || end == nil || errors.Is(end, stream.ErrPeerClosed) || s.resume == "" {
		return false
	}
	s.until = time.Now().Add(s.keeps)
	return true
}

// manage takes the server's answer to <enable/>.
func (k *keeper) manage(s *session, e *stream.Element) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case s.acks == nil || s.managed || s.stream == nil:
	case e.Name == "enabled":
		s.acks.Begin()
		s.managed = true
		if r := e.Attr("resume"); r == "true" || r == "1" {
			s.resume = strings.Clone(e.Attr("id"))
		}
		s.keeps = keepsUsual
		if n, err := strconv.ParseUint(e.Attr("max"), 10, 31); err == nil {
			s.keeps = min(time.Duration(n)*time.Second, keepsMost)
		}
	case e.Name == "failed":
		s.stream.Unmanage()
		s.acks = nil
	}
}

// management notes that the server manages streams (XEP-0198 §3). It is negotiated by bind, and enabled as the first thing on the
// stream.
func management(result *Conn) xmpp.StreamFeature {
	return xmpp.StreamFeature{
		Name: xml.Name{Space: stream.NSManagement, Local: "sm"},
		Parse: func(_ context.Context, d *xml.Decoder, start *xml.StartElement) (bool, any, error) {
			result.manages = true
			return false, nil, d.DecodeElement(&struct{}{}, start)
		},
	}
}

// tryResume asks the server to go on with a session (XEP-0198 §5), and reports whether it does. A refusal leaves the stream as it
// was: it can be bound.
func (r *resumption) tryResume(w io.Writer, reader xml.TokenReader, result *Conn) (bool, error) {
	ask := stream.New(stream.NSManagement, "resume", "previd", r.id, "h", strconv.FormatUint(uint64(r.handled), 10))
	if _, err := w.Write(ask.AppendXML(nil)); err != nil {
		return false, err
	}
	var answer struct {
		XMLName xml.Name
		ID      string `xml:"previd,attr"`
		Handled string `xml:"h,attr"`
	}
	if err := xml.NewTokenDecoder(reader).Decode(&answer); err != nil {
		return false, err
	}
	h, err := strconv.ParseUint(answer.Handled, 10, 32)
	result.handled, result.counted = uint32(h), err == nil
	switch {
	case answer.XMLName.Space != stream.NSManagement:
	case answer.XMLName.Local == "failed":
		return false, nil
	case answer.XMLName.Local == "resumed" && answer.ID == r.id && err == nil:
		result.JID, result.resumed = r.jid, true
		return true, nil
	}
	return false, failf(ErrProtocol, nil, "the server answered the request to resume a stream with something else (%s)", clip(answer.XMLName.Local))
}
