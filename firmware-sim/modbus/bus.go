package modbus

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"tidings/firmware-sim/serial"
)

// Options describe a bus. The zero value is a pseudo-terminal.
type Options struct {
	// Link is a path that leads to the pseudo-terminal and stays the same when it is unplugged and comes back.
	Link string
	// Listen is a TCP address, as in "127.0.0.1:0", to be there in place of a pseudo-terminal: a serial server, which passes
	// bytes on.
	Listen string
	// TCP has Modbus TCP spoken there.
	TCP bool
	// Slow and Late are how long those faults take; default 300 ms and 700 ms.
	Slow, Late time.Duration
	// Unplugged buses are not there until Plug.
	Unplugged bool
}

// A Bus is a line with its slaves. Its methods may be called from any goroutine.
type Bus struct {
	opts Options

	mu       sync.Mutex
	slaves   map[byte]*Slave
	port     *serial.Terminal // nil while unplugged, and over TCP
	listener net.Listener     // nil while unplugged, and on a pseudo-terminal
	conns    map[net.Conn]bool
	listen   string // the address it was given, once it was
	running  *sync.WaitGroup
	hushed   bool
	wires    sync.Mutex // one answer at a time
}

// New makes a bus and, unless it is unplugged, its port. Run lets it go.
func New(o Options) (*Bus, error) {
	if o.Slow <= 0 {
		o.Slow = 300 * time.Millisecond
	}
	if o.Late <= 0 {
		o.Late = 700 * time.Millisecond
	}
	b := &Bus{opts: o, slaves: map[byte]*Slave{}, conns: map[net.Conn]bool{}, listen: o.Listen}
	if o.Unplugged {
		return b, nil
	}
	return b, b.Plug()
}

// Slave is the one at an address, which is put on the line when it is not there yet.
func (b *Bus) Slave(address byte) *Slave {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.slaves[address]
	if s == nil {
		s = newSlave()
		b.slaves[address] = s
	}
	return s
}

// Slaves are the addresses there are, sorted.
func (b *Bus) Slaves() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []byte
	for a := range b.slaves {
		out = append(out, a)
	}
	slices.Sort(out)
	return out
}

// Path is the port to open: the link, the pseudo-terminal, or tcp://HOST:PORT. Without a link or an address it is empty while it is
// unplugged.
func (b *Bus) Path() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.opts.Listen != "":
		return "tcp://" + b.listen
	case b.opts.Link != "":
		return b.opts.Link
	case b.port != nil:
		return b.port.Path()
	}
	return ""
}

// Hush makes every slave be silent, or speak again.
func (b *Bus) Hush(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hushed = on
}

// Plug makes the port be there.
func (b *Bus) Plug() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.port != nil || b.listener != nil {
		return nil
	}
	if b.opts.Listen != "" {
		l, err := net.Listen("tcp", b.listen)
		if err != nil {
			return fmt.Errorf("modbus: %w", err)
		}
		b.listener, b.listen = l, l.Addr().String()
	} else {
		t, err := serial.OpenTerminal(b.opts.Link)
		if err != nil {
			return err
		}
		b.port = t
	}
	b.start()
	return nil
}

// start serves the port there is, once Run runs. The caller has the lock.
func (b *Bus) start() {
	if b.running == nil {
		return
	}
	if t := b.port; t != nil {
		b.running.Go(func() { b.Serve(t) })
	}
	if l := b.listener; l != nil {
		running := b.running
		running.Go(func() { b.accept(l, running) })
	}
}

// Unplug takes the port away.
func (b *Bus) Unplug() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.port != nil {
		b.port.Close(b.opts.Link)
		b.port = nil
	}
	if b.listener != nil {
		_ = b.listener.Close()
		b.listener = nil
	}
	for c := range b.conns {
		_ = c.Close()
	}
}

// Run answers until ctx is done; then it takes the port away and returns nil. It is called once.
func (b *Bus) Run(ctx context.Context) error {
	var running sync.WaitGroup
	b.mu.Lock()
	b.running = &running
	b.start()
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	port := b.port
	b.running = nil
	b.mu.Unlock()
	if port != nil {
		port.Drain()
	}
	b.Unplug()
	running.Wait()
	return nil
}

func (b *Bus) accept(l net.Listener, running *sync.WaitGroup) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		if b.listener != l {
			_ = c.Close()
		} else {
			b.conns[c] = true
			running.Go(func() {
				b.Serve(c)
				_ = c.Close()
				b.mu.Lock()
				defer b.mu.Unlock()
				delete(b.conns, c)
			})
		}
		b.mu.Unlock()
	}
}

// Serve answers what comes over a wire of the caller's until that is gone. Answers that take their time are sent from goroutines
// of their own, which it waits for.
func (b *Bus) Serve(wire io.ReadWriter) {
	var later sync.WaitGroup
	defer later.Wait()
	var got []byte
	buf := make([]byte, 512)
	for {
		n, err := wire.Read(buf)
		got = append(got, buf[:n]...)
		for {
			address, pdu, head, rest := cut(got, b.opts.TCP)
			if address < 0 {
				got = append(got[:0], rest...)
				break
			}
			if whole(pdu) {
				b.take(wire, &later, byte(address), pdu, head)
			}
			got = rest
		}
		if err != nil {
			return
		}
	}
}

func (b *Bus) take(wire io.Writer, later *sync.WaitGroup, address byte, pdu, head []byte) {
	b.mu.Lock()
	s, hushed := b.slaves[address], b.hushed
	b.mu.Unlock()
	if s == nil {
		return
	}
	out, wait := s.reply(b.opts, address, pdu, head, hushed)
	send := func() {
		b.wires.Lock()
		defer b.wires.Unlock()
		_, _ = wire.Write(out)
	}
	switch {
	case out == nil:
	case wait == 0:
		send()
	default:
		later.Go(func() {
			time.Sleep(wait)
			send()
		})
	}
}

// reply is what the slave puts on the line for a request, with its faults, and after how long; nil for nothing.
func (s *Slave) reply(o Options, address byte, pdu, head []byte, hushed bool) (out []byte, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.faults[Dead] || hushed {
		s.hear(Request{At: now, Function: pdu[0], Address: binary.BigEndian.Uint16(pdu[1:])})
		return nil, 0
	}
	answer := s.answer(pdu, now)
	if s.faults[Mute] && answer[0]&0x80 != 0 {
		return nil, 0
	}
	out = frame(address, answer, head)
	s.turn++
	switch {
	case s.faults[Late] && s.turn%3 == 0:
		wait = o.Late
	case s.faults[Slow]:
		wait = o.Slow
	}
	if s.faults[Damaged] && s.turn%2 == 0 {
		out[len(out)/2] ^= 0x04
	}
	if s.faults[Partial] && s.turn%2 == 0 {
		out = out[:len(out)/2]
	}
	if s.faults[Noisy] {
		out = append([]byte{0x00, 0xFF, address}, out...)
	}
	return out, wait
}
