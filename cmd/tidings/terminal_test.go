package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// A terminal is one that a command runs on, and the person before it.
type terminal struct {
	t    *testing.T
	keys *os.File // the person's end
	tty  *os.File // the command's, kept open to look at how it is left
	cmd  *exec.Cmd

	before term.State // of the terminal, before the command

	mu      sync.Mutex
	screen  bytes.Buffer
	changed chan struct{} // closed and replaced when more is on the screen
	reading sync.WaitGroup
}

// onTerminal runs `tidings` on a terminal of 80 columns.
func onTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	keys, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 50, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	before, err := term.GetState(int(tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, keys: keys, tty: tty, before: *before, cmd: exec.Command("tidings", args...), changed: make(chan struct{})}
	x.cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = tty, tty, tty
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x.reading.Go(x.read)
	t.Cleanup(func() {
		if x.cmd.ProcessState == nil {
			_ = x.cmd.Process.Kill()
			_ = x.cmd.Wait()
		}
		tty.Close() // the last one: the reader comes to the end
		x.reading.Wait()
		keys.Close()
		if t.Failed() {
			t.Logf("on the screen:\n%s", x.shown())
		}
	})
	return x
}

func (x *terminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := x.keys.Read(buf)
		x.mu.Lock()
		x.screen.Write(buf[:n])
		close(x.changed)
		x.changed = make(chan struct{})
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (x *terminal) shown() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.screen.String()
}

// sees waits until a text is on the screen.
func (x *terminal) sees(text string) {
	x.t.Helper()
	limit := time.After(patience)
	for {
		x.mu.Lock()
		there, changed := strings.Contains(x.screen.String(), text), x.changed
		x.mu.Unlock()
		if there {
			return
		}
		select {
		case <-changed:
		case <-limit:
			x.t.Fatalf("%q does not appear", text)
		}
	}
}

func (x *terminal) types(text string) {
	x.t.Helper()
	if _, err := io.WriteString(x.keys, text); err != nil {
		x.t.Fatal(err)
	}
}

// ends waits for the command and checks its exit status.
func (x *terminal) ends(code int) {
	x.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = x.cmd.Process.Kill() })
	defer timer.Stop()
	err := x.cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		x.t.Fatal(err)
	}
	if got := x.cmd.ProcessState.ExitCode(); got != code {
		x.t.Errorf("it ends with %d, want %d", got, code)
	}
}

// TestPasswordOnTerminal types passwords, which nobody gets to see, and changes their mind.
func TestPasswordOnTerminal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second string
		code          int
		says          string
	}{
		"twice the same": {"correct horse\r", "correct horse\r", 0, "user lamp written to"},
		"different":      {"correct horse\r", "battery staple\r", 1, "tidings: user lamp: the two passwords differ: nothing was changed"},
		"empty":          {"\r", "", 1, "tidings: user lamp: no password given"},
		"Ctrl-C":         {"correct\x03", "", 1, "tidings: user lamp: no password given"},
		"Ctrl-D":         {"correct horse\r", "\x04", 1, "tidings: user lamp: no password given"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "users")
			x := onTerminal(t, "broker", "adduser", "lamp", "--file", file)
			x.sees("Password: ")
			x.types(c.first)
			if c.second != "" {
				x.sees("Again: ")
				x.types(c.second)
			}
			x.sees(c.says)
			x.ends(c.code)
			if strings.Contains(x.shown(), "correct") || strings.Contains(x.shown(), "battery") {
				t.Error("the password is on the screen")
			}
			if after, err := term.GetState(int(x.tty.Fd())); err != nil || *after != x.before {
				t.Errorf("the terminal is not left as it was: %v", err)
			}
			if _, err := os.Stat(file); (err == nil) != (c.code == 0) {
				t.Errorf("the file of users: %v", err)
			}
		})
	}
}

// TestDemoOnTerminal has a QR code, which nobody wants in a log, and Ctrl-C as a key.
func TestDemoOnTerminal(t *testing.T) {
	t.Parallel()
	x := onTerminal(t, "demo", "--listen", "127.0.0.1:0")
	x.sees("server: 127.0.0.1:")
	x.sees("▄")
	x.sees("xmpp:demo@localhost\r\n")
	x.sees("Ctrl-C ends it.")
	x.types("\x03")
	x.ends(0)
}
