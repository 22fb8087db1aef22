//go:build servers

package mqtt_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/mqtt"
	firmware "tidings/firmware-sim/mqtt"
	"tidings/firmware-sim/mqtt/board"
	"tidings/firmware-sim/mqtt/homie"
)

// mosquitto is a broker no one here wrote: plain, TLS, client certificates and WebSocket, with users and an ACL.
type mosquitto struct {
	t                        *testing.T
	ca                       *authority
	dir                      string
	plain, tls, mutual, webs string // addresses

	process *exec.Cmd
	ended   chan struct{}
	output  *lockedBuffer
}

func newMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	m := &mosquitto{t: t, ca: newAuthority(t), output: &lockedBuffer{}}
	m.dir = m.ca.dir
	m.plain, m.tls, m.mutual, m.webs = freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t)
	m.ca.issue(t, "mqtt", &x509.Certificate{})
	m.ca.issue(t, "gateway", &x509.Certificate{})
	m.write("acl", "user gateway\ntopic readwrite #\nuser lamp\ntopic readwrite #\nuser guest\ntopic read #\n")
	m.write("passwd", "")
	for _, user := range []string{"gateway", "lamp", "guest"} {
		if out, err := exec.Command("mosquitto_passwd", "-b", m.ca.file("passwd"), user, user+"'s password").CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd: %v: %s: is the package mosquitto installed?", err, out)
		}
	}
	listener := func(addr string) string {
		host, port, _ := net.SplitHostPort(addr)
		return "listener " + port + " " + host + "\n"
	}
	keys := fmt.Sprintf("cafile %[1]s/ca.crt\ncertfile %[1]s/mqtt.crt\nkeyfile %[1]s/mqtt.key\n", m.dir)
	m.write("mosquitto.conf", fmt.Sprintf("per_listener_settings false\npersistence false\nlog_dest stderr\nallow_anonymous false\npassword_file %[1]s/passwd\nacl_file %[1]s/acl\n", m.dir)+
		listener(m.plain)+listener(m.tls)+keys+listener(m.mutual)+keys+"require_certificate true\n"+listener(m.webs)+"protocol websockets\n")
	// Started as root, mosquitto becomes the user of that name, who has to be able to come here.
	for dir := m.dir; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(m.ca.file("passwd"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.stop()
		if t.Failed() {
			t.Log(m.output)
		}
	})
	m.start()
	return m
}

func (m *mosquitto) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(m.ca.file(name), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mosquitto) start() {
	m.t.Helper()
	m.process = exec.Command("mosquitto", "-c", m.ca.file("mosquitto.conf"))
	m.process.Stdout, m.process.Stderr = m.output, m.output
	m.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.process.Start(); err != nil {
		m.t.Fatalf("mosquitto: %v: install it: apt-get install mosquitto", err)
	}
	m.ended = make(chan struct{})
	go func(p *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		_ = p.Wait()
	}(m.process, m.ended)
	deadline := time.Now().Add(patience)
	for {
		c, err := net.Dial("tcp", m.webs) // the last one of its file
		if err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-m.ended:
			m.t.Fatalf("mosquitto ended:\n%s", m.output)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("mosquitto does not listen: %v\n%s", err, m.output)
		}
	}
}

func (m *mosquitto) stop() {
	if m.process == nil {
		return
	}
	_ = m.process.Process.Signal(syscall.SIGTERM)
	<-m.ended
	m.process = nil
}

// lamp runs a simulated lamp on it for the length of the test.
func (m *mosquitto) lamp() *firmware.Device {
	m.t.Helper()
	d := firmware.NewLamp(firmware.Options{
		Broker: "mqtt://" + m.plain, Username: "lamp", Password: "lamp's password", Reboot: 10 * time.Millisecond,
	})
	m.power(d.Run)
	return d
}

// power has a device run for the length of the test.
func (m *mosquitto) power(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	m.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Error(err)
		}
	})
}

