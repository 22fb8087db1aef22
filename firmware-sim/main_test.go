package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestGreenhouse runs the command as a person would: it prints its path, talks on it, and takes faults.
func TestGreenhouse(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "greenhouse")
	typed, keyboard := io.Pipe()
	screen, printed := io.Pipe()
	cmd := command(typed)
	cmd.SetArgs([]string{"serial", "greenhouse", "--link", link, "--every", "5ms", "--fault", "stuck,silence"})
	cmd.SetOut(printed)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()

	lines := bufio.NewScanner(screen)
	read := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("it prints %q, want %q", lines.Text(), want)
		}
	}
	answer := func(line, want string) {
		t.Helper()
		if _, err := io.WriteString(keyboard, line+"\n"); err != nil {
			t.Fatal(err)
		}
		read(want)
	}
	read(link)
	port, err := os.OpenFile(link, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	answer("silence", "silence off")
	if line, err := bufio.NewReader(port).ReadString('\n'); err != nil || !strings.Contains(line, `"pump":false`) {
		t.Errorf("the board says %q %v", line, err)
	}
	answer(" Stuck OFF ", "stuck off")
	answer("garbage on", "garbage on")
	answer("garbage", "garbage off")
	answer("reboot", "reboot on")
	answer("reboot", "reboot on")
	answer("fire", `"fire" is no fault: there are garbage, cut, corrupt, silence, reboot, stuck, unplug`)
	answer("garbage maybe", `"maybe": on or off?`)
	answer("help", "a fault, and on or off: garbage, cut, corrupt, silence, reboot, stuck, unplug")
	answer("unplug", "unplug on")
	if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unplugged, and the link is there: %v", err)
	}
	answer("unplug", "unplug off")
	keyboard.Close() // it runs on without a keyboard
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link is left: %v", err)
	}
}

// TestRelay drives a relay, and sees it stick.
func TestRelay(t *testing.T) {
	t.Parallel()
	typed, keyboard := io.Pipe()
	screen, printed := io.Pipe()
	cmd := command(typed)
	cmd.SetArgs([]string{"gpio", "relay"})
	cmd.SetOut(printed)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	lines := bufio.NewScanner(screen)
	expect := func(typed string, want ...string) {
		t.Helper()
		if typed != "" {
			if _, err := io.WriteString(keyboard, typed); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for range want { // the answer and the level come in either order
			if !lines.Scan() {
				t.Fatalf("after %q it says no more than %q", typed, got)
			}
			got = append(got, lines.Text())
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("after %q it says %q, want %q", typed, got, want)
		}
	}
	expect("", "firmware-sim GPIO17", "level Low")
	expect("power on\n", "level High", "power on")
	expect("stuck\n", "stuck on")
	expect("power off\n", "power off")
	expect("stuck off\n", "stuck off")
	expect("power off\n", "level Low", "power off")
	expect("fire\n", `"fire" is no fault: there are power, stuck`)
	keyboard.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestModbus asks a meter on the simulated line, which breaks and mends as it is told.
func TestModbus(t *testing.T) {
	t.Parallel()
	typed, keyboard := io.Pipe()
	screen, printed := io.Pipe()
	cmd := command(typed)
	cmd.SetArgs([]string{"modbus", "--listen", "127.0.0.1:0", "--fault", "dead-1"})
	cmd.SetOut(printed)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	lines := bufio.NewScanner(screen)
	if !lines.Scan() {
		t.Fatal("it says nothing")
	}
	port, err := net.Dial("tcp", strings.TrimPrefix(lines.Text(), "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	for _, word := range []string{"dead-1", "noisy-9", "hush"} {
		if _, err := io.WriteString(keyboard, word+"\n"); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), map[string]string{"dead-1": "dead-1 off", "noisy-9": `"noisy-9" is no fault`, "hush": "hush on"}[word]) {
			t.Errorf("%s: it says %q", word, lines.Text())
		}
	}
	if _, err := io.WriteString(keyboard, "hush off\n"); err != nil || !lines.Scan() {
		t.Fatal(err)
	}
	answer := make([]byte, 9)
	if _, err := port.Write([]byte{1, 4, 0, 0x0C, 0, 2, 0xB1, 0xC8}); err != nil { // power of an SDM120: its manual's example
		t.Fatal(err)
	}
	if _, err := io.ReadFull(port, answer); err != nil || string(answer[:7]) != "\x01\x04\x04\x43\xf0\x00\x00" {
		t.Errorf("the meter says % X %v", answer, err)
	}
	keyboard.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"serial bed --fault fire", `"fire" is no fault: there are garbage, cut, corrupt, silence, reboot, stuck, unplug`},
		{"serial greenhouse --link /proc/none/link", "link: "},
		{"mqtt lamp --broker http://127.0.0.1", `broker: "http://127.0.0.1": write it as in mqtt://127.0.0.1:1883`},
		{"mqtt plug --fault unplug", `"unplug" is no fault: there are garbage, silence, reboot, stuck`},
		{"modbus --tcp", "tcp: Modbus TCP needs --listen"},
		{"modbus --fault dead-9", `"dead-9" is no fault`},
		{"house --broker 127.0.0.1 --count 1000", `broker: "127.0.0.1": write it as in mqtt://127.0.0.1:1883`},
		{"house --fault fire-boiler", `"fire-boiler" is no fault: write FAULT-DEVICE`},
		{"house --fault offline-castle", `"castle" is none of the devices`},
		{"serial fire", `unknown command "fire"`},
	} {
		cmd := command(strings.NewReader(""))
		cmd.SetArgs(strings.Fields(c.args))
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.args, err, c.want)
		}
	}
}
