package mqtt

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	maxAhead  = 16 << 20 // bytes that are read before they are wanted
	aheadRead = 32 << 10 // bytes of one read at most,
	aheadLeft = 1 << 10  // and at least

	// maxSilence ends a connection on which nothing comes, not even the answer to a ping.
	maxSilence = keepAlive + pingTimeout
)

// An ahead reads from a connection as fast as it can, before what came is wanted, so that a broker which sends all it retained need
// not wait for what is made of it. mosquitto does not wait: of quality of service 0 it drops what a slow reader has not taken, and
// its answers to SUBSCRIBE and PINGREQ with them. Here, too, it is seen that the broker is alive: the answer to a ping may stand behind
// much that is still to be read. One goroutine reads.
type ahead struct {
	ended chan struct{} // closed when nothing more is read from the connection

	mu   sync.Mutex
	some sync.Cond // something came, or nothing more will
	room sync.Cond // it may read on
	came [][]byte  // what was not read yet, in order
	size int       // bytes of it
	err  error     // why nothing more comes
}

// errSilent is why a connection ends on which nothing comes any more.
var errSilent = errors.New("nothing comes from the broker")

func readAhead(from net.Conn) *ahead {
	a := &ahead{ended: make(chan struct{})}
	a.some.L, a.room.L = &a.mu, &a.mu
	go a.run(from)
	return a
}

func (a *ahead) run(from net.Conn) {
	defer close(a.ended)
	room := make([]byte, aheadRead)
	for {
		_ = from.SetReadDeadline(time.Now().Add(maxSilence))
		n, err := from.Read(room)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = errSilent
		}
		a.mu.Lock()
		for a.size > 0 && a.size+n > maxAhead && a.err == nil {
			a.room.Wait()
		}
		if a.err == nil {
			if n > 0 {
				a.came = append(a.came, room[:n:n])
				a.size += n
			}
			a.err = err
		}
		over := a.err != nil
		a.some.Signal()
		a.mu.Unlock()
		if over {
			return
		}
		if room = room[n:]; len(room) < aheadLeft {
			room = make([]byte, aheadRead)
		}
	}
}

// Read gives what came; at its end, why nothing more does.
func (a *ahead) Read(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.size == 0 {
		if a.err != nil {
			return 0, a.err
		}
		a.some.Wait()
	}
	n := copy(p, a.came[0])
	a.size -= n
	if a.came[0] = a.came[0][n:]; len(a.came[0]) == 0 {
		a.came[0] = nil
		if a.came = a.came[1:]; len(a.came) == 0 {
			a.came = nil
		}
	}
	a.room.Signal()
	return n, nil
}

// empty reports whether all that came was read.
func (a *ahead) empty() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.size == 0
}

// stop drops what came and was not read: err is what reading gives from here on. The goroutine ends with the connection.
func (a *ahead) stop(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.came, a.size, a.err = nil, 0, err
	a.some.Broadcast()
	a.room.Broadcast()
}
