package local

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"tidings/xmppbridge/stream"
)

const (
	nsFraming = "urn:ietf:params:xml:ns:xmpp-framing"
	// maxFraming bounds an <open/> or <close/>.
	maxFraming = 4 << 10
	// maxControl bounds what may come between two pieces of messages: pings, and frames that hold nothing.
	maxControl = 64 << 10
	closeTag   = "</stream:stream>"
)

// framed is a WebSocket as a connection that carries a stream: what RFC 7395 says in messages, <open/>, <close/> and a message an
// element, reads and is written as the stream header, its end and the elements of RFC 6120. So everything above it is the same
// for all clients. It is read by one goroutine and written by one; deadlines and Close are anybody's.
type framed struct {
	net.Conn // beneath the WebSocket: deadlines, and the end
	ws       *websocket.Conn
	address  net.Addr

	carrier *timeless
	message io.Reader // the rest of the message being read, nil between two
	pending []byte    // what stands for a message that was framing, or its first bytes
	broken  bool      // no more messages come

	out splitter

	mu       sync.Mutex
	deadline time.Time // for writing
}

func newFramed(ws *websocket.Conn, carrier *timeless, address net.Addr) *framed {
	f := &framed{Conn: carrier.Conn, ws: ws, carrier: carrier, address: address}
	ws.SetPingHandler(f.pong)
	return f
}

// RemoteAddr is the client's address, also behind a proxy.
func (f *framed) RemoteAddr() net.Addr { return f.address }

func (f *framed) Read(p []byte) (int, error) {
	if f.broken { // whoever reads on wants the connection empty, so that the client still learns why
		return f.Conn.Read(p)
	}
	f.carrier.read = 0
	for {
		if len(f.pending) > 0 {
			n := copy(p, f.pending)
			f.pending = f.pending[n:]
			return n, nil
		}
		if f.message != nil {
			n, err := f.message.Read(p)
			if errors.Is(err, io.EOF) {
				f.message, err = nil, nil
			}
			if n > 0 || err != nil {
				return n, f.ended(err)
			}
			continue
		}
		if err := f.next(); err != nil {
			return 0, f.ended(err)
		}
	}
}

// ended makes the client's end of the WebSocket the end of a connection.
func (f *framed) ended(err error) error {
	f.broken = f.broken || err != nil
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return io.EOF
	}
	return err
}

// next begins a message. One that is framing is read whole.
func (f *framed) next() error {
	kind, message, err := f.ws.NextReader()
	if err != nil {
		return err
	}
	if kind != websocket.TextMessage {
		return &stream.Error{Condition: stream.BadFormat, Text: "a message of XMPP is text (RFC 7395 §3.2)"}
	}
	begin := make([]byte, len("<close "))
	n, err := io.ReadFull(message, begin)
	begin = begin[:n]
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		message = bytes.NewReader(nil)
	case err != nil:
		return err
	}
	if n == 0 || begin[0] != '<' {
		return &stream.Error{Condition: stream.BadFormat, Text: "a message holds one element (RFC 7395 §3.3.3)"}
	}
	f.pending, f.message = begin, message
	if !bytes.HasPrefix(begin, []byte("<open")) && !bytes.HasPrefix(begin, []byte("<close")) {
		return nil
	}
	whole, err := io.ReadAll(io.LimitReader(message, maxFraming))
	if err != nil {
		return err
	}
	if len(whole) == maxFraming {
		return &stream.Error{Condition: stream.PolicyViolation, Text: "too long for the beginning of a stream"}
	}
	f.pending, f.message = append(begin, whole...), nil
	e, err := stream.Parse(f.pending)
	if err != nil {
		var fault *stream.Error
		if errors.As(err, &fault) {
			return fault
		}
		return err
	}
	switch {
	case e.Is(nsFraming, "open"):
		f.pending = stream.Header{To: e.Attr("to"), From: e.Attr("from"), ID: e.Attr("id"), Version: e.Attr("version"),
			Lang: e.Attr("xml:lang")}.AppendXML(nil)
	case e.Is(nsFraming, "close"):
		f.pending = []byte(closeTag)
	}
	return nil
}

// Write sends what the bytes complete, a message an element.
func (f *framed) Write(p []byte) (int, error) {
	if err := f.out.write(p, f.send); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *framed) send(message []byte) error { return f.ws.WriteMessage(websocket.TextMessage, message) }

// pong answers a ping. The deadline that the last write left may be over; one that is running is left alone.
func (f *framed) pong(data string) error {
	f.mu.Lock()
	if !f.deadline.IsZero() && time.Now().After(f.deadline) {
		f.deadline = time.Now().Add(wsTime)
		_ = f.Conn.SetWriteDeadline(f.deadline)
	}
	f.mu.Unlock()
	err := f.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
	if n := net.Error(nil); errors.As(err, &n) && n.Timeout() || errors.Is(err, websocket.ErrCloseSent) {
		return nil // the writer is at it: that will do for a sign of life
	}
	return err
}

