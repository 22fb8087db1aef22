package main

import (
	"bufio"
	"bytes"
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
	"syscall"
	"testing"
	"time"

	sim "tidings/firmware-sim/house"
	"tidings/firmware-sim/mqtt/board"
	serialsim "tidings/firmware-sim/serial"
)

// greeting is what a demo says first.
type greeting struct{ jid, password, server string }

// readGreeting reads the three lines that programs may rely on.
func readGreeting(lines *bufio.Scanner) (g greeting, err error) {
	for _, part := range []struct {
		prefix string
		value  *string
	}{{"JID: ", &g.jid}, {"password: ", &g.password}, {"server: ", &g.server}} {
		if !lines.Scan() {
			return g, fmt.Errorf("it ends before %q: %v", part.prefix, lines.Err())
		}
		value, ok := strings.CutPrefix(lines.Text(), part.prefix)
		if !ok {
			return g, fmt.Errorf("it says %q, want %q", lines.Text(), part.prefix)
		}
		*part.value = value
	}
	return g, nil
}

// A demoProcess is `tidings demo` in a process of its own.
type demoProcess struct {
	greeting
	cmd    *exec.Cmd
	stdout io.ReadCloser
	stderr bytes.Buffer
	temp   string // what it has for temporary files
}

// startDemo starts a demo and returns when it has said how to log in. It is killed with the test at the latest.
func startDemo(t testing.TB, args ...string) *demoProcess {
	t.Helper()
	d := &demoProcess{temp: t.TempDir(), cmd: exec.Command("tidings", append([]string{"demo", "--listen", "127.0.0.1:0"}, args...)...)}
	d.cmd.Env = append(os.Environ(), "TMPDIR="+d.temp)
	d.cmd.Stderr = &d.stderr
	d.cmd.WaitDelay = patience
	var err error
	if d.stdout, err = d.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.cmd.ProcessState == nil {
			_ = d.cmd.Process.Kill()
			_ = d.cmd.Wait()
		}
	})
	timer := time.AfterFunc(patience, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	if d.greeting, err = readGreeting(bufio.NewScanner(d.stdout)); err != nil {
		t.Fatalf("%v\n%s", err, &d.stderr)
	}
	if d.jid != "demo@localhost" || len(d.password) < 12 {
		t.Errorf("it says %+v", d.greeting)
	}
	return d
}

// end signals the demo and checks that nothing is left of it.
func (d *demoProcess) end(t testing.TB, sig os.Signal) {
	t.Helper()
	conn, err := net.Dial("tcp", d.server)
	if err != nil {
		t.Errorf("nobody listens where it says: %v", err)
	} else {
		defer conn.Close()
	}
	if err := d.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("after %v: %v", sig, err)
	}
	if d.stderr.Len() > 0 {
		t.Errorf("it says on standard error:\n%s", &d.stderr)
	}
	if conn, err := net.Dial("tcp", d.server); err == nil {
		conn.Close()
		t.Errorf("%s still listens", d.server)
	}
	if left, err := os.ReadDir(d.temp); err != nil || len(left) > 0 {
		t.Errorf("it leaves behind %v %v", left, err)
	}
}

// TestDemoEnds ends a demo in every way a person may.
func TestDemoEnds(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]os.Signal{"Ctrl-C": os.Interrupt, "asked": syscall.SIGTERM, "terminal closed": syscall.SIGHUP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			startDemo(t).end(t, sig)
		})
	}
	// As with `tidings demo | head -3`: it cannot say anything more, and still cleans up.
	t.Run("output closed", func(t *testing.T) {
		t.Parallel()
		d := startDemo(t)
		_ = d.stdout.Close()
		d.end(t, os.Interrupt)
	})
}

// TestDemoOutputGone has nobody read from the beginning.
func TestDemoOutputGone(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	reader.Close()
	cmd := exec.CommandContext(t.Context(), "tidings", "demo", "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	cmd.Stdout = writer
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("it ends with %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("it leaves behind %v %v", left, err)
	}
}

// TestDemoData keeps what the gateway remembers, with the password.
func TestDemoData(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "kept")
	first := startDemo(t, "--data", data)
	out, err := exec.Command("tidings", "demo", "--data", data).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another demo runs there") {
		t.Errorf("a second one in the same directory: %v %s", err, out)
	}
	first.end(t, os.Interrupt)
	for _, gone := range []string{"greenhouse", "tidings.sock"} {
		if _, err := os.Lstat(filepath.Join(data, gone)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", gone, err)
		}
	}
	second := startDemo(t, "--data", data)
	if second.password != first.password {
		t.Errorf("the password was %s and is %s", first.password, second.password)
	}
	second.end(t, os.Interrupt)
}

