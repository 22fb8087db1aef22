//go:build servers

package broker_test

import (
	"bufio"
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidings/drivers/mqtt/broker"
)

// command runs a program and returns its output.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// at are the options of mosquitto_pub and mosquitto_sub for an address, a user and more.
func at(addr net.Addr, user string, more ...string) []string {
	host, port, _ := net.SplitHostPort(addr.String())
	return append([]string{"-h", host, "-p", port, "-u", user, "-P", "pw"}, more...)
}

func TestMosquittoClients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert := filepath.Join(dir, "broker.pem")
	pair(t, cert)
	o := broker.Options{
		Dir: dir, Listen: []string{"127.0.0.1:0"}, TLSListen: []string{"127.0.0.1:0"}, CertFile: cert, KeyFile: cert,
		UsersFile: usersFile(t, broker.NewUser{Name: "lamp", Read: []string{"cmnd/%u/#"}, Write: []string{"stat/%u/#", "tele/%u/LWT"}}, broker.NewUser{Name: "all"}),
	}
	b, stop := start(t, o)
	for i, more := range [][]string{{"-V", "mqttv31"}, {"-V", "mqttv311"}, {"-V", "mqttv5"}} {
		for way, addr := range b.Addrs() {
			if way == 1 {
				more = append(more, "--cafile", cert)
			}
			// Somebody waits; somebody speaks; what waited comes, with the QoS asked for.
			sub := exec.CommandContext(t.Context(), "stdbuf", append(append([]string{"-oL", "mosquitto_sub"}, at(addr, "all", more...)...), "-d", "-q", "2", "-t", "stat/#", "-C", "3", "-F", "%t=%p %q %r", "-W", "30")...)
			out, err := sub.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := sub.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for lines.Scan() && !strings.HasPrefix(lines.Text(), "Subscribed") {
			}
			for _, qos := range []string{"0", "1", "2"} {
				command(t, "mosquitto_pub", append(at(addr, "lamp", more...), "-q", qos, "-t", "stat/lamp/POWER", "-m", qos)...)
				command(t, "mosquitto_pub", append(at(addr, "lamp", more...), "-q", qos, "-t", "stat/other/POWER", "-m", "may not")...)
			}
			var got []string
			for lines.Scan() {
				if !strings.HasPrefix(lines.Text(), "Client ") {
					got = append(got, lines.Text())
				}
			}
			if err := sub.Wait(); err != nil {
				t.Errorf("mosquitto_sub: %v", err)
			}
			if s := strings.Join(got, ", "); s != "stat/lamp/POWER=0 0 0, stat/lamp/POWER=1 1 0, stat/lamp/POWER=2 2 0" {
				t.Errorf("%d %v: got %s", i, more, s)
			}
		}
	}
	// What is retained is there after a restart, for who may have it.
	command(t, "mosquitto_pub", at(b.Addrs()[0], "lamp", "-r", "-q", "1", "-t", "tele/lamp/LWT", "-m", "Online")...)
	command(t, "mosquitto_pub", at(b.Addrs()[0], "all", "-r", "-q", "1", "-t", "cmnd/lamp/POWER", "-m", "ON")...)
	stop()
	b, _ = start(t, o)
	if got := command(t, "mosquitto_sub", at(b.Addrs()[0], "all", "-t", "#", "-C", "2", "-F", "%t=%p %r", "-W", "30")...); got != "cmnd/lamp/POWER=ON 1\ntele/lamp/LWT=Online 1\n" {
		t.Errorf("all gets %q", got)
	}
	if got := command(t, "mosquitto_sub", at(b.Addrs()[0], "lamp", "-t", "#", "-C", "1", "-F", "%t=%p %r", "-W", "30")...); got != "cmnd/lamp/POWER=ON 1\n" {
		t.Errorf("lamp gets %q", got)
	}
	out, err := exec.CommandContext(t.Context(), "mosquitto_sub", append(at(b.Addrs()[0], "lamp", "-t", "tele/lamp/LWT"), "-W", "30")...).CombinedOutput()
	if !strings.Contains(string(out), "All subscription requests were denied") {
		t.Errorf("lamp subscribes to what it may not read: %v: %s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), "mosquitto_pub", "-h", "127.0.0.1", "-p", port(b.Addrs()[0]), "-u", "lamp", "-P", "wrong", "-t", "a", "-m", "b").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not authorised") && !strings.Contains(string(out), "bad user name") {
		t.Errorf("a wrong password: %v: %s", err, out)
	}
}

func port(addr net.Addr) string {
	_, port, _ := net.SplitHostPort(addr.String())
	return port
}

// The Python library, over every way in, in both versions of the protocol.
func TestPythonClient(t *testing.T) {
	t.Parallel()
	cert := filepath.Join(t.TempDir(), "broker.pem")
	pair(t, cert)
	b, _ := start(t, broker.Options{
		Listen: []string{"127.0.0.1:0"}, TLSListen: []string{"127.0.0.1:0"}, WebSocket: "127.0.0.1:0", TLSWebSocket: "127.0.0.1:0",
		CertFile: cert, KeyFile: cert, UsersFile: usersFile(t, broker.NewUser{Name: "python", Read: []string{"home/#"}, Write: []string{"home/#"}}),
	})
	const three = `connected 0
granted [2, 128]
home/state=kept qos=1 retain=1
home/live=0 qos=0 retain=0
home/live=1 qos=1 retain=0
home/live=2 qos=2 retain=0
`
	const five = `connected 0
maximum packet 256000
granted [2, 135]
home/state=kept qos=1 retain=1 user=[('room', 'attic')] type=text/plain id=[7] expires=True
home/live=0 qos=0 retain=0 user=None type=None id=[7] expires=False
home/live=1 qos=1 retain=0 user=None type=None id=[7] expires=False
home/live=2 qos=2 retain=1 user=None type=None id=[7] expires=False
granted [0]
granted [0]
home/state=kept qos=0 retain=1 user=[('room', 'attic')] type=text/plain id=None expires=True
`
	for i, addr := range b.Addrs() {
		transport, ca := "tcp", "-"
		if i >= 2 {
			transport = "websockets"
		}
		if i%2 == 1 {
			ca = cert
		}
		for version, want := range map[string]string{"4": three, "5": five} {
			got := command(t, "/usr/bin/python3", "testdata/client.py", "127.0.0.1", port(addr), transport, ca, version, "python", "pw")
			if got != want {
				t.Errorf("%s, TLS %t, version %s: got\n%s\nwant\n%s", transport, ca != "-", version, got, want)
			}
		}
	}
}
