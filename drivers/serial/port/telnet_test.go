package port

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// server answers the connections to a port of the machine, one after the other, and returns how to reach it.
func server(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

var mode = Mode{Baud: 115200, DataBits: 8, Parity: 'N', StopBits: 1}

func TestRaw(t *testing.T) {
	t.Parallel()
	for name, hello := range map[string]string{"silent": "", "text": "t=1\r\n", "binary": "\xff\x01\xff", "nearly": "\xff\xfd", "one byte": "\xff"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := server(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, hello)
				_, _ = io.Copy(conn, conn)
			})
			p, err := Open(t.Context(), "tcp://"+addr, mode)
			if err != nil {
				t.Fatal(err)
			}
			const sent = "\x01\xff\xff\x00\r\n\xff\xf0"
			if _, err := io.WriteString(p, sent); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(hello)+len(sent))
			if _, err := io.ReadFull(p, got); err != nil || string(got) != hello+sent {
				t.Errorf("%q %v, want %q", got, err, hello+sent)
			}
			read := make(chan error, 1)
			go func() {
				_, err := p.Read(make([]byte, 1))
				read <- err
			}()
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			if err := <-read; !errors.Is(err, net.ErrClosed) {
				t.Errorf("read after close: %v", err)
			}
		})
	}
}

// words reads what the client says up to the last of a script's words, and answers each as the script says.
func words(conn net.Conn, script map[string]string, last string) bool {
	r := bufio.NewReader(conn)
	var said []byte
	for {
		c, err := r.ReadByte()
		if err != nil {
			return false
		}
		said = append(said, c)
		for word, answer := range script {
			if bytes.HasSuffix(said, []byte(word)) {
				_, _ = io.WriteString(conn, answer)
				said = nil
				if word == last {
					return true
				}
				break
			}
		}
	}
}

const (
	willComPort = "\xff\xfb\x2c"
	doComPort   = "\xff\xfd\x2c"
	purge       = "\xff\xfa\x2c\x0c\x01\xff\xf0"
)

// rfc2217 are the words for 115200 baud, 8N1, and a server's answers.
func rfc2217() map[string]string {
	return map[string]string{
		willComPort: doComPort,
		"\xff\xfa\x2c\x01\x00\x01\xc2\x00\xff\xf0": "\xff\xfa\x2c\x65\x00\x01\xc2\x00\xff\xf0",
		"\xff\xfa\x2c\x02\x08\xff\xf0":             "\xff\xfa\x2c\x66\x08\xff\xf0",
		"\xff\xfa\x2c\x03\x01\xff\xf0":             "\xff\xfa\x2c\x67\x01\xff\xf0",
		"\xff\xfa\x2c\x04\x01\xff\xf0":             "stale\xff\xfa\x2c\x68\x01\xff\xf0",
		"\xff\xfa\x2c\x05\x09\xff\xf0":             "\xff\xfa\x2c\x69\x09\xff\xf0",
		purge:                                      "\xff\xfa\x2c\x70\x01\xff\xf0t=\xff\xff\xff\xfa\x2c\x6a\xff\xff\xff\xf0\xff\xf1\r\n",
	}
}

// TestRFC2217: a server that begins with telnet is spoken to in it, and told about the line.
func TestRFC2217(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ scheme, hello string }{
		"asked":       {rfc2217Scheme, ""},
		"offered":     {tcpScheme, "\xff\xfb\x01\xff\xfb\x03\xff\xfd\x2c"},
		"their side":  {tcpScheme, "\xff\xfb\x2c"},
		"both":        {rfc2217Scheme, "\xff\xfd\x03\xff\xfd\x2c\xff\xfb\x2c"},
		"small words": {tcpScheme, "\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dtr := false
			mode := mode
			mode.DTR = &dtr
			heard := make(chan []byte, 1)
			addr := server(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, c.hello)
				if c.hello == "\xff" {
					time.Sleep(20 * time.Millisecond) // a word in two pieces
					_, _ = io.WriteString(conn, "\xfd\x2c")
				}
				if words(conn, rfc2217(), purge) {
					got := make([]byte, 5)
					_, _ = io.ReadFull(conn, got)
					heard <- got
				}
			})
			p, err := Open(t.Context(), c.scheme+addr, mode)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			got := make([]byte, 5)
			if _, err := io.ReadFull(p, got); err != nil || string(got) != "t=\xff\r\n" {
				t.Errorf("%q %v", got, err)
			}
			if n, err := io.WriteString(p, "a\xffbc"); n != 4 || err != nil {
				t.Errorf("wrote %d: %v", n, err)
			}
			if got := <-heard; string(got) != "a\xff\xffbc" {
				t.Errorf("the server heard %q", got)
			}
		})
	}
}

