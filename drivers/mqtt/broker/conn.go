package broker

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

const (
	writeChunk   = 16 << 10         // bytes written in one go, each with its own time
	writeTimeout = 10 * time.Second // of one chunk to a client that does not read
	flushTimeout = 2 * time.Second  // of what is left when a connection is closed: the reason, mostly
	maxConnect   = 32_000           // bytes of a CONNECT packet, last will and all: strangers send it

	paceBurst  = 20_000 // packets, or KiB, that a client may send at once,
	paceSecond = 5_000  // and each second; it is read from no faster
)

var errStalled = errors.New("does not read what it is sent")

// A conn is a connection that a goroutine of its own writes to, so that nobody waits for a client that does not read:
// mochi holds a lock while it writes, and has no bound in bytes on what waits.
type conn struct {
	net.Conn
	waiting *budget // of all clients
	max     int     // bytes waiting from which on messages are left out

	// Of the goroutine that reads.
	first  []byte // the CONNECT packet, already read
	tokens float64
	paced  time.Time

	willRetain bool // of the CONNECT packet

	session atomic.Pointer[session] // set once it is logged in
	gate    func()                  // leaves the gate; once

	mu      sync.Mutex
	queue   []byte
	writing int // bytes taken from the queue and not yet written
	closing bool
	reason  error // why it was closed by us

	wake    chan struct{} // there is something to write, or it is closing
	room    chan struct{} // something was written
	gone    chan struct{} // closed by Close
	flushed chan struct{} // closed when nothing is written any more
	ended   chan struct{} // closed when mochi is done with it
}

// budget counts the bytes that wait for all clients together.
type budget struct {
	max  int64
	used atomic.Int64
}

// fairShare is what a client may have waiting whatever the others have.
const fairShare = 64 << 10

func newConn(nc net.Conn, max int, all *budget) *conn {
	return &conn{
		Conn: nc, waiting: all, max: max, tokens: paceBurst, gate: func() {},
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1),
		gone: make(chan struct{}), flushed: make(chan struct{}), ended: make(chan struct{}),
	}
}

// Write queues. It fails once the connection is closed, and when so much waits that messages left out cannot be the
// cause: the client sends without reading the answers.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	if len(c.queue)+c.writing > 2*c.max+2*len(p) {
		c.mu.Unlock()
		c.end(errStalled)
		return 0, errStalled
	}
	c.queue = append(c.queue, p...)
	c.mu.Unlock()
	c.waiting.used.Add(int64(len(p)))
	signal(c.wake)
	return len(p), nil
}

// full reports whether so much waits that messages for the client are left out.
func (c *conn) full() bool {
	n := c.pending()
	return n >= c.max || n >= fairShare && c.waiting.used.Load() >= c.waiting.max
}

func (c *conn) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) + c.writing
}

// drain writes what is queued until the connection is closed. The listener runs it in a goroutine.
func (c *conn) drain() {
	defer close(c.flushed)
	var err error
	for chunk := []byte(nil); ; {
		chunk = c.take(chunk[:0])
		if chunk == nil {
			break
		}
		for rest := chunk; len(rest) > 0; {
			n := min(len(rest), writeChunk)
			if err == nil {
				err = c.writeChunk(rest[:n])
			}
			c.waiting.used.Add(-int64(n))
			c.mu.Lock()
			c.writing -= n
			c.mu.Unlock()
			signal(c.room)
			rest = rest[n:]
		}
		if err != nil {
			c.end(err)
		}
		if cap(chunk) > 4*writeChunk {
			chunk = nil
		}
	}
	_ = c.Conn.Close()
}

// take waits for something to write and swaps the queue for an empty one; nil is the end.
func (c *conn) take(empty []byte) []byte {
	for {
		c.mu.Lock()
		if len(c.queue) > 0 {
			chunk := c.queue
			c.queue, c.writing = empty, len(chunk)
			c.mu.Unlock()
			return chunk
		}
		closing := c.closing
		c.mu.Unlock()
		if closing {
			return nil
		}
		<-c.wake
	}
}

func (c *conn) writeChunk(p []byte) error {
	limit := writeTimeout
	select {
	case <-c.gone:
		limit = flushTimeout
	default:
	}
	// One that fails has nobody left to tell: the write fails, too.
	_ = c.Conn.SetWriteDeadline(time.Now().Add(limit))
	_, err := c.Conn.Write(p)
	return err
}

// Close ends reading at once, and writing when what is queued has been written, or the client does not take it.
func (c *conn) Close() error {
	c.end(nil)
	return nil
}

// end is Close with the reason, for the log.
func (c *conn) end(why error) {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return
	}
	c.closing, c.reason = true, why
	c.mu.Unlock()
	close(c.gone)
	signal(c.wake)
	now := time.Now()
	_ = c.Conn.SetReadDeadline(now)
	_ = c.Conn.SetWriteDeadline(now.Add(flushTimeout))
}

// why says why it was closed here; nil when the client went.
func (c *conn) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// SetDeadline is for reading alone: mochi sets it by the client's keepalive. After the end there is nothing to read.
func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return net.ErrClosed
	}
	return c.Conn.SetReadDeadline(t)
}

// Read gives what readConnect has read first.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// readConnect reads the first packet, which has to be a CONNECT of a size that is bounded: mochi makes room for whatever
// a stranger announces.
func (c *conn) readConnect() error {
	head := make([]byte, 0, 5)
	length, shift := 0, 0
	for {
		var b [1]byte
		if _, err := io.ReadFull(c.Conn, b[:]); err != nil {
			return err
		}
		head = append(head, b[0])
		switch {
		case len(head) == 1 && b[0] != packets.Connect<<4:
			return errors.New("does not speak MQTT")
		case len(head) == 1:
			continue
		}
		length |= int(b[0]&0x7f) << shift
		shift += 7
		if length > maxConnect || len(head) == cap(head) {
			return packets.ErrPacketTooLarge
		}
		if b[0]&0x80 == 0 {
			break
		}
	}
	c.first = make([]byte, len(head)+length)
	_, err := io.ReadFull(c.Conn, c.first[copy(c.first, head):])
	return err
}

// pace waits as long as it takes for a client not to send more than it may.
func (c *conn) pace(size int) {
	now := time.Now()
	c.tokens = min(paceBurst, c.tokens+now.Sub(c.paced).Seconds()*paceSecond) - 1 - float64(size)/1024
	c.paced = now
	if c.tokens >= 0 {
		return
	}
	select {
	case <-time.After(time.Duration(-c.tokens / paceSecond * float64(time.Second))):
	case <-c.gone:
	}
}

// origin is what counts as one address: an IPv4 address, or a /64, which is what one IPv6 customer has.
func (c *conn) origin() netip.Addr { return origin(c.RemoteAddr()) }

// RemoteAddr is never nil, which it is at the end of a socket pair.
func (c *conn) RemoteAddr() net.Addr {
	if a := c.Conn.RemoteAddr(); a != nil && a.String() != "" {
		return a
	}
	return localAddr{}
}

// localAddr is the address of the gateway itself.
type localAddr struct{}

func (localAddr) Network() string { return "unix" }
func (localAddr) String() string  { return "local" }

// signal wakes whoever waits, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
