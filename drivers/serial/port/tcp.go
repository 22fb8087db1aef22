package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The schemes of ports of a serial server.
const (
	tcpScheme     = "tcp://"     // the bytes as they are, or telnet where the server begins with that
	rfc2217Scheme = "rfc2217://" // telnet with RFC 2217, or not at all
)

const (
	// dialWithin is how long a server may take to answer.
	dialWithin = 10 * time.Second
	// helloWithin is how long a telnet server may take for its first word. It speaks as soon as it has a client.
	helloWithin = 500 * time.Millisecond
	// goneAfter is about how long a server that has vanished without a word is taken to be there.
	goneAfter = 30 * time.Second
)

// IsNetwork reports whether a name is that of a port of a serial server.
func IsNetwork(name string) bool { return strings.Contains(name, "://") }

// Check says what is wrong with the name of a port, as far as that can be seen from it; nil for nothing.
func Check(name string) error {
	if !IsNetwork(name) {
		if name == "" {
			return errors.New("it is empty: the device file belongs here, such as /dev/ttyUSB0, or tcp://host:port")
		}
		return nil
	}
	scheme, address, _ := strings.Cut(name, "://")
	if scheme+"://" != tcpScheme && scheme+"://" != rfc2217Scheme {
		return fmt.Errorf("%s:// is none of tcp:// and rfc2217://", scheme)
	}
	host, number, err := net.SplitHostPort(address)
	if n, numErr := strconv.ParseUint(number, 10, 16); err != nil || host == "" || numErr != nil || n == 0 {
		return fmt.Errorf("%q is no host and port, such as %s://192.168.1.20:4001", address, scheme)
	}
	return nil
}

// openTCP opens a port of a serial server.
func openTCP(ctx context.Context, name string, mode Mode) (Port, error) {
	_, address, _ := strings.Cut(name, "://")
	dialer := net.Dialer{
		Timeout:         dialWithin,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: goneAfter / 2, Interval: goneAfter / 6, Count: 3},
		Control:         giveUp,
	}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	port, err := greet(conn, strings.HasPrefix(name, rfc2217Scheme), mode)
	if err == nil {
		err = errors.Join(conn.SetDeadline(time.Time{}), ctx.Err())
	}
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return port, nil
}

// tcpUserTimeout is TCP_USER_TIMEOUT of Linux: package syscall does not name it on every architecture.
const tcpUserTimeout = 18

// giveUp has the kernel give a connection up when what was sent is not taken: keep-alive watches quiet ones only.
func giveUp(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) {
		// Where there is no such option, it takes longer.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(goneAfter/time.Millisecond))
	})
}

// greet finds out what a server speaks, and sets the line up where it can be told to. No telnet server keeps a client
// waiting for its first word, which begins with a byte that is in no text, and that a device says only by chance: that
// is how one is told from a server that hands through what it gets.
func greet(conn net.Conn, telnetOnly bool, mode Mode) (Port, error) {
	var heard []byte
	if !telnetOnly {
		_ = conn.SetReadDeadline(time.Now().Add(helloWithin))
		buf := make([]byte, 512)
		for {
			n, err := conn.Read(buf[len(heard):])
			heard = buf[:len(heard)+n]
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return nil, err
			}
			if err != nil || !mayGreet(heard) || len(heard) >= greeting {
				break
			}
		}
		if len(heard) < greeting || !mayGreet(heard) {
			return &heardConn{Conn: conn, heard: heard}, nil
		}
	}
	t := newTelnet(conn)
	offered, err := t.setUp(heard, mode)
	if err == nil && telnetOnly && !offered {
		err = errors.New("it does not offer RFC 2217: is that switched on there? Without, use tcp://")
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// heardConn is a connection of which something was read already.
type heardConn struct {
	net.Conn
	heard []byte // the reader's alone
}

func (c *heardConn) Read(b []byte) (int, error) {
	if len(c.heard) > 0 {
		n := copy(b, c.heard)
		c.heard = c.heard[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// explainNetwork says in words what is wrong with a port of a serial server.
func explainNetwork(name string, err error) error {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case isDNS && dns.IsNotFound:
		return fmt.Errorf("%s: there is no such host: is the name right?", name)
	case isOp && op.Op == "dial" && op.Timeout():
		return fmt.Errorf("%s: no answer: is the serial server on, and in this network?", name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: connection refused: does the serial server run, on this port?", name)
	case isOp:
		err = op.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}
