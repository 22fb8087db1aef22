package mqtt

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/gorilla/websocket"
)

const (
	dialTimeout  = 10 * time.Second // of connecting, TLS and MQTT's handshake together
	writeTimeout = 5 * time.Second  // of one packet
	byeTimeout   = 250 * time.Millisecond
	maxPacket    = 1 << 20 // of what a broker sends
	// maxPictures is that where cameras are: twice the largest picture there can be, so that one that is too large is a fault of
	// its point, and does not take the connection.
	maxPictures = 8 << 20
)

// dial opens the connection that MQTT is to be spoken on. raw is what it runs on: closing that ends it at once.
func (c *config) dial(ctx context.Context, o Options) (layered, raw net.Conn, err error) {
	if c.broker == nil {
		conn, err := o.Local(ctx)
		return conn, conn, err
	}
	var tlsConfig *tls.Config
	if c.broker.Scheme == "mqtts" || c.broker.Scheme == "wss" {
		if tlsConfig, err = c.tls(); err != nil {
			return nil, nil, err
		}
	}
	tcp, err := (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, "tcp", c.broker.Host)
	if err != nil {
		return nil, nil, err
	}
	release := context.AfterFunc(ctx, func() { _ = tcp.Close() }) // the WebSocket handshake heeds only ctx's deadline
	defer release()
	layered = tcp
	if tlsConfig != nil {
		over := tls.Client(tcp, tlsConfig)
		if err := over.HandshakeContext(ctx); err != nil {
			_ = tcp.Close()
			return nil, nil, err
		}
		layered = over
	}
	if c.broker.Scheme == "ws" || c.broker.Scheme == "wss" {
		over, err := overWebSocket(ctx, *c, layered)
		if err != nil {
			_ = tcp.Close()
			return nil, nil, err
		}
		layered = over
	}
	return layered, tcp, nil
}