func mosquittoLamp(url, user, more string) string {
	return fmt.Sprintf(`
[drivers.house]
type = "mqtt"
broker = %q
username = %q
password = "%s's password"
client_id = "gateway"
%s
[devices.lamp]
availability = "tele/lamp/LWT"
online = "Online"
offline = "Offline"
[devices.lamp.points.power]
source = "stat/lamp/POWER"
command = "cmnd/lamp/POWER"
on = "ON"
off = "OFF"
`, url, user, user, more)
}

func lampTo(on bool) devices.Command {
	return devices.Command{Device: "lamp", Point: "power", Value: devices.Bool(on)}
}

func TestMosquitto(t *testing.T) {
	m := newMosquitto(t)
	lamp := m.lamp()
	ca := fmt.Sprintf("tls_ca_file = %q\n", m.ca.file("ca.crt"))
	client := fmt.Sprintf("tls_cert_file = %q\ntls_key_file = %q\n", m.ca.file("gateway.crt"), m.ca.file("gateway.key"))
	for _, c := range []struct{ name, url, more string }{
		{"plain", "mqtt://" + m.plain, ""},
		{"QoS 1", "mqtt://" + m.plain, "qos = 1"},
		{"QoS 2", "mqtt://" + m.plain, "qos = 2"},
		{"TLS", "mqtts://" + m.tls, ca},
		{"client certificate", "mqtts://" + m.mutual, ca + client},
		{"WebSocket", "ws://" + m.webs + "/mqtt", "qos = 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			do, sink, stop := run(t, nil, mosquittoLamp(c.url, "gateway", c.more))
			sink.WaitLink(t, "lamp", true)
			for range 3 {
				sink.WaitValue(t, "lamp", "power", devices.Bool(lamp.Power())) // at first the retained one
				on, mark := !lamp.Power(), sink.Mark()
				res, err := do.Do(t.Context(), lampTo(on))
				if err != nil {
					t.Fatal(err)
				}
				r := sink.WaitReadingAfter(t, mark, "lamp", "power", func(r devices.Reading) bool { return r.Value == devices.Bool(on) })
				if r.At.Before(res.Written) || lamp.Power() != on {
					t.Errorf("confirmed at %v, written at %v, the lamp is %t", r.At, res.Written, lamp.Power())
				}
			}
			stop()
		})
	}
}

func TestMosquittoRestarts(t *testing.T) {
	m := newMosquitto(t)
	lamp := m.lamp()
	do, sink, _ := run(t, nil, mosquittoLamp("mqtt://"+m.plain, "gateway", "qos = 1"))
	for _, on := range []bool{true, false} {
		sink.WaitLink(t, "lamp", true)
		mark := sink.Mark()
		if _, err := do.Do(t.Context(), lampTo(on)); err != nil {
			t.Fatal(err)
		}
		sink.WaitReadingAfter(t, mark, "lamp", "power", func(r devices.Reading) bool { return r.Value == devices.Bool(on) })
		m.stop()
		says(t, sink.WaitHealth(t, trouble), "mqtt house: "+m.plain)
		sink.WaitLink(t, "lamp", false) // or already: the broker may publish the lamp's last will as it goes
		m.start()                       // without persistence: it has forgotten subscriptions and retained messages
	}
	sink.WaitLink(t, "lamp", true)
	sink.WaitHealth(t, func(err error) bool { return err == nil })
	mark := sink.Mark()
	lamp.Press(true)
	sink.WaitReadingAfter(t, mark, "lamp", "power", func(r devices.Reading) bool { return r.Value == devices.Bool(true) })
}

func TestMosquittoLastWill(t *testing.T) {
	m := newMosquitto(t)
	lamp := m.lamp()
	_, sink, _ := run(t, nil, mosquittoLamp("mqtt://"+m.plain, "gateway", ""))
	sink.WaitLink(t, "lamp", true)
	if err := lamp.SetFault(firmware.Reboot, true); err != nil {
		t.Fatal(err)
	}
	says(t, sink.WaitLink(t, "lamp", false), `tele/lamp/LWT says "Offline"`)
	sink.WaitLink(t, "lamp", true)
}