func TestNoRFC2217(t *testing.T) {
	t.Parallel()
	without := func(word, answer string) map[string]string {
		script := rfc2217()
		script[word] = answer
		return script
	}
	for name, c := range map[string]struct {
		script map[string]string
		want   string
	}{
		"refused": {without(willComPort, "\xff\xfe\x2c"), "it does not offer RFC 2217: is that switched on there? Without, use tcp://"},
		"another speed": {without("\xff\xfa\x2c\x01\x00\x01\xc2\x00\xff\xf0", "\xff\xfa\x2c\x65\x00\x00\x25\x80\xff\xf0"),
			"the serial server has baud 9600 on this line, and not 115200"},
		"another parity": {without("\xff\xfa\x2c\x03\x01\xff\xf0", "\xff\xfa\x2c\x67\x03\xff\xf0"),
			"the serial server has parity (1 none, 2 odd, 3 even) 3 on this line, and not 1"},
		"nothing": {without("\xff\xfa\x2c\x02\x08\xff\xf0", "\xff\xfa\x2c\x66\xff\xf0"), "the serial server has data bits 0 on this line, and not 8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := server(t, func(conn net.Conn) { words(conn, c.script, "") })
			if _, err := Open(t.Context(), rfc2217Scheme+addr, mode); err == nil || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
	t.Run("telnet without it", func(t *testing.T) {
		t.Parallel()
		addr := server(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, "\xff\xfb\x03")
			if words(conn, map[string]string{willComPort: "\xff\xfe\x2c"}, willComPort) {
				words(conn, map[string]string{"t?": "t=1\r\n"}, "")
			}
		})
		p, err := Open(t.Context(), tcpScheme+addr, mode)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := io.WriteString(p, "t?"); err != nil {
			t.Error(err)
		}
		if line, err := bufio.NewReader(p).ReadString('\n'); line != "t=1\r\n" {
			t.Errorf("%q %v", line, err)
		}
	})
}

// TestOpenEnds: what is under way while opening ends with its context.
func TestOpenEnds(t *testing.T) {
	t.Parallel()
	addr := server(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := Open(ctx, rfc2217Scheme+addr, mode); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if took := time.Since(begun); took > answerWithin/2 {
		t.Errorf("it took %v", took)
	}
}

func TestNetworkTrouble(t *testing.T) {
	t.Parallel()
	closed := server(t, func(net.Conn) {})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	_ = l.Close()
	for name, want := range map[string]string{
		"tcp://" + nobody:              "tcp://" + nobody + ": connection refused: does the serial server run, on this port?",
		"tcp://" + closed:              "tcp://" + closed + ": gone: the serial server closed the connection (EOF)",
		"tcp://no-such-host.invalid:1": "tcp://no-such-host.invalid:1: there is no such host: is the name right?",
	} {
		p, err := Open(t.Context(), name, mode)
		if err == nil {
			_, err = p.Read(make([]byte, 1))
			_ = p.Close()
		}
		if got := Explain(name, err).Error(); got != want && !strings.Contains(got, "lookup") {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"/dev/ttyUSB0", "tcp://10.0.0.7:4001", "tcp://[fe80::1%25eth0]:23", "rfc2217://attic.local:2217", "COM3"} {
		if err := Check(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "tcp://", "tcp://host", "tcp://:1", "tcp://host:0", "tcp://host:99999", "tcp://host:ttyS0", "telnet://host:23", "udp://host:1", "rfc2217://host:1/x"} {
		if err := Check(name); err == nil {
			t.Errorf("%s is a port", name)
		}
	}
}

// mute is a connection that takes everything and says nothing.
type mute struct {
	net.Conn
	sent bytes.Buffer
}

func (m *mute) Write(b []byte) (int, error) { return m.sent.Write(b) }

// FuzzTelnet: whatever a server says, in whatever pieces, the data is the same and memory is bounded; and what is written
// reads back.
func FuzzTelnet(f *testing.F) {
	f.Add([]byte("t=1\xff\xff\xff\xfb\x2c\xff\xfa\x2c\x65\x00\x01\xc2\x00\xff\xf0\r\n"), uint8(1))
	f.Add([]byte("\xff\xfd\x00\xff\xfe\x00\xff\xfb\x01\xff\xfc\x01\xff\xf1\xff\xfa\x2c\xff\xff\xff\xff\xff\xf0"), uint8(2))
	f.Fuzz(func(t *testing.T, input []byte, size uint8) {
		whole, parts := &mute{}, &mute{}
		a, b := newTelnet(whole), newTelnet(parts)
		all := slices.Clone(input)
		all = all[:a.take(all)]
		var some []byte
		for rest := slices.Clone(input); len(rest) > 0; {
			n := min(int(size%16)+1, len(rest))
			some = append(some, rest[:b.take(rest[:n])]...)
			rest = rest[n:]
		}
		if !bytes.Equal(all, some) || !bytes.Equal(whole.sent.Bytes(), parts.sent.Bytes()) {
			t.Fatalf("at once %q and %q said, in pieces %q and %q", all, whole.sent.Bytes(), some, parts.sent.Bytes())
		}
		if len(a.sub) > maxSub || len(a.answers) > purgeData+1 || whole.sent.Len() > len(input) {
			t.Fatalf("%d bytes, %d answers are kept, %d sent of %d", len(a.sub), len(a.answers), whole.sent.Len(), len(input))
		}
		out := &mute{}
		if n, err := newTelnet(out).Write(input); n != len(input) || err != nil {
			t.Fatal(n, err)
		}
		wire := out.sent.Bytes()
		if got := wire[:newTelnet(&mute{}).take(wire)]; !bytes.Equal(got, input) {
			t.Fatalf("%q is read as %q", input, got)
		}
	})
}
