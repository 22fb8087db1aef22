package serial_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidings/firmware-sim/serial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a node for the length of a test.
func start(t *testing.T, o serial.Options) (node *serial.Node, stop func()) {
	t.Helper()
	if o.Every == 0 {
		o.Every = 5 * time.Millisecond
	}
	node, err := serial.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := node.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return node, stop
}

// port is what a gateway would have open.
type port struct {
	*os.File
	lines *bufio.Scanner
	t     *testing.T
}

func open(t *testing.T, path string) port {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(f)
	s.Scan() // it may be the end of one
	return port{f, s, t}
}

// until reads lines up to one that matches.
func (p port) until(what string, match func(line string) bool) string {
	p.t.Helper()
	for p.lines.Scan() {
		if line := strings.TrimSuffix(p.lines.Text(), "\r"); match(line) {
			return line
		}
	}
	p.t.Fatalf("no %s: %v", what, p.lines.Err())
	return ""
}

func (p port) say(line string) {
	p.t.Helper()
	if _, err := p.WriteString(line + "\n"); err != nil {
		p.t.Fatal(err)
	}
}

func has(part string) func(string) bool {
	return func(line string) bool { return strings.Contains(line, part) }
}

func set(t *testing.T, n *serial.Node, f serial.Fault, on bool) {
	t.Helper()
	if err := n.SetFault(f, on); err != nil {
		t.Fatal(err)
	}
}

func TestGreenhouse(t *testing.T) {
	t.Parallel()
	node, _ := start(t, serial.Options{ID: "gh1"})
	p := open(t, node.Path())
	line := p.until("line", func(string) bool { return true })
	var said struct {
		ID   string
		T, H int
		Pump bool
		Set  json.Number
	}
	if err := json.Unmarshal([]byte(line), &said); err != nil || said.ID != "gh1" || said.T < 220 || said.T > 380 || said.H < 40 || said.H > 65 || said.Pump || said.Set != "21.0" {
		t.Errorf("%s: %+v %v", line, said, err)
	}
	p.say(`{"pump":true}`)
	p.until("pump", has(`"pump":true`))
	p.say(`{"set":22.5}`)
	p.until("set point", has(`"set":22.5`))
	p.say(`{"set":99}` + "\r\nrubbish\r\n{}")
	p.say(`{"pump":false,"set":20}`)
	p.until("both", has(`"pump":false,"set":20.0`))
}

func TestBed(t *testing.T) {
	t.Parallel()
	node, _ := start(t, serial.Options{Kind: serial.Bed, ID: "b1"})
	p := open(t, node.Path())
	shape := regexp.MustCompile(`^t=\d\d\.\d h=\d\d valve=off id=b1$`)
	p.until("line", shape.MatchString)
	p.say("valve=on")
	p.until("valve", has("valve=on"))
	p.say("valve=maybe")
	p.say("valve=off")
	p.until("valve", has("valve=off"))
}

func TestLogger(t *testing.T) {
	t.Parallel()
	node, _ := start(t, serial.Options{Kind: serial.Logger})
	p := open(t, node.Path())
	p.until("header", func(line string) bool { return line == "seconds,t,h" })
	p.until("row", regexp.MustCompile(`^\d+,\d\d\.\d,\d\d$`).MatchString)
	p.until("header", func(line string) bool { return line == "seconds,t,h" })
}

func TestStation(t *testing.T) {
	t.Parallel()
	node, _ := start(t, serial.Options{Kind: serial.Station})
	p := open(t, node.Path())
	p.until("sentence", regexp.MustCompile(`^Temp: \d\d\.\d C, hum \d\d%$`).MatchString)
	p.until("pump", func(line string) bool { return line == "Pump OFF" })
	p.say("valve=on")
	p.say("pump on")
	p.until("pump", func(line string) bool { return line == "Pump ON" })
}

func TestMeter(t *testing.T) {
	t.Parallel()
	node, _ := start(t, serial.Options{Kind: serial.Meter})
	p := open(t, node.Path())
	p.until("beginning", func(line string) bool { return line == `/ISk5\2MT382-1000` })
	p.until("version", func(line string) bool { return line == "1-3:0.2.8(50)" })
	p.until("power", regexp.MustCompile(`^1-0:1\.7\.0\(0[01]\.\d{3}\*kW\)$`).MatchString)
	p.until("gas", regexp.MustCompile(`^0-1:24\.2\.1\(\d{12}[SW]\)\(00981\.443\*m3\)$`).MatchString)
	p.until("end", regexp.MustCompile(`^![0-9A-F]{4}$`).MatchString)
	set(t, node, serial.Cut, true)
	set(t, node, serial.Corrupt, true)
	p.until("a cut telegram", regexp.MustCompile(`.+/ISk5`).MatchString)

	old, _ := start(t, serial.Options{Kind: serial.OldMeter})
	p = open(t, old.Path())
	p.until("gas", regexp.MustCompile(`^0-1:24\.3\.0\(\d{12}\)\(00\)\(60\)\(1\)\(0-1:24\.2\.1\)\(m3\)$`).MatchString)
	p.until("gas", func(line string) bool { return line == "(00981.443)" })
	p.until("end", func(line string) bool { return line == "!" })
}