func TestMosquittoRefuses(t *testing.T) {
	m := newMosquitto(t)
	lamp := m.lamp()
	_, sink, stop := run(t, nil, strings.Replace(mosquittoLamp("mqtt://"+m.plain, "gateway", ""), "gateway's", "nobody's", 1))
	says(t, sink.WaitHealth(t, trouble), `the broker does not take the password of "gateway"`)
	stop()
	_, sink, stop = run(t, nil, mosquittoLamp("mqtts://"+m.tls, "gateway", ""))
	says(t, sink.WaitHealth(t, trouble), "an authority that is not known here")
	stop()
	_, sink, stop = run(t, nil, mosquittoLamp("mqtts://"+m.mutual, "gateway", fmt.Sprintf("tls_ca_file = %q\n", m.ca.file("ca.crt"))))
	says(t, sink.WaitHealth(t, trouble), "tls_cert_file") // its alert may be lost: it resets the connection
	stop()
	// A user who may only read: mosquitto takes the command and drops it, so that it is never confirmed.
	do, sink, _ := run(t, nil, mosquittoLamp("mqtt://"+m.plain, "guest", "qos = 1"))
	sink.WaitLink(t, "lamp", true)
	sink.WaitReading(t, "lamp", "power", nil)
	mark := sink.Mark()
	if _, err := do.Do(t.Context(), lampTo(!lamp.Power())); err != nil {
		t.Fatal(err)
	}
	lamp.Press(false) // comes after the command, had that been let through
	sink.WaitReadingAfter(t, mark, "lamp", "power", func(r devices.Reading) bool { return r.Value == devices.Bool(false) })
	for _, e := range sink.Events()[mark:] {
		if e.Reading.Value == devices.Bool(true) {
			t.Error("the command of a user who may only read was done")
		}
	}
}

// TestMosquittoHomie: a device that has more to say with quality of service 2 than mosquitto takes at one time says all of it.
func TestMosquittoHomie(t *testing.T) {
	m := newMosquitto(t)
	node := &homie.Node{ID: "meter", Name: "Meter"}
	const many = 50
	for i := range many {
		node.Properties = append(node.Properties, &homie.Property{ID: fmt.Sprintf("p%d", i), Datatype: "integer", Initial: fmt.Sprint(i)})
	}
	device := &homie.Device{Ident: "many", Name: "Many", Nodes: []*homie.Node{node}, Every: time.Hour}
	m.power(board.New(board.Options{Broker: "mqtt://" + m.plain, Username: "lamp", Password: "lamp's password"}, device).Run)
	_, sink, _ := run(t, nil, mosquittoLamp("mqtt://"+m.plain, "gateway", `discovery = ["homie"]`))
	sink.WaitLink(t, "homie:many", true)
	for i := range many {
		sink.WaitValue(t, "homie:many", fmt.Sprintf("p%d", i), devices.Number(float64(i)))
	}
}

// TestMosquittoStorm: a broker that retains fifty thousand announcements, most of strangers, loses none of the thousand that count.
func TestMosquittoStorm(t *testing.T) {
	m := newMosquitto(t)
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + m.plain).SetClientID("devices").SetUsername("gateway").SetPassword("gateway's password"))
	done(t, c.Connect())
	defer c.Disconnect(250)
	fill(t, c, 50_000, 50)
	for _, qos := range []string{"qos = 0", "qos = 1"} {
		// Without a log: a line a message, a hundred thousand of them, is what would be tested.
		typ := mqtt.Type(mqtt.Options{})
		connection := drivertest.Connection(t, typ, mosquittoLamp("mqtt://"+m.plain, "gateway", "discovery = [\"fake\"]\n"+qos))
		connection.Log = slog.New(slog.DiscardHandler)
		sink := &drivertest.Sink{}
		stop := drivertest.Start(t, typ.Build(connection), sink)
		waitDevices(t, sink, 1000)
		mark := sink.Mark()
		done(t, c.Publish("state/0", 1, false, "7"))
		sink.WaitReadingAfter(t, mark, "fake:0", "p", nil)
		stop()
	}
}
