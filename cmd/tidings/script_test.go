package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	mqttsim "tidings/firmware-sim/mqtt"
	serialsim "tidings/firmware-sim/serial"
)

// patience is how long a script waits for something that is to happen.
const patience = 30 * time.Second

// TestScripts runs the command line as a person would. Apart from testscript's own, a script has the commands
//
//	status CODE tidings …       the exit status is that
//	notified REGEXP             waits until the gateway tells the supervisor (systemd) something that matches
//	until REGEXP tidings …      runs the command again until its output matches
//	signal HUP|TERM|INT         signals the gateway that runs in the background
//	house                       starts a greenhouse on the serial port $WORK/greenhouse and a lamp at the broker $MQTT
//	occupy, vacate              listens on $OCCUPIED, and lets go of it
//	stranger CODE tidings …     runs the command as somebody who may not open the control socket
func TestScripts(t *testing.T) {
	t.Parallel()
	sample, err := filepath.Abs("../../gateway.toml")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			notices, err := listenNotices(filepath.Join(e.WorkDir, "notify"))
			if err != nil {
				return err
			}
			e.Defer(notices.close)
			e.Values[noticesKey{}] = notices
			e.Values[occupiedKey{}] = &occupied{}
			e.Setenv("SAMPLE", sample)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("NOTIFY_SOCKET", notices.path)
			e.Setenv("TIDINGS_SOCKET", filepath.Join(e.WorkDir, "tidings.sock"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": func(ts *testscript.TestScript, _ bool, args []string) {
				checkCode(ts, ts.Exec(args[1], args[2:]...), args[0])
			},
			"notified": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(ts.Value(noticesKey{}).(*notices).await(regexp.MustCompile(args[0])))
			},
			"until":    until,
			"signal":   signalGateway,
			"house":    func(ts *testscript.TestScript, _ bool, _ []string) { startHouse(ts) },
			"stranger": stranger,
			"occupy": func(ts *testscript.TestScript, _ bool, _ []string) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				ts.Check(err)
				ts.Value(occupiedKey{}).(*occupied).Listener = l
				ts.Setenv("OCCUPIED", l.Addr().String())
				ts.Defer(func() { _ = l.Close() })
			},
			"vacate": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(ts.Value(occupiedKey{}).(*occupied).Close())
			},
		},
	})
}

func checkCode(ts *testscript.TestScript, err error, want string) {
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit status %d, want %s", code, want)
	}
}

func until(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[0])
	for deadline := time.Now().Add(patience); ; {
		err := ts.Exec(args[1], args[2:]...)
		out := ts.ReadFile("stdout")
		if err == nil && want.MatchString(out) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("it never says %s; last %v:\n%s%s", want, err, out, ts.ReadFile("stderr"))
		}
	}
}

func signalGateway(ts *testscript.TestScript, _ bool, args []string) {
	sig := map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT}[args[0]]
	all := ts.BackgroundCmds()
	ts.Check(all[len(all)-1].Process.Signal(sig))
}

// startHouse starts the simulated devices that house.toml of the scripts knows. The broker is to listen on a loopback
// address that no other test has.
func startHouse(ts *testscript.TestScript) {
	broker, err := freeAddress()
	ts.Check(err)
	ts.Setenv("MQTT", broker)
	node, err := serialsim.New(serialsim.Options{Link: ts.MkAbs("greenhouse"), Every: 100 * time.Millisecond})
	ts.Check(err)
	lamp := mqttsim.NewLamp(mqttsim.Options{Broker: "mqtt://" + broker})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = node.Run(ctx) })
	wg.Go(func() { _ = lamp.Run(ctx) })
	ts.Defer(func() {
		cancel()
		wg.Wait()
	})
}

// lastLoopback makes the addresses of this process differ; its pid those of different processes.
var lastLoopback = struct {
	sync.Mutex
	n byte
}{}

// freeAddress is an address of this machine where nothing listens and nobody else will.
func freeAddress() (string, error) {
	lastLoopback.Lock()
	lastLoopback.n++
	host := net.IPv4(127, byte(os.Getpid()>>8), byte(os.Getpid()), 1+lastLoopback.n)
	lastLoopback.Unlock()
	l, err := net.Listen("tcp", net.JoinHostPort(host.String(), "0"))
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// stranger runs a command as somebody the socket is not for. Root may open everything, so as root that is nobody, in
// the file system's sense: the program and the socket's directory are where nobody gets to.
func stranger(ts *testscript.TestScript, _ bool, args []string) {
	socket := ts.Getenv("TIDINGS_SOCKET")
	if os.Geteuid() != 0 {
		ts.Check(os.Chmod(socket, 0))
		checkCode(ts, ts.Exec(args[1], args[2:]...), args[0])
		ts.Check(os.WriteFile(ts.MkAbs("stranger"), []byte(ts.ReadFile("stderr")), 0o600))
		ts.Check(os.Chmod(socket, 0o660))
		return
	}
	public, err := os.MkdirTemp("", "tidings-stranger-")
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(public) })
	ts.Check(os.Chmod(public, 0o755))
	program, err := exec.LookPath(args[1])
	ts.Check(err)
	copied := filepath.Join(public, filepath.Base(program))
	if os.Link(program, copied) != nil {
		content, err := os.ReadFile(program)
		ts.Check(err)
		ts.Check(os.WriteFile(copied, content, 0o755))
	}
	cmd := exec.Command(copied, args[2:]...)
	cmd.Dir, cmd.Env = public, []string{"TIDINGS_SOCKET=" + socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	checkCode(ts, err, args[0])
	ts.Check(os.WriteFile(ts.MkAbs("stranger"), out, 0o600))
}

// occupied is what `occupy` listens on.
type occupied struct{ net.Listener }

type occupiedKey struct{}

// notices is the other end of sd_notify(3).
type notices struct {
	path string
	conn *net.UnixConn
}

type noticesKey struct{}

func listenNotices(path string) (*notices, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return &notices{path: path, conn: conn}, nil
}

// await drops notices until one matches.
func (n *notices) await(want *regexp.Regexp) error {
	if err := n.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var seen []string
	buf := make([]byte, 4096)
	for {
		count, err := n.conn.Read(buf)
		if err != nil {
			return fmt.Errorf("no notice matches %s: %q: %w", want, seen, err)
		}
		if text := string(buf[:count]); want.MatchString(text) {
			return nil
		} else {
			seen = append(seen, text)
		}
	}
}

func (n *notices) close() { _ = n.conn.Close() }
