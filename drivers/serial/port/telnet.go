package port

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// The bytes of telnet (RFC 854, 856, 858) and of its COM-PORT-OPTION (RFC 2217).
const (
	iac  = 255
	dont = 254
	do   = 253
	wont = 252
	will = 251
	sb   = 250
	se   = 240

	optBinary  = 0
	optSGA     = 3 // SUPPRESS-GO-AHEAD
	optComPort = 44

	setBaud     = 1
	setDataSize = 2
	setParity   = 3
	setStopSize = 4
	setControl  = 5
	purgeData   = 12

	fromServer = 100 // is added in answers

	controlNoFlow = 1
	controlDTROn  = 8
	controlDTROff = 9
	purgeReceived = 1
)

// greeting is how many bytes the shortest word of telnet has.
const greeting = 3

// answerWithin is how long a server may take for all that it is told about the line.
const answerWithin = 5 * time.Second

// mayGreet reports whether what was heard can be the beginning of telnet's negotiation.
func mayGreet(heard []byte) bool {
	return (len(heard) < 1 || heard[0] == iac) && (len(heard) < 2 || heard[1] >= will && heard[1] <= dont)
}

// telnet is a port of a server that speaks telnet: bytes of 255 are doubled, and between them there are words about the
// connection and the line.
type telnet struct {
	net.Conn
	writing sync.Mutex // words and data each go out as a whole

	// The rest is the reader's.
	state   telnetState
	verb    byte            // of a word whose option has not come
	sub     []byte          // of a subnegotiation, as far as it has come; at most maxSub
	ours    map[byte]answer // options of our side
	theirs  map[byte]answer // options of theirs
	answers map[byte][]byte // what the server said last about the line, by the number of the question
}

type telnetState uint8

const (
	data telnetState = iota
	command
	option
	within      // a subnegotiation
	withinAfter // an IAC in it
)

// maxSub bounds a subnegotiation; those about the line have 5 bytes.
const maxSub = 64

// answer is how far both sides agree on an option.
type answer uint8

const (
	off answer = iota
	asked
	on
	refused
)

func newTelnet(conn net.Conn) *telnet {
	return &telnet{Conn: conn, ours: map[byte]answer{}, theirs: map[byte]answer{}, answers: map[byte][]byte{}}
}