// TestDemoAddresses has --listen and --mqtt name addresses, free ones and one that is taken.
func TestDemoAddresses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flag := range []string{"--listen", "--mqtt"} {
		out, err := exec.Command("tidings", "demo", flag, taken.Addr().String()).CombinedOutput()
		want := fmt.Sprintf("tidings: demo: %s %s: something listens there already: end it, or name another port (0 is any that is free)\n", flag, taken.Addr())
		if err == nil || string(out) != want {
			t.Errorf("%s: %v\n%s want\n%s", flag, err, out, want)
		}
	}
	xmpp, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	broker, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	d := startDemo(t, "--listen", xmpp, "--mqtt", broker)
	if d.server != xmpp {
		t.Errorf("it listens at %s, want %s", d.server, xmpp)
	}
	if conn, err := net.Dial("tcp", broker); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
	d.end(t, os.Interrupt)
}

// newTour is a demo that takes the tour, in this process, and its house.
func newTour(t *testing.T) (*house, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	d := &demo{data: t.TempDir(), tour: true, listen: "127.0.0.1:0", mqtt: "127.0.0.1:0", out: &out, stderr: &logOf{t: t},
		heat: 4 * time.Second, patience: patience}
	h, err := newHouse(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return h, &out
}

// logOf shows what is logged when its test fails.
type logOf struct {
	t  *testing.T
	mu sync.Mutex
}

func (l *logOf) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

func TestTour(t *testing.T) {
	t.Parallel()
	h, out := newTour(t)
	if err := h.run(t.Context()); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, want := range []string{"Logged in as demo@localhost/tour", "SCRAM-SHA-256-PLUS", "Garden", "Living room",
		"greenhouse@localhost/greenhouse", "°C", "Pump on", "Pump is on (confirmed by the device)", `asks "Really?"`,
		"Lamp: Light is on (confirmed by the device)", "Brightness is 40 % (confirmed", "Color is red (confirmed", "closing (accepted", "99 °C is out of range", "open the window", "a picture of 800 by 400", "too-hot over"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
	// Outputs are in their safe state when the gateway has gone.
	if h.sim.Greenhouse.State().Relay || h.sim.Chip.Relay(sim.RelayLine).On() {
		t.Error("the pump or the heater is still on")
	}
}

// TestTourFails has something in the house be broken: the tour says what did not happen.
func TestTourFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		broken func(*house) error
		want   string
	}{
		"the lamp never answers": {
			func(h *house) error { return h.sim.SetFault(sim.Bridge, board.Stuck, true) },
			"tour: lamp on: Lamp: Light: the device did not confirm",
		},
		"the pump is stuck": {
			func(h *house) error { return h.sim.Greenhouse.SetFault(serialsim.Stuck, true) },
			"tour: pump on: the device did not confirm",
		},
		"the greenhouse says nothing": {
			func(h *house) error {
				h.demo.patience = time.Second
				return h.sim.Greenhouse.SetFault(serialsim.Silence, true)
			},
			"tour: Greenhouse coming online did not happen within 1s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, out := newTour(t)
			if err := c.broken(h); err != nil {
				t.Fatal(err)
			}
			err := h.run(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("it ends with %v, want %s\n%s", err, c.want, out)
			}
		})
	}
}

// TestDemoInProcess ends a demo that runs in this process, where goroutines that are left would be found.
func TestDemoInProcess(t *testing.T) {
	t.Parallel()
	said, out := io.Pipe()
	root := rootCommand()
	root.SetArgs([]string{"demo", "--listen", "127.0.0.1:0"})
	root.SetOut(out)
	root.SetErr(&logOf{t: t})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := root.ExecuteContext(ctx)
		out.Close()
		done <- err
	}()
	if _, err := readGreeting(bufio.NewScanner(said)); err != nil {
		t.Error(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, said); err != nil { // until it has ended
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