// exposed: whoever listens on the network reads the password.
func (c *config) exposed() bool {
	if c.password == "" || c.broker == nil || c.broker.Scheme == "mqtts" || c.broker.Scheme == "wss" {
		return false
	}
	host := c.broker.Hostname()
	ip := net.ParseIP(host)
	return host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// tls reads the files anew for every connection: a renewed certificate counts from the next one on.
func (c *config) tls() (*tls.Config, error) {
	t := &tls.Config{ServerName: c.broker.Hostname(), MinVersion: tls.VersionTLS12}
	if c.caFile != "" {
		pem, err := os.ReadFile(c.caFile)
		if err != nil {
			return nil, fmt.Errorf("tls_ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls_ca_file: %s: there is no certificate in it, in PEM", c.caFile)
		}
	}
	if c.certFile != "" {
		pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
		if err != nil {
			return nil, fmt.Errorf("tls_cert_file: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// overWebSocket speaks MQTT in binary WebSocket messages: MQTT 3.1.1, section 6.
func overWebSocket(ctx context.Context, c config, over net.Conn) (net.Conn, error) {
	u := *c.broker
	u.Scheme = "ws" // TLS, if any, is already there
	given := func(context.Context, string, string) (net.Conn, error) { return over, nil }
	ws, answer, err := (&websocket.Dialer{NetDialContext: given, Subprotocols: []string{"mqtt"}}).DialContext(ctx, u.String(), nil)
	if err != nil {
		if answer != nil {
			return nil, fmt.Errorf("websocket: the server answers %s: is the path right? %w", answer.Status, err)
		}
		return nil, fmt.Errorf("websocket: %w", err)
	}
	ws.SetReadLimit(2 * int64(c.packet()))
	return &webSocketConn{Conn: ws}, nil
}

// A webSocketConn is a stream of the messages' contents. One goroutine reads; writes are serialised by conn.
type webSocketConn struct {
	*websocket.Conn
	rest io.Reader // of the message that is being read
}

func (w *webSocketConn) Read(p []byte) (int, error) {
	for {
		if w.rest == nil {
			_, r, err := w.NextReader()
			if err != nil {
				return 0, err
			}
			w.rest = r
		}
		n, err := w.rest.Read(p)
		if errors.Is(err, io.EOF) {
			w.rest, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (w *webSocketConn) Write(p []byte) (int, error) {
	if err := w.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *webSocketConn) SetDeadline(t time.Time) error {
	return errors.Join(w.SetReadDeadline(t), w.SetWriteDeadline(t))
}

// errClosed is what a conn says after Close. It is not net.ErrClosed, because paho takes that for its own doing and
// tells nobody.
var errClosed = errors.New("the connection was ended")

// A conn is a connection as paho needs it. It reads whole packets, and only such as paho bears: paho would allocate
// whatever length the other side names, and panics on a SUBACK with more codes than were asked for. Every packet written
// has a deadline, which paho sets for PUBLISH only. Close ends it at once, whatever is being read or written.
type conn struct {
	net.Conn
	raw    net.Conn
	ahead  *ahead
	in     *bufio.Reader // of ahead
	limit  int           // of a packet; bytes
	packet []byte        // what paho has not read yet of the last packet
	write  sync.Mutex    // pings are written beside other packets
	closed atomic.Bool

	mu    sync.Mutex
	asked map[uint16]int // by packet identifier: how many topics the SUBSCRIBE has that waits for its answer
}

func newConn(layered, raw net.Conn, limit int) *conn {
	a := readAhead(layered)
	return &conn{Conn: layered, raw: raw, limit: limit, ahead: a, in: bufio.NewReader(a), asked: map[uint16]int{}}
}

func (c *conn) Read(p []byte) (int, error) {
	if len(c.packet) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.packet)
	c.packet = c.packet[n:]
	return n, nil
}

// next reads a packet: MQTT 3.1.1, section 2.2.
func (c *conn) next() error {
	kind, err := c.in.ReadByte()
	if err != nil {
		return err
	}
	head := append(make([]byte, 0, 5), kind)
	length := 0
	for shift := 0; ; shift += 7 {
		b, err := c.in.ReadByte()
		if err != nil {
			return err
		}
		head = append(head, b)
		length |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
		if shift == 21 {
			return errors.New("the broker does not speak MQTT")
		}
	}
	if length > c.limit {
		return fmt.Errorf("a message of %d bytes: at most %d are taken", length, c.limit)
	}
	packet := make([]byte, len(head)+length)
	copy(packet, head)
	if _, err := io.ReadFull(c.in, packet[len(head):]); err != nil {
		return err
	}
	if kind>>4 == packets.Suback {
		if err := c.answered(packet[len(head):]); err != nil {
			return err
		}
	}
	c.packet = packet
	return nil
}

// answered checks a SUBACK, without its head, against the SUBSCRIBE it answers: MQTT 3.1.1, section 3.9.
func (c *conn) answered(ack []byte) error {
	if len(ack) < 2 {
		return errors.New("the broker does not speak MQTT")
	}
	id := binary.BigEndian.Uint16(ack)
	c.mu.Lock()
	defer c.mu.Unlock()
	asked, known := c.asked[id]
	delete(c.asked, id)
	if known && len(ack) != 2+asked {
		return fmt.Errorf("the broker answers a subscription to %d topics with %d bytes", asked, len(ack))
	}
	if !known && len(ack) > 2 {
		return errors.New("the broker answers a subscription that it was not asked for")
	}
	return nil
}

// Write writes one packet: paho hands each over in one piece.
func (c *conn) Write(p []byte) (int, error) {
	if p[0]>>4 == packets.Subscribe {
		if packet, err := packets.ReadPacket(bytes.NewReader(p)); err == nil {
			s := packet.(*packets.SubscribePacket)
			c.mu.Lock()
			c.asked[s.MessageID] = len(s.Topics)
			c.mu.Unlock()
		}
	}
	c.write.Lock()
	defer c.write.Unlock()
	return c.writeWithin(writeTimeout, p)
}

// writeWithin needs the lock.
func (c *conn) writeWithin(d time.Duration, p []byte) (int, error) {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(d))
	n, err := c.Conn.Write(p)
	if err != nil && c.closed.Load() {
		err = errClosed
	}
	return n, err
}

// ping asks the broker for a word, whatever paho does: its own pings wait for the answer to the last one, which may stand behind much
// that is still to be read.
func (c *conn) ping() {
	_ = packets.NewControlPacket(packets.Pingreq).Write(c) // whoever reads sees whether the connection is gone
}

// SetWriteDeadline does nothing: every write has its own.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline does nothing: what is read has a deadline of its own, and connecting is given up with its context.
func (c *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing, as SetDeadline.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// Close ends the connection at once, also under TLS, whose own Close may wait for its last words to be taken.
func (c *conn) Close() error {
	c.closed.Store(true)
	c.ahead.stop(errClosed)
	return c.raw.Close()
}

// end closes the connection and returns when nothing is read from it any more.
func (c *conn) end() {
	_ = c.Close()
	<-c.ahead.ended
}

// bye says that this is no loss, so that the broker publishes no last will. It gives up where it would have to wait.
func (c *conn) bye() {
	if !c.write.TryLock() {
		return
	}
	defer c.write.Unlock()
	_ = packets.NewControlPacket(packets.Disconnect).Write(writerFunc(func(p []byte) (int, error) {
		return c.writeWithin(byeTimeout, p)
	}))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
