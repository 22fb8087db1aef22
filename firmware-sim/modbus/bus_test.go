package modbus

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func raw(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// run runs a bus for the length of a test.
func run(t *testing.T, o Options) *Bus {
	t.Helper()
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return b
}

// ask sends a frame and returns as many bytes as are expected, or what came in time.
func ask(t *testing.T, wire interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
	SetReadDeadline(time.Time) error
}, frame []byte, expect int, patience time.Duration) []byte {
	t.Helper()
	if _, err := wire.Write(frame); err != nil {
		t.Fatal(err)
	}
	_ = wire.SetReadDeadline(time.Now().Add(patience))
	var got []byte
	buf := make([]byte, 300)
	for len(got) < expect {
		n, err := wire.Read(buf)
		if got = append(got, buf[:n]...); err != nil {
			break
		}
	}
	return got
}

// TestPublishedFrames asks what the manuals of the simulated devices and the specification print, byte by byte.
func TestPublishedFrames(t *testing.T) {
	t.Parallel()
	b := run(t, Options{})
	Relays(b.Slave(1))
	b.Slave(1).Set(Input, 1, 305) // XY-MD02's manual: 0x131 is 30.5 °C
	b.Slave(1).Set(Holding, 1, 0, 0)
	port := open(t, b.Path())
	for _, c := range []struct{ asked, want string }{
		{"01 04 00 01 00 01 60 0A", "01 04 02 01 31 79 74"},    // XY-MD02
		{"01 01 00 00 00 08 3D CC", "01 01 01 00 51 88"},       // Waveshare
		{"01 05 00 00 FF 00 8C 3A", "01 05 00 00 FF 00 8C 3A"}, // Waveshare
		{"01 05 00 06 FF 00 6C 3B", "01 05 00 06 FF 00 6C 3B"}, // Waveshare
		{"01 01 00 00 00 08 3D CC", "01 01 01 41 91 B8"},       // relays 0 and 6
		{"01 0F 00 00 00 08 01 FF BE D5", "01 0F 00 00 00 08 54 0D"},
		{"01 06 00 01 00 03 98 0B", "01 06 00 01 00 03 98 0B"},
		{"01 04 04 A1 00 01 60 D8", ""}, // a wrong checksum
	} {
		if got := ask(t, port, raw(c.asked), len(raw(c.want)), 200*time.Millisecond); !bytes.Equal(got, raw(c.want)) {
			t.Errorf("asked %s it says % X, want %s", c.asked, got, c.want)
		}
	}
	if got := ask(t, port, frame(1, raw("01 04 A1 00 01"), nil), 5, 10*time.Second); !bytes.Equal(got, frame(1, raw("81 02"), nil)) {
		t.Errorf("an address that is not there: % X", got)
	}
	if got := ask(t, port, frame(9, raw("01 00 00 00 01"), nil), 1, 50*time.Millisecond); len(got) > 0 {
		t.Errorf("a slave that is not there: % X", got)
	}
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	port, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Close() })
	return port
}