// Read hands out the data between the words.
func (t *telnet) Read(b []byte) (int, error) {
	for {
		n, err := t.Conn.Read(b)
		if n = t.take(b[:n]); n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// Write sends data.
func (t *telnet) Write(b []byte) (int, error) {
	sent, err := t.send(bytes.ReplaceAll(b, []byte{iac}, []byte{iac, iac}))
	if err == nil {
		return len(b), nil
	}
	n := 0
	for ; n < len(b) && sent > 0; n++ {
		if sent--; b[n] == iac {
			if sent--; sent < 0 {
				break // half a byte
			}
		}
	}
	return n, err
}

func (t *telnet) send(b []byte) (int, error) {
	t.writing.Lock()
	defer t.writing.Unlock()
	return t.Conn.Write(b)
}

// take keeps the data of b at its beginning, returns how much it is, and answers the words.
func (t *telnet) take(b []byte) int {
	n := 0
	for _, c := range b {
		switch t.state {
		case data:
			if c == iac {
				t.state = command
				continue
			}
			b[n] = c
			n++
		case command:
			switch {
			case c == iac:
				b[n], t.state = c, data
				n++
			case c >= will: // and the three after it
				t.verb, t.state = c, option
			case c == sb:
				t.sub, t.state = t.sub[:0], within
			default:
				t.state = data
			}
		case option:
			t.state = data
			t.word(t.verb, c)
		case within:
			if c == iac {
				t.state = withinAfter
				continue
			}
			t.keep(c)
		case withinAfter:
			if c == iac {
				t.keep(c)
				t.state = within
				continue
			}
			t.state = data
			if c == se && len(t.sub) >= 2 && t.sub[0] == optComPort && t.sub[1] >= fromServer && t.sub[1] <= fromServer+purgeData {
				t.answers[t.sub[1]-fromServer] = slices.Clone(t.sub[2:])
			}
		}
	}
	return n
}

func (t *telnet) keep(c byte) {
	if len(t.sub) < maxSub {
		t.sub = append(t.sub, c)
	}
}

// wanted reports whether an option is one that we take.
func wanted(opt byte) bool { return opt == optBinary || opt == optSGA || opt == optComPort }

// word takes the other side's word on an option. What changes nothing is not answered, or two polite sides would never
// end.
func (t *telnet) word(verb, opt byte) {
	side, yes, no := t.ours, byte(will), byte(wont) // they speak of our side, and we answer
	if verb == will || verb == wont {
		side, yes, no = t.theirs, do, dont
	}
	switch before := side[opt]; {
	case (verb == do || verb == will) && !wanted(opt):
		t.say(no, opt)
	case verb == do || verb == will:
		if side[opt] = on; before == off || before == refused {
			t.say(yes, opt)
		}
	default:
		if before == on {
			t.say(no, opt)
		}
		if wanted(opt) {
			side[opt] = refused
		}
	}
}

func (t *telnet) say(verb, opt byte) { _, _ = t.send([]byte{iac, verb, opt}) }

// ask offers an option of our side, or asks for one of theirs, where that has not been agreed on.
func (t *telnet) ask(side map[byte]answer, verb, opt byte) {
	if side[opt] == off {
		side[opt] = asked
		t.say(verb, opt)
	}
}

// tell says something about the line.
func (t *telnet) tell(what byte, value ...byte) {
	delete(t.answers, what)
	text := append([]byte{iac, sb, optComPort, what}, bytes.ReplaceAll(value, []byte{iac}, []byte{iac, iac})...)
	_, _ = t.send(append(text, iac, se))
}

// setUp agrees on what is spoken and sets up the line as mode says, where the server offers that; heard is what it has
// said already. It reports whether it does offer it. The error says that the line is not as it should be.
func (t *telnet) setUp(heard []byte, mode Mode) (offered bool, err error) {
	if err := t.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return false, err
	}
	t.take(heard)
	for _, opt := range []byte{optBinary, optSGA} {
		t.ask(t.ours, will, opt)
		t.ask(t.theirs, do, opt)
	}
	t.ask(t.ours, will, optComPort)
	agreed := func() bool { return t.ours[optComPort] == on || t.theirs[optComPort] == on }
	switch err := t.await(func() bool { return agreed() || t.ours[optComPort] == refused }); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil // it has no word for it
	case err != nil:
		return false, err
	case !agreed():
		return false, nil
	}
	settings := []struct {
		name  string
		what  byte
		value []byte
	}{
		{"baud", setBaud, binary.BigEndian.AppendUint32(nil, uint32(mode.Baud))},
		{"data bits", setDataSize, []byte{byte(mode.DataBits)}},
		{"parity (1 none, 2 odd, 3 even)", setParity, []byte{parityNumber(mode.Parity)}},
		{"stop bits", setStopSize, []byte{byte(mode.StopBits)}},
	}
	for _, s := range settings {
		t.tell(s.what, s.value...)
	}
	t.tell(setControl, controlNoFlow)
	if mode.DTR != nil {
		level := byte(controlDTROff)
		if *mode.DTR {
			level = controlDTROn
		}
		t.tell(setControl, level)
	}
	for _, s := range settings {
		err := t.await(func() bool { return t.answers[s.what] != nil })
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return true, fmt.Errorf("the serial server does not answer on %s", s.name)
		}
		if err != nil {
			return true, err
		}
		if got := t.answers[s.what]; !bytes.Equal(got, s.value) {
			return true, fmt.Errorf("the serial server has %s %d on this line, and not %d", s.name, bigEndian(got), bigEndian(s.value))
		}
	}
	t.tell(purgeData, purgeReceived) // what was said before is no reading of now
	return true, nil
}

// await reads until a condition holds. Data that comes meanwhile was sent before the line was set up, and is dropped.
func (t *telnet) await(holds func() bool) error {
	buf := make([]byte, 512)
	for !holds() {
		n, err := t.Conn.Read(buf)
		if t.take(buf[:n]); err != nil && !holds() {
			return err
		}
	}
	return nil
}

// parityNumber is a parity as RFC 2217 counts them.
func parityNumber(p byte) byte {
	switch p {
	case 'O':
		return 2
	case 'E':
		return 3
	}
	return 1
}

func bigEndian(b []byte) (n uint64) {
	for _, c := range b[:min(len(b), 8)] {
		n = n<<8 | uint64(c)
	}
	return n
}
