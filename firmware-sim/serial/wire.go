package serial

import (
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// A wire is what a board is connected by: a pseudo-terminal, or a port of a serial server.
type wire interface {
	name() string            // how to open it
	print(text string)       // sends; what nobody takes is lost
	lines(take func(string)) // hands over each line that comes in, until the wire is gone
	drain()                  // waits until what has come in is read
	close()
}

// readLines hands over each line, until reading fails. A line is cut at 1 KiB.
func readLines(r io.Reader, take func(string)) {
	var part []byte
	buf := make([]byte, 1024)
	for {
		n, err := r.Read(buf)
		for _, c := range buf[:n] {
			switch {
			case c == '\n' || c == '\r':
				if line := strings.TrimSpace(string(part)); line != "" {
					take(line)
				}
				part = part[:0]
			case len(part) < 1024:
				part = append(part, c)
			}
		}
		if err != nil {
			return
		}
	}
}

// tcp is a port of a serial server that hands bytes through. All its clients hear the board, and it hears them all.
type tcp struct {
	listener net.Listener
	mu       sync.Mutex
	clients  map[net.Conn]bool
	closed   bool
}

func listen(addr string) (*tcp, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &tcp{listener: l, clients: map[net.Conn]bool{}}, nil
}

func (t *tcp) addr() string { return t.listener.Addr().String() }

func (t *tcp) name() string { return "tcp://" + t.addr() }

func (t *tcp) print(text string) {
	if text == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.clients {
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, text); err != nil {
			_ = c.Close() // its reader lets it go
		}
	}
}

func (t *tcp) lines(take func(string)) {
	var readers sync.WaitGroup
	defer readers.Wait()
	for {
		c, err := t.listener.Accept()
		if err != nil {
			return
		}
		if !t.add(c) {
			_ = c.Close()
			return
		}
		readers.Go(func() {
			readLines(c, take)
			t.mu.Lock()
			defer t.mu.Unlock()
			delete(t.clients, c)
			_ = c.Close()
		})
	}
}

func (t *tcp) add(c net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.clients[c] = true
	}
	return !t.closed
}

// drain gives what is on its way the time to come in.
func (t *tcp) drain() { time.Sleep(patience / 10) }

func (t *tcp) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	_ = t.listener.Close()
	for c := range t.clients {
		_ = c.Close()
	}
}