func (f *framed) SetDeadline(t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deadline = t
	return f.Conn.SetDeadline(t)
}

func (f *framed) SetWriteDeadline(t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deadline = t
	return f.Conn.SetWriteDeadline(t)
}

// CloseWrite says goodbye; the client's own comes before the end of what is read.
func (f *framed) CloseWrite() error {
	return f.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""),
		time.Now().Add(time.Second))
}

// Close says goodbye where that can be done at once, and ends the connection.
func (f *framed) Close() error {
	// A write under way must not last.
	_ = f.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	_ = f.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""),
		time.Now().Add(100*time.Millisecond))
	return f.Conn.Close()
}

// timeless is the connection as the library sees it. Deadlines are not the library's to set: it would do so without a lock, at every
// frame, and undo ours. And what it reads without anything to show for it is bounded.
type timeless struct {
	net.Conn
	read int // since the last piece of a message
}

func (t *timeless) Read(p []byte) (int, error) {
	if t.read > maxControl {
		return 0, &stream.Error{Condition: stream.PolicyViolation, Text: "too many frames without content"}
	}
	n, err := t.Conn.Read(p)
	t.read += n
	return n, err
}

func (*timeless) SetDeadline(time.Time) error      { return nil }
func (*timeless) SetReadDeadline(time.Time) error  { return nil }
func (*timeless) SetWriteDeadline(time.Time) error { return nil }

// A splitter takes what we write apart again, into the elements at the top of the stream. It reads our own writing only: values in
// single quotes, no comments, every < and > of a text escaped.
type splitter struct {
	buf    []byte // what is not whole yet, from start on
	start  int
	seen   int // looked at up to here
	tag    int // where the tag being read begins
	depth  int // elements open
	inTag  bool
	quoted bool
}

// write takes bytes and emits the messages that are whole with them. A message is emit's to keep.
func (s *splitter) write(p []byte, emit func([]byte) error) error {
	s.buf = append(s.buf, p...)
	defer s.compact()
	for s.seen < len(s.buf) {
		if !s.inTag {
			s.between()
			continue
		}
		end := byte('>')
		n := -1
		for i, c := range s.buf[s.seen:] {
			if c == '\'' || c == '>' && !s.quoted {
				n, end = i, c
				break
			}
		}
		if n < 0 {
			s.seen = len(s.buf)
			break
		}
		s.seen += n + 1
		if end == '\'' {
			s.quoted = !s.quoted
			continue
		}
		s.inTag = false
		if message := s.tagged(); message != nil {
			if err := emit(message); err != nil {
				return err
			}
		}
	}
	return nil
}

// between looks for the next tag.
func (s *splitter) between() {
	n := bytes.IndexByte(s.buf[s.seen:], '<')
	if n < 0 {
		s.seen = len(s.buf)
	} else {
		s.seen += n
	}
	if s.depth == 0 { // a space that keeps the connection alive means nothing here
		s.start = s.seen
	}
	if n >= 0 {
		s.inTag, s.tag = true, s.seen
		s.seen++
	}
}

// compact forgets what was emitted.
func (s *splitter) compact() {
	s.buf = s.buf[:copy(s.buf, s.buf[s.start:])]
	s.seen -= s.start
	s.tag -= s.start
	s.start = 0
	if len(s.buf) == 0 && cap(s.buf) > 64<<10 {
		s.buf = nil
	}
}

// tagged takes the tag that ends at seen, and returns the message that is whole with it, if one is.
func (s *splitter) tagged() (message []byte) {
	tag := s.buf[s.tag:s.seen]
	switch {
	case tag[1] == '?': // the XML declaration
	case s.depth == 0 && string(tag) == closeTag:
		message = stream.New(nsFraming, "close").AppendXML(nil)
	case s.depth == 0 && bytes.HasPrefix(tag, []byte("<stream:stream ")):
		message = opening(tag)
	default:
		if tag[1] == '/' {
			s.depth--
		} else if tag[len(tag)-2] != '/' {
			s.depth++
		}
		if s.depth > 0 {
			return nil
		}
		message = standing(s.buf[s.start:s.seen])
	}
	s.start = s.seen
	return message
}

// opening is the <open/> of a stream header.
func opening(tag []byte) []byte {
	// We wrote it: there is no error.
	h, _ := stream.NewDecoder(bytes.NewReader(tag), stream.Limits{}).Open()
	return stream.New(nsFraming, "open", "to", h.To, "from", h.From, "id", h.ID, "version", h.Version, "xml:lang", h.Lang).AppendXML(nil)
}

// standing declares in an element what the stream header declares for those in a stream.
func standing(element []byte) []byte {
	name := bytes.IndexAny(element, " />")
	b := append([]byte(nil), element[:name]...)
	if !bytes.HasPrefix(element[name:], []byte(" xmlns='")) {
		b = append(b, " xmlns='"+stream.NS+"'"...)
	}
	if bytes.Contains(element, []byte("<stream:")) {
		b = append(b, " xmlns:stream='"+stream.NSStream+"'"...)
	}
	return append(b, element[name:]...)
}
