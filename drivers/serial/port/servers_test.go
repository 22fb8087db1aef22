//go:build servers

package port_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tidings/drivers/serial/port"
	sim "tidings/firmware-sim/serial"
)

// python is Debian's own: another one on PATH does not see the package python3-serial.
const python = "/usr/bin/python3"

// wired is a simulated bed behind a serial server.
func wired(t *testing.T) *sim.Node {
	t.Helper()
	node, err := sim.New(sim.Options{Kind: sim.Bed, Every: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = node.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return node
}

// program starts a server for the length of a test and returns what it prints.
func program(t *testing.T, name string, args ...string) io.Reader {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: is it installed? See .ci/deps", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return out
}

// ser2net starts Debian's ser2net in front of a port of the machine and returns where it listens, once it does.
func ser2net(t *testing.T, device, protocol string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	host, number, _ := net.SplitHostPort(addr)
	config := filepath.Join(t.TempDir(), "ser2net.yaml")
	text := fmt.Sprintf("connection: &port\n  accepter: %s,%s,%s\n  connector: serialdev,%s,9600n81,local\n  options:\n    max-connections: 2\n", protocol, host, number, device)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program(t, "/usr/sbin/ser2net", "-n", "-u", "-c", config)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func pyserial(t *testing.T, device string) string {
	t.Helper()
	number, err := bufio.NewReader(program(t, python, "testdata/server.py", device)).ReadString('\n')
	if err != nil {
		t.Fatalf("no port: %v: is python3-serial installed? See .ci/deps", err)
	}
	return "127.0.0.1:" + strings.TrimSpace(number)
}

// TestServers: a board behind servers of others is heard and told, and its line is as it was asked for where they take
// that.
func TestServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		serve  func(t *testing.T, device string) string
		scheme string
		sets   bool
	}{
		"ser2net":          {func(t *testing.T, device string) string { return ser2net(t, device, "telnet(rfc2217=true),tcp") }, "tcp", true},
		"ser2net rfc2217":  {func(t *testing.T, device string) string { return ser2net(t, device, "telnet(rfc2217=true),tcp") }, "rfc2217", true},
		"ser2net telnet":   {func(t *testing.T, device string) string { return ser2net(t, device, "telnet,tcp") }, "tcp", false},
		"ser2net raw":      {func(t *testing.T, device string) string { return ser2net(t, device, "tcp") }, "tcp", false},
		"pyserial":         {pyserial, "tcp", true},
		"pyserial rfc2217": {pyserial, "rfc2217", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := wired(t)
			addr := c.serve(t, node.Path())
			for _, mode := range []port.Mode{
				{Baud: 115200, DataBits: 8, Parity: 'N', StopBits: 1}, {Baud: 19200, DataBits: 8, Parity: 'N', StopBits: 2},
			} {
				p := dial(t, c.scheme+"://"+addr, mode)
				heard := bufio.NewReader(p)
				until(t, heard, "valve=off")
				if _, err := io.WriteString(p, "valve=on\n"); err != nil {
					t.Error(err)
				}
				until(t, heard, "valve=on")
				if _, err := io.WriteString(p, "valve=off\n"); err != nil {
					t.Error(err)
				}
				until(t, heard, "valve=off")
				if c.sets {
					isSet(t, node.Path(), mode)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		addr := ser2net(t, wired(t).Path(), "telnet,tcp")
		mode := port.Mode{Baud: 115200, DataBits: 8, Parity: 'N', StopBits: 1}
		if _, err := port.Open(t.Context(), "rfc2217://"+addr, mode); err == nil || !strings.HasPrefix(err.Error(), "it does not offer RFC 2217") {
			t.Errorf("%v", err)
		}
	})
}

// dial opens a port. A server that is just letting the client before go may close the connection at once.
func dial(t *testing.T, name string, mode port.Mode) port.Port {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		p, err := port.Open(t.Context(), name, mode)
		if err == nil {
			return p
		}
		if time.Now().After(deadline) || !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
			t.Fatal(err)
		}
	}
}

// until reads lines up to one with a word in it. Anything in a line that is no text is a mistake.
func until(t *testing.T, r *bufio.Reader, word string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("no %s: %v", word, err)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r > '~' || r < ' ' && r != '\r' && r != '\n' }) {
			t.Errorf("heard %q", line)
		}
		if strings.Contains(line, word) {
			return
		}
	}
}

// isSet looks at how the board's end of the line is set up.
func isSet(t *testing.T, device string, mode port.Mode) {
	t.Helper()
	file, err := os.OpenFile(device, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	state, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	speed := map[int]uint32{115200: unix.B115200, 19200: unix.B19200}[mode.Baud]
	if got := state.Cflag & unix.CBAUD; got != speed {
		t.Errorf("the speed is %#o, want %#o for %d", got, speed, mode.Baud)
	}
	if two := state.Cflag&unix.CSTOPB != 0; two != (mode.StopBits == 2) { // a pseudo-terminal knows no parity
		t.Errorf("the flags are %#o, want %d stop bits", state.Cflag, mode.StopBits)
	}
}
