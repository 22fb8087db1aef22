package mqtt

import (
	"bytes"
	"io"
	"sync"
)

const (
	maxAhead  = 16 << 20 // bytes that are read before they are wanted
	aheadRead = 32 << 10 // bytes of one read
)

// An ahead reads from a connection as fast as it can, before what came is wanted, so that a broker which sends all it retained need
// not wait for what is made of it. mosquitto does not wait: of quality of service 0 it drops what a slow reader has not taken, and
// its answers to SUBSCRIBE and PINGREQ with them. One goroutine reads.
type ahead struct {
	ended chan struct{} // closed when nothing more is read from the connection

	mu   sync.Mutex
	some sync.Cond // something came, or nothing more will
	room sync.Cond // it may read on
	came bytes.Buffer
	err  error // why nothing more comes
}

func readAhead(from io.Reader) *ahead {
	a := &ahead{ended: make(chan struct{})}
	a.some.L, a.room.L = &a.mu, &a.mu
	go a.run(from)
	return a
}

func (a *ahead) run(from io.Reader) {
	defer close(a.ended)
	part := make([]byte, aheadRead)
	for {
		n, err := from.Read(part)
		a.mu.Lock()
		for a.came.Len() > 0 && a.came.Len()+n > maxAhead && a.err == nil {
			a.room.Wait()
		}
		a.came.Write(part[:n])
		if a.err == nil {
			a.err = err
		}
		over := a.err != nil
		a.some.Signal()
		a.mu.Unlock()
		if over {
			return
		}
	}
}

// Read gives what came; at its end, why nothing more does.
func (a *ahead) Read(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.came.Len() == 0 {
		if a.err != nil {
			return 0, a.err
		}
		a.some.Wait()
	}
	n, _ := a.came.Read(p)
	if a.came.Len() == 0 && a.came.Cap() > 2*aheadRead {
		a.came = bytes.Buffer{} // a storm's
	}
	a.room.Signal()
	return n, nil
}

// empty reports whether all that came was read.
func (a *ahead) empty() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.came.Len() == 0
}

// stop drops what came and was not read: err is what reading gives from here on. The goroutine ends with the connection.
func (a *ahead) stop(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.came, a.err = bytes.Buffer{}, err
	a.some.Broadcast()
	a.room.Broadcast()
}
