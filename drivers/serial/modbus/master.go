package modbus

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// A Port carries the bytes: a serial port, or a connection to one.
type Port interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// A Line says how a port is used.
type Line struct {
	Baud    int           // bits a second; 0 where there is no serial line
	Timeout time.Duration // from the end of a request to the beginning of the answer
	Pause   time.Duration // the least silence before a request; never less than 3.5 characters
	TCP     bool          // frames of Modbus TCP
}

// character is how long one takes: eleven bits, which is what the specification counts with.
func (l Line) character() time.Duration {
	if l.Baud <= 0 {
		return 0
	}
	return 11 * time.Second / time.Duration(l.Baud)
}

// silence is what has to lie between two frames: 3.5 characters, and above 19,200 bits a second the fixed 1.75 ms of MODBUS
// over Serial Line V1.02, 2.5.1.1.
func (l Line) silence() time.Duration {
	s := 7 * l.character() / 2
	if l.Baud > 19200 {
		s = 1750 * time.Microsecond
	}
	return max(s, l.Pause)
}

const (
	// writeWithin is how long the port may take for a request.
	writeWithin = 5 * time.Second
	// babble is how long the line may be without silence, beyond what is waited for anyway.
	babble = time.Second
	// peek is how long is waited for what has come already: a deadline that has passed reads nothing.
	peek = time.Millisecond
	// leastOwed is how long an answer that did not come may at least come yet.
	leastOwed = time.Second
	// maxOwed bounds what is remembered of such answers; it takes as many slaves that are slow.
	maxOwed = 64
)

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// A Master asks slaves, one question at a time. All methods but Wake are for one goroutine.
type Master struct {
	port   Port
	line   Line
	frames framing

	number uint16
	last   time.Time // when the last byte came or left
	got    []byte    // what has come and is not understood yet
	buf    [maxFrame]byte
	owed   []debt

	mu    sync.Mutex // over the port's deadlines and the following
	cut   bool       // the exchange has to end
	idle  bool       // Idle is waiting
	woken bool       // and is not to
}

// A debt is a request that was not answered, and could be yet.
type debt struct {
	request Request
	sent    time.Time
	until   time.Time
}

// NewMaster makes one. What has come in before is no answer and is skipped.
func NewMaster(port Port, line Line) *Master {
	m := &Master{port: port, line: line, frames: rtu{}, last: time.Now()}
	if line.TCP {
		m.frames = mbap{}
	}
	return m
}

// An Answer is what a slave said.
type Answer struct {
	// Data is what was read: registers with the high byte first, bits eight a byte with the first one lowest. It is valid until
	// the next call. Empty after a write.
	Data []byte
	// Sent is when the question began to leave; of one that was asked again, when it first did, for the answer may be to
	// that. It is zero when nothing left.
	Sent time.Time
}

// Exchange asks once and waits for the answer. The error is an Exception, ErrNoAnswer, ErrDamaged, ErrBusyLine, ctx's when that
// was done first, or the port's. Answer.Sent tells, with an error too, whether anything left.
func (m *Master) Exchange(ctx context.Context, r Request) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.cut = true
		_ = m.port.SetReadDeadline(past)
		_ = m.port.SetWriteDeadline(past)
	})
	answer, err := m.exchange(r)
	if !stop() {
		<-done
		m.mu.Lock()
		m.cut = false
		m.mu.Unlock()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = ctx.Err()
		}
	}
	return answer, err
}

func (m *Master) exchange(r Request) (Answer, error) {
	if err := m.quiet(r); err != nil {
		return Answer{}, err
	}
	m.number++
	m.got = m.got[:0]
	request := m.frames.append(m.buf[:0], r, m.number)
	sent := time.Now() // before the write: the answer may be here before Write returns
	if err := m.writeDeadline(sent.Add(writeWithin)); err != nil {
		return Answer{}, err
	}
	n, err := m.port.Write(request)
	if n == 0 && err != nil {
		return Answer{}, err
	}
	answer := Answer{Sent: sent}
	m.last = time.Now().Add(time.Duration(n) * m.line.character())
	if err != nil {
		return answer, err
	}
	deadline := m.last.Add(m.line.Timeout + time.Duration(m.frames.length(r))*m.line.character())
	heard := 0
	for {
		n, err := m.read(deadline)
		if heard += n; n > 0 {
			pdu, used := m.frames.find(m.got, r, m.number)
			if pdu != nil {
				answer.Sent = m.paid(r, sent)
				if pdu[0]&failed != 0 {
					return answer, Exception(pdu[1])
				}
				if r.Reads() {
					answer.Data = pdu[2:]
				}
				return answer, nil
			}
			m.forget(used)
		}
		if err != nil {
			if heard < 5 { // not as much as the shortest answer
				m.owe(r, sent)
			}
			return answer, m.why(err, heard)
		}
	}
}

