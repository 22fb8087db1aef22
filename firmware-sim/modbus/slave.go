package modbus

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Table is a kind of data in a slave.
type Table uint8

// The tables of a slave.
const (
	Coil Table = iota
	Discrete
	Holding
	Input
)

// A Fault is something that goes wrong with a slave.
type Fault string

// The faults there are.
const (
	Dead    Fault = "dead"    // it does not answer, and does nothing
	Slow    Fault = "slow"    // it takes Options.Slow to answer
	Late    Fault = "late"    // every third answer comes Options.Late after the question, when nobody waits for it any more
	Damaged Fault = "damaged" // every second answer has a bit turned
	Partial Fault = "partial" // every second answer is cut
	Noisy   Fault = "noisy"   // there are bytes on the line before each answer
	Busy    Fault = "busy"    // it says that it is busy
	Stuck   Fault = "stuck"   // writes are acknowledged and not done
	Mute    Fault = "mute"    // asked for what it does not have, it says nothing
)

// Faults are all faults of a slave.
func Faults() []Fault { return []Fault{Dead, Slow, Late, Damaged, Partial, Noisy, Busy, Stuck, Mute} }

// A Request is a question that a slave heard, for tests.
type Request struct {
	At       time.Time
	Function byte
	Address  uint16
	Count    int
}

// maxHeard bounds what a slave remembers of what it was asked.
const maxHeard = 10_000

// A Slave is one device on the line. Its methods may be called from any goroutine.
type Slave struct {
	mu      sync.Mutex
	data    [4]map[uint16]uint16
	most    int // registers in one request
	obey    func(address, value uint16) uint16
	faults  map[Fault]bool
	turn    int
	heard   []Request
	changed chan struct{} // closed and replaced at every write
}

func newSlave() *Slave {
	s := &Slave{most: 125, faults: map[Fault]bool{}, changed: make(chan struct{})}
	for t := range s.data {
		s.data[t] = map[uint16]uint16{}
	}
	return s
}

// Set makes bits or registers exist from an address on, and gives them their values.
func (s *Slave) Set(t Table, address uint16, values ...uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, v := range values {
		s.data[t][address+uint16(i)] = v
	}
	s.wake()
}

// Get is one bit or register.
func (s *Slave) Get(t Table, address uint16) uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data[t][address]
}

// Limit is how many registers it gives at once: asked for more it says illegal data value.
func (s *Slave) Limit(registers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = registers
}

// Obey has f say what a holding register reads after a value was written to it.
func (s *Slave) Obey(f func(address, value uint16) uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.obey = f
}

// SetFault switches a fault on or off. The error is an unknown fault.
func (s *Slave) SetFault(f Fault, on bool) error {
	if !slices.Contains(Faults(), f) {
		return fmt.Errorf("fault: %q is none of %v", f, Faults())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[f] = on
	return nil
}

func (s *Slave) hear(r Request) {
	if len(s.heard) == maxHeard {
		s.heard = slices.Delete(s.heard, 0, maxHeard/10)
	}
	s.heard = append(s.heard, r)
}

// Heard are the questions it was asked, the latest last.
func (s *Slave) Heard() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}

// Changed is closed when something in it changes. Get it before looking.
func (s *Slave) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Slave) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// The exceptions a slave gives.
const (
	illegalFunction = 1
	illegalAddress  = 2
	illegalValue    = 3
	deviceBusy      = 6
)

// answer carries out a PDU and returns the one to answer with.
func (s *Slave) answer(pdu []byte, at time.Time) []byte {
	function, address, n := pdu[0], binary.BigEndian.Uint16(pdu[1:]), int(binary.BigEndian.Uint16(pdu[3:]))
	if function == 5 || function == 6 {
		n = 1
	}
	s.hear(Request{at, function, address, n})
	failed := func(code byte) []byte { return []byte{function | 0x80, code} }
	if s.faults[Busy] {
		return failed(deviceBusy)
	}
	table, most := Holding, s.most
	switch function {
	case 1, 5, 15:
		table, most = Coil, 2000
	case 2:
		table, most = Discrete, 2000
	case 3, 6, 16:
	case 4:
		table = Input
	default:
		return failed(illegalFunction)
	}
	if n < 1 || n > most {
		return failed(illegalValue)
	}
	for i := range n {
		if _, there := s.data[table][address+uint16(i)]; !there || int(address)+i > 0xFFFF {
			return failed(illegalAddress)
		}
	}
	switch function {
	case 1, 2:
		out := make([]byte, 2+(n+7)/8)
		out[0], out[1] = function, byte(len(out)-2)
		for i := range n {
			if s.data[table][address+uint16(i)] != 0 {
				out[2+i/8] |= 1 << (i % 8)
			}
		}
		return out
	case 3, 4:
		out := []byte{function, byte(2 * n)}
		for i := range n {
			out = binary.BigEndian.AppendUint16(out, s.data[table][address+uint16(i)])
		}
		return out
	case 5, 6:
		value := binary.BigEndian.Uint16(pdu[3:])
		if function == 5 && value != 0 && value != 0xFF00 {
			return failed(illegalValue)
		}
		s.write(table, address, value)
		return pdu[:5]
	}
	values := pdu[6:]
	for i := range n {
		if function == 15 {
			s.write(table, address+uint16(i), uint16(values[i/8]>>(i%8)&1))
		} else {
			s.write(table, address+uint16(i), binary.BigEndian.Uint16(values[2*i:]))
		}
	}
	return pdu[:5]
}

func (s *Slave) write(t Table, address, value uint16) {
	switch {
	case s.faults[Stuck]:
		return
	case t == Coil && value != 0:
		value = 1
	case t == Holding && s.obey != nil:
		value = s.obey(address, value)
	}
	s.data[t][address] = value
	s.wake()
}