// TestListen: a board behind a serial server is heard and told over TCP, by all who are connected, and goes and comes at
// the same place.
func TestListen(t *testing.T) {
	t.Parallel()
	node, stop := start(t, serial.Options{Kind: serial.Bed, Listen: "127.0.0.1:0"})
	path := node.Path()
	for range 2 {
		var clients []port
		for range 2 {
			conn, err := net.Dial("tcp", strings.TrimPrefix(path, "tcp://"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			file, err := conn.(*net.TCPConn).File()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { file.Close() })
			conn.Close()
			clients = append(clients, port{file, bufio.NewScanner(file), t})
		}
		clients[0].say("valve=on")
		for _, p := range clients {
			p.until("valve", has("valve=on"))
		}
		set(t, node, serial.Unplug, true)
		for clients[0].lines.Scan() { // ends when the server closes the connection
		}
		if got := node.Path(); got != path {
			t.Errorf("unplugged it is at %q, and was at %q", got, path)
		}
		set(t, node, serial.Unplug, false)
	}
	stop()
	if conn, err := net.Dial("tcp", strings.TrimPrefix(path, "tcp://")); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

// TestCurve: the temperature is above 35 °C for a part of every period, and below 33 °C for another.
func TestCurve(t *testing.T) {
	t.Parallel()
	node, err := serial.New(serial.Options{Period: 200 * time.Millisecond, Unplugged: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for deadline := time.Now().Add(20 * time.Second); node.State().Temperature < 35; {
			if time.Now().After(deadline) {
				t.Fatal("it never gets hot")
			}
			time.Sleep(time.Millisecond)
		}
		for deadline := time.Now().Add(20 * time.Second); node.State().Temperature > 33; {
			if time.Now().After(deadline) {
				t.Fatal("it never cools down")
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	node, _ := start(t, serial.Options{})
	p := open(t, node.Path())
	p.say(`{"pump":true}`)
	p.until("pump", has(`"pump":true`))

	set(t, node, serial.Reboot, true)
	p.until("boot message", has("ready"))
	p.until("pump off", has(`"pump":false`))

	set(t, node, serial.Stuck, true)
	p.say(`{"pump":true,"set":25}`)
	p.until("set point", has(`"pump":false,"set":25.0`)) // it took the command, and the relay is stuck
	set(t, node, serial.Stuck, false)

	set(t, node, serial.Garbage, true)
	p.until("noise", has("\xff\xfe"))
	p.until("a line without end", has("UUUUUUUU"))
	p.until("a line that ran into another", has(`{"t":21{"t":`))
	set(t, node, serial.Garbage, false)

	set(t, node, serial.Silence, true)
	p.say(`{"pump":true}`)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := node.Await(ctx, func(s serial.State) bool { return s.Relay }); err != nil {
		t.Fatal(err)
	}
	set(t, node, serial.Silence, false)
	p.until("pump", has(`"pump":true`))

	if err := node.SetFault("fire", true); err == nil {
		t.Error("there is a fault named fire")
	}
}

func TestUnplug(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "by-id")
	node, stop := start(t, serial.Options{Link: link})
	if node.Path() != link {
		t.Errorf("path %q, want %q", node.Path(), link)
	}
	for range 2 {
		p := open(t, link)
		p.say(`{"pump":true}`)
		p.until("pump", has(`"pump":true`))
		set(t, node, serial.Unplug, true)
		set(t, node, serial.Unplug, true)
		for p.lines.Scan() { // ends when the port is gone
		}
		if errors.Is(p.lines.Err(), os.ErrDeadlineExceeded) {
			t.Error("the port did not go")
		}
		if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the link is there: %v", err)
		}
		set(t, node, serial.Unplug, false)
		if node.State().Relay {
			t.Error("the pump runs on without power")
		}
	}
	stop()
	if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link is left: %v", err)
	}
}

func TestLinkInTheWay(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := serial.New(serial.Options{Link: file}); err == nil {
		t.Error("a file was replaced by a link")
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
		t.Errorf("the file has %q %v", data, err)
	}
}

// TestNobodyListens: what nobody reads is lost, as on a wire, and does not stop the board.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	node, _ := start(t, serial.Options{Every: time.Millisecond})
	set(t, node, serial.Garbage, true) // 5000 bytes now and then
	p, err := os.OpenFile(node.Path(), os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, c := range []struct {
		line string
		want bool
	}{{`{"pump":true}`, true}, {`{"pump":false}`, false}} {
		time.Sleep(100 * time.Millisecond) // a hundred lines that nobody takes
		if _, err := p.WriteString(c.line + "\n"); err != nil {
			t.Fatal(err)
		}
		if err := node.Await(ctx, func(s serial.State) bool { return s.Relay == c.want }); err != nil {
			t.Fatal(err)
		}
	}
}