// why is what the end of waiting for an answer means.
func (m *Master) why(err error, heard int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded) || m.cut:
		return err
	case heard > 0:
		return ErrDamaged
	}
	return ErrNoAnswer
}

// quiet waits until a request may be sent: until there was silence for long enough, and no answer that could be mistaken
// for the one to it can come any more.
func (m *Master) quiet(r Request) error {
	var end time.Time
	for {
		ready := m.last.Add(m.line.silence())
		m.expire()
		for _, d := range m.owed {
			if mistakable(d.request, r) && d.until.After(ready) {
				ready = d.until
			}
		}
		now := time.Now()
		if end.IsZero() {
			end = ready
			if now.After(end) {
				end = now
			}
			end = end.Add(babble)
		}
		if soon := now.Add(peek); ready.Before(soon) {
			ready = soon
		}
		switch n, err := m.read(ready); {
		case n > 0 && time.Now().After(end):
			return ErrBusyLine
		case n > 0:
			m.settle()
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case m.isCut():
			return err
		default:
			return nil
		}
	}
}

func (m *Master) isCut() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cut
}

// read adds what comes to what has come, up to the deadline.
func (m *Master) read(deadline time.Time) (int, error) {
	m.mu.Lock()
	if m.cut {
		deadline = past
	}
	err := m.port.SetReadDeadline(deadline)
	m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := m.port.Read(m.buf[:])
	if n > 0 {
		m.last = time.Now()
		if over := len(m.got) + n - 2*maxFrame; over > 0 {
			m.forget(min(over, len(m.got)))
		}
		m.got = append(m.got, m.buf[:n]...)
		err = nil // it comes again
	}
	return n, err
}

func (m *Master) writeDeadline(at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cut {
		at = past
	}
	return m.port.SetWriteDeadline(at)
}

// forget drops the first bytes of what has come.
func (m *Master) forget(n int) { m.got = m.got[:copy(m.got, m.got[n:])] }

// owe notes that a request was not answered.
func (m *Master) owe(r Request, sent time.Time) {
	if m.line.TCP {
		return // answers are numbered
	}
	m.expire()
	if len(m.owed) < maxOwed {
		m.owed = append(m.owed, debt{r, sent, sent.Add(max(2*m.line.Timeout, leastOwed))})
	}
}

// paid takes an answer to a request that was sent at the given time. Where the same was asked before in vain the answer is
// taken to be to the first of those, and one is still to come, probably after as long. It returns when that first was sent.
func (m *Master) paid(r Request, sent time.Time) time.Time {
	m.expire()
	first := -1
	for i, d := range m.owed {
		if same(d.request, r) {
			first = i
			break
		}
	}
	if first < 0 {
		return sent
	}
	asked := m.owed[first].sent
	m.owed = append(m.owed[:first], m.owed[first+1:]...)
	m.owed = append(m.owed, debt{r, sent, sent.Add(max(2*time.Since(asked), 2*m.line.Timeout, leastOwed))})
	return asked
}

// expire forgets debts that nobody will pay.
func (m *Master) expire() {
	now, kept := time.Now(), m.owed[:0]
	for _, d := range m.owed {
		if now.Before(d.until) {
			kept = append(kept, d)
		}
	}
	m.owed = kept
}

// settle strikes off the debts that are paid by what has come.
func (m *Master) settle() {
	kept := m.owed[:0]
	for _, d := range m.owed {
		pdu, used := m.frames.find(m.got, d.request, 0)
		if pdu == nil {
			kept = append(kept, d)
			continue
		}
		m.forget(used)
	}
	m.owed = kept
}

// Idle waits until a time, or Wake, and drops what comes. The error is the port's: nil otherwise.
func (m *Master) Idle(until time.Time) error {
	m.mu.Lock()
	if m.woken {
		until = past
	}
	m.idle = true
	err := m.port.SetReadDeadline(until)
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.idle, m.woken = false, false
	}()
	for err == nil {
		var n int
		if n, err = m.port.Read(m.buf[:]); n > 0 {
			m.last = time.Now()
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// Wake ends the Idle that is waiting or, where none is, the next one. It may be called from any goroutine.
func (m *Master) Wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.woken = true
	if m.idle {
		_ = m.port.SetReadDeadline(past)
	}
}