func TestTCP(t *testing.T) {
	t.Parallel()
	for _, numbered := range []bool{false, true} {
		b := run(t, Options{Listen: "127.0.0.1:0", TCP: numbered})
		Climate(b.Slave(1))
		c, err := net.Dial("tcp", strings.TrimPrefix(b.Path(), "tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		asked, want := frame(1, raw("04 00 01 00 02"), nil), frame(1, raw("04 04 00 D6 01 E0"), nil)
		if numbered {
			asked, want = raw("15 01 00 00 00 06 01 04 00 01 00 02"), raw("15 01 00 00 00 07 01 04 04 00 D6 01 E0")
		}
		if got := ask(t, c, asked[:3], 1, 20*time.Millisecond); len(got) > 0 {
			t.Errorf("to half a request it says % X", got)
		}
		if got := ask(t, c, asked[3:], len(want), 10*time.Second); !bytes.Equal(got, want) {
			t.Errorf("numbered %t: % X, want % X", numbered, got, want)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	b := run(t, Options{Slow: 20 * time.Millisecond, Late: 60 * time.Millisecond})
	Climate(b.Slave(1))
	port := open(t, b.Path())
	question, good := frame(1, raw("04 00 01 00 02"), nil), frame(1, raw("04 04 00 D6 01 E0"), nil)
	turned := bytes.Clone(good)
	turned[len(good)/2] ^= 0x04
	for fault, want := range map[Fault][][]byte{
		Dead:    {nil, nil},
		Slow:    {good, good},
		Damaged: {good, turned, good},
		Partial: {good, good[:len(good)/2], good},
		Noisy:   {append(raw("00 FF 01"), good...)},
		Busy:    {frame(1, raw("84 06"), nil)},
		Mute:    {good},
	} {
		b.Slave(1).rewind()
		if err := b.Slave(1).SetFault(fault, true); err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			patience := time.Second
			if len(w) < len(good) && fault != Busy {
				patience = 50 * time.Millisecond
			}
			if got := ask(t, port, question, max(len(w), 1), patience); !bytes.Equal(got, w) {
				t.Errorf("%s, answer %d: % X, want % X", fault, i, got, w)
			}
		}
		if err := b.Slave(1).SetFault(fault, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Slave(1).SetFault(Mute, true); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, port, frame(1, raw("04 00 09 00 02"), nil), 1, 50*time.Millisecond); len(got) > 0 {
		t.Errorf("mute, it says % X", got)
	}
	if err := b.Slave(1).SetFault("fire", true); err == nil {
		t.Error("there is a fault called fire")
	}
	if heard := b.Slave(1).Heard(); len(heard) < 10 || heard[0].Function != 4 || heard[0].Address != 1 {
		t.Errorf("heard %+v", heard)
	}
}

// rewind has the next answer be the first.
func (s *Slave) rewind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn = 0
}

func TestWrites(t *testing.T) {
	t.Parallel()
	s := newSlave()
	Commanded(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range []struct {
		pdu, want string
		reads     uint16
	}{
		{"06 00 01 01 00", "06 00 01 01 00", 1},
		{"06 00 01 02 00", "06 00 01 02 00", 0},
		{"06 00 01 03 00", "06 00 01 03 00", 1},
		{"10 00 01 00 01 02 02 00", "10 00 01 00 01", 0},
		{"06 00 09 01 00", "86 02", 0},
		{"03 00 01 00 09", "83 03", 0},
		{"2B 00 01 00 09", "AB 01", 0},
		{"05 00 01 00 09", "85 02", 0},
	} {
		if got := s.answer(raw(c.pdu), time.Now()); !bytes.Equal(got, raw(c.want)) || s.data[Holding][1] != c.reads {
			t.Errorf("%s: % X and it reads %d, want %s and %d", c.pdu, got, s.data[Holding][1], c.want, c.reads)
		}
	}
	s.faults[Stuck] = true
	if s.answer(raw("06 00 01 01 00"), time.Now()); s.data[Holding][1] != 0 {
		t.Error("stuck, and it moved")
	}
}

func TestUnplug(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "bus")
	b := run(t, Options{Link: link, Unplugged: true})
	if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unplugged, and it is there: %v", err)
	}
	for range 2 {
		if err := b.Plug(); err != nil {
			t.Fatal(err)
		}
	}
	Relays(b.Slave(3))
	port := open(t, b.Path())
	question, want := frame(3, raw("01 00 00 00 01"), nil), frame(3, raw("01 01 00"), nil)
	b.Hush(true)
	if got := ask(t, port, question, 1, 30*time.Millisecond); len(got) > 0 {
		t.Errorf("hushed it says % X", got)
	}
	b.Hush(false)
	if got := ask(t, port, question, len(want), 10*time.Second); !bytes.Equal(got, want) {
		t.Errorf("it says % X", got)
	}
	b.Unplug()
	if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unplugged, and the link is there: %v", err)
	}
}

// FuzzCut: whatever comes on the line, requests are cut out of it without a panic, and what is left is bounded.
func FuzzCut(f *testing.F) {
	f.Add(raw("01 04 00 01 00 01 60 0A"), false)
	f.Add(raw("15 01 00 00 00 06 01 04 00 01 00 02"), true)
	f.Add(raw("01 10 00 01 00 02 FF 00 00"), false)
	f.Fuzz(func(t *testing.T, got []byte, tcp bool) {
		for {
			address, pdu, head, rest := cut(got, tcp)
			if len(rest) > len(got) || address >= 0 && len(rest) == len(got) {
				t.Fatalf("% X leaves % X", got, rest)
			}
			if address < 0 {
				if len(rest) > 262 {
					t.Fatalf("%d bytes are left", len(rest))
				}
				return
			}
			if whole(pdu) {
				s := newSlave()
				Meter(s)
				s.mu.Lock()
				out := frame(byte(address), s.answer(pdu, time.Now()), head)
				s.mu.Unlock()
				if len(out) > 260 {
					t.Fatalf("an answer of %d bytes", len(out))
				}
			}
			got = rest
		}
	})
}
