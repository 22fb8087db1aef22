package mqtt_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/gorilla/websocket"

	"tidings/devices"
	"tidings/drivers/mqtt/broker"
)

func dialFn(s *station) paho.OpenConnectionFunc {
	return func(*url.URL, paho.ClientOptions) (net.Conn, error) { return s.broker.Dial(s.t.Context()) }
}

const lampPoints = `
[devices.lamp.points.power]
source = "stat/lamp/POWER"
command = "cmnd/lamp/POWER"
kind = "switch"
safe = false
`

func at(url, more string) string {
	return "[drivers.house]\ntype = \"mqtt\"\nclient_id = \"gateway\"\nbroker = \"" + url + "\"\n" + more + lampPoints
}

func trouble(err error) bool { return err != nil }

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	_, sink, _ := run(t, nil, at("mqtt://"+addr, ""))
	err := sink.WaitHealth(t, trouble)
	says(t, err, "mqtt house: "+addr+": connection refused: is the broker running, and the port right?")
	if cause := sink.WaitLink(t, "lamp", false); cause.Error() != err.Error() {
		t.Errorf("the lamp is down because of %v", cause)
	}
}

// A broker that accepts and never answers: neither Do nor the end waits for it.
func TestBrokerThatSaysNothing(t *testing.T) {
	t.Parallel()
	here := make(chan struct{}, 10)
	addr := serve(t, nil, func(c net.Conn) {
		here <- struct{}{}
		_, _ = io.Copy(io.Discard, c)
	})
	for _, scheme := range []string{"mqtt", "mqtts", "ws", "wss"} {
		do, _, stop := run(t, nil, at(scheme+"://"+addr, ""))
		<-here
		began := time.Now()
		if _, err := do.Do(t.Context(), devices.Command{Device: "lamp", Point: "power", Value: devices.Bool(true)}); !errors.Is(err, devices.ErrDown) {
			t.Errorf("%s: do: %v", scheme, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: do took %v", scheme, took)
		}
		stop() // checks that it is prompt
	}
}

// fakeBroker speaks as much MQTT as it takes to let a client in; then it does as told with each further packet.
func fakeBroker(t *testing.T, then func(c net.Conn, p packets.ControlPacket)) (addr string) {
	return serve(t, nil, func(c net.Conn) {
		for {
			p, err := packets.ReadPacket(c)
			if err != nil {
				return
			}
			if _, ok := p.(*packets.ConnectPacket); ok {
				_ = packets.NewControlPacket(packets.Connack).Write(c)
				continue
			}
			then(c, p)
		}
	})
}

func grant(c net.Conn, s *packets.SubscribePacket, codes ...byte) {
	ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
	ack.MessageID = s.MessageID
	for i := range s.Topics {
		code := byte(0)
		if i < len(codes) {
			code = codes[i]
		}
		ack.ReturnCodes = append(ack.ReturnCodes, code)
	}
	_ = ack.Write(c)
}

// A broker that hangs once the driver is connected.
func TestBrokerThatAnswersNoMore(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	addr := fakeBroker(t, func(c net.Conn, p packets.ControlPacket) {
		if s, ok := p.(*packets.SubscribePacket); ok {
			grant(c, s)
			return
		}
		<-stuck // reads nothing more
	})
	t.Cleanup(func() { close(stuck) }) // before the broker's own cleanup
	for _, qos := range []string{"qos = 0", "qos = 1", "qos = 2"} {
		do, sink, stop := run(t, nil, at("mqtt://"+addr, qos+"\n"))
		sink.WaitLink(t, "lamp", true)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := do.Do(ctx, devices.Command{Device: "lamp", Point: "power", Value: devices.Bool(true)})
		cancel()
		if qos != "qos = 0" && (!errors.Is(err, context.DeadlineExceeded) || !asked(err)) {
			t.Errorf("%s: do: %v", qos, err)
		}
		stop()
	}
}

// asked reports whether an error says that a part of the command may have left.
func asked(err error) bool {
	_, ok := errors.AsType[*devices.AskedError](err)
	return ok
}

// A broker that forgets what is above twenty messages of quality of service 2 at once, as mosquitto does: it gets no more.
func TestManyExactCommands(t *testing.T) {
	t.Parallel()
	const many = 40
	var mu sync.Mutex
	underWay, most := 0, 0
	addr := fakeBroker(t, func(c net.Conn, p packets.ControlPacket) {
		mu.Lock()
		defer mu.Unlock()
		switch p := p.(type) {
		case *packets.SubscribePacket:
			grant(c, p)
		case *packets.PublishPacket:
			underWay++
			most = max(most, underWay)
			time.AfterFunc(50*time.Millisecond, func() {
				rec := packets.NewControlPacket(packets.Pubrec).(*packets.PubrecPacket)
				rec.MessageID = p.MessageID
				mu.Lock()
				defer mu.Unlock()
				_ = rec.Write(c)
			})
		case *packets.PubrelPacket:
			underWay--
			comp := packets.NewControlPacket(packets.Pubcomp).(*packets.PubcompPacket)
			comp.MessageID = p.MessageID
			_ = comp.Write(c)
		}
	})
	do, sink, _ := run(t, nil, at("mqtt://"+addr, "qos = 2\n"))
	sink.WaitLink(t, "lamp", true)
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			if _, err := do.Do(t.Context(), devices.Command{Device: "lamp", Point: "power", Value: devices.Bool(true)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	mu.Lock()
	defer mu.Unlock()
	if most > 20 || underWay != 0 {
		t.Errorf("%d at once, %d are left", most, underWay)
	}
}

// A broker that takes a command and goes without a word: nobody knows whether the lamp is on.
func TestBrokerGoesWithACommand(t *testing.T) {
	t.Parallel()
	addr := fakeBroker(t, func(c net.Conn, p packets.ControlPacket) {
		switch p := p.(type) {
		case *packets.SubscribePacket:
			grant(c, p)
		case *packets.PublishPacket:
			_ = c.Close()
		}
	})
	do, sink, _ := run(t, nil, at("mqtt://"+addr, "qos = 1\n"))
	sink.WaitLink(t, "lamp", true)
	_, err := do.Do(t.Context(), devices.Command{Device: "lamp", Point: "power", Value: devices.Bool(true)})
	if !errors.Is(err, devices.ErrDown) || !asked(err) {
		t.Errorf("do: %v", err)
	}
}

// A broker that stops reading while much is written to it: the buffers fill, and the end is prompt all the same.
func TestBrokerThatReadsNoMore(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	addr := fakeBroker(t, func(c net.Conn, p packets.ControlPacket) {
		if s, ok := p.(*packets.SubscribePacket); ok {
			grant(c, s)
			return
		}
		<-stuck
	})
	t.Cleanup(func() { close(stuck) })
	do, sink, stop := run(t, nil, at("mqtt://"+addr, "")+`
[devices.lamp.points.text]
kind = "text"
command = "text"
`)
	sink.WaitLink(t, "lamp", true)
	long := devices.Text(strings.Repeat("x", 500_000))
	for range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := do.Do(ctx, devices.Command{Device: "lamp", Point: "text", Value: long})
		cancel()
		if err != nil {
			stop()
			return
		}
	}
	t.Error("100 MB were written to a broker that does not read")
}

func TestBrokerThatRefusesATopic(t *testing.T) {
	t.Parallel()
	addr := fakeBroker(t, func(c net.Conn, p packets.ControlPacket) {
		if s, ok := p.(*packets.SubscribePacket); ok {
			codes := make([]byte, len(s.Topics))
			for i, topic := range s.Topics {
				if strings.HasPrefix(topic, "secret/") {
					codes[i] = 0x80
				}
			}
			grant(c, s, codes...)
		}
	})
	_, sink, _ := run(t, nil, at("mqtt://"+addr, "username = \"gate\"\n")+`
[devices.lamp.points.hidden]
source = "secret/lamp"
[devices.vault.points.door]
source = "secret/door"
[devices.safe]
availability = "secret/there"
[devices.safe.points.door]
source = "door"
`)
	sink.WaitLink(t, "lamp", true)
	r := sink.WaitReading(t, "lamp", "hidden", nil)
	if r.Quality != devices.Faulty {
		t.Errorf("%+v", r)
	}
	says(t, r.Err, `the broker refuses the topic "secret/lamp": allow user "gate" to read it`)
	says(t, sink.WaitLink(t, "vault", false), `"secret/door"`)
	says(t, sink.WaitLink(t, "safe", false), `"secret/there"`)
	says(t, sink.WaitHealth(t, trouble), "the broker refuses the topic")
}

// What would make paho panic, or allocate without bound, ends the connection instead.
func TestBrokerThatTalksNonsense(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer string // to SUBSCRIBE
		says   string
	}{
		{"\x90\x08\x00\x01\x00\x00\x00\x00\x00\x00", "answers a subscription to 1 topics with 8 bytes"},
		{"\x90\x02\x00\x01", "answers a subscription to 1 topics with 2 bytes"},
		{"\x30\xff\xff\xff\x7f", "a message of 268435455 bytes"},
		{"\x30\xff\xff\xff\xff\x7f", "does not speak MQTT"},
		{"\x00\x00", "mqtt house: "},
		{"\x30\x02\xff\xff", "mqtt house: "},
		{"\x90\x01", "the broker ended the connection"},
	} {
		addr := fakeBroker(t, func(conn net.Conn, _ packets.ControlPacket) {
			_, _ = io.WriteString(conn, c.answer)
			if c.answer == "\x90\x01" {
				_ = conn.Close()
			}
		})
		_, sink, stop := run(t, nil, at("mqtt://"+addr, ""))
		says(t, sink.WaitHealth(t, trouble), c.says)
		stop()
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	users := filepath.Join(t.TempDir(), "users")
	if err := broker.AddUser(users, broker.NewUser{Name: "gate", Password: "right"}); err != nil {
		t.Fatal(err)
	}
	s := newStation(t, broker.Options{Listen: []string{"127.0.0.1:0"}, UsersFile: users})
	url := "mqtt://" + s.broker.Addrs()[0].String()
	_, sink, stop := run(t, nil, at(url, "username = \"gate\"\npassword = \"wrong\"\n"))
	err := sink.WaitHealth(t, trouble)
	says(t, err, `the broker does not take the password of "gate": check username and password_file`)
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the password is in %q", err)
	}
	stop()
	_, sink, _ = run(t, nil, at(url, ""))
	says(t, sink.WaitHealth(t, trouble), "the broker wants a user name and a password")
	_, sink, _ = run(t, nil, at(url, "username = \"gate\"\npassword = \"right\"\n"))
	sink.WaitLink(t, "lamp", true)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	ca, stranger := newAuthority(t), newAuthority(t)
	ca.issue(t, "gateway", &x509.Certificate{})
	stranger.issue(t, "gateway", &x509.Certificate{})
	good := serve(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "good", &x509.Certificate{})}}, s.relay)
	other := serve(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "other", &x509.Certificate{DNSNames: []string{"other.example"}})}}, s.relay)
	old := serve(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "old", &x509.Certificate{NotAfter: time.Now().Add(-time.Hour)})}}, s.relay)
	mutual := serve(t, &tls.Config{
		Certificates: []tls.Certificate{ca.issue(t, "mutual", &x509.Certificate{})}, ClientCAs: ca.pool(), ClientAuth: tls.RequireAndVerifyClientCert,
	}, s.relay)
	plain := serve(t, nil, s.relay)
	caFile := "tls_ca_file = \"" + ca.file("ca.crt") + "\"\n"
	client := func(a *authority) string {
		return "tls_cert_file = \"" + a.file("gateway.crt") + "\"\ntls_key_file = \"" + a.file("gateway.key") + "\"\n"
	}
	for _, c := range []struct {
		name, url, config string
		says              string // "" when it is to work
	}{
		{"own authority", "mqtts://" + good, caFile, ""},
		{"unknown authority", "mqtts://" + good, "", "signed by an authority that is not known here: put that authority's certificate into tls_ca_file"},
		{"wrong authority", "mqtts://" + good, "tls_ca_file = \"" + stranger.file("ca.crt") + "\"\n", "signed by an authority that is not known here"},
		{"other name", "mqtts://" + other, caFile, "is for another name"},
		{"expired", "mqtts://" + old, caFile, "not valid at this time"},
		{"client certificate", "mqtts://" + mutual, caFile + client(ca), ""},
		{"no client certificate", "mqtts://" + mutual, caFile, "tls_cert_file"},
		{"a stranger's client certificate", "mqtts://" + mutual, caFile + client(stranger), "tls_cert_file"},
		{"TLS where there is none", "mqtts://" + plain, caFile, "is it mqtt:// there?"},
		{"no TLS where there is", "mqtt://" + good, "", "does the port want TLS (mqtts://)?"},
		{"no such file", "mqtts://" + good, "tls_ca_file = \"/nonexistent/ca.crt\"\n", "tls_ca_file: open /nonexistent/ca.crt: no such file"},
		{"not a certificate", "mqtts://" + good, "tls_ca_file = \"" + ca.file("good.key") + "\"\n", "there is no certificate in it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, sink, stop := run(t, nil, at(c.url, c.config))
			if c.says == "" {
				sink.WaitLink(t, "lamp", true)
			} else {
				says(t, sink.WaitHealth(t, trouble), "mqtt house: 127.0.0.1:", c.says)
			}
			stop()
		})
	}
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	s.say("stat/lamp/POWER", "on", true)
	s.listen("cmnd/#")
	upgrader := websocket.Upgrader{Subprotocols: []string{"mqtt"}}
	handler := http.NewServeMux()
	handler.HandleFunc("/mqtt", func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		s.relay(&framed{Conn: c.NetConn(), ws: c})
	})
	servers := map[string]*httptest.Server{"ws": httptest.NewServer(handler), "wss": httptest.NewTLSServer(handler)}
	for scheme, server := range servers {
		t.Cleanup(server.Close)
		addr := server.Listener.Addr().String()
		config := ""
		if scheme == "wss" {
			config = "tls_ca_file = \"" + writePEM(t, server.Certificate()) + "\"\n"
		}
		do, sink, stop := run(t, nil, at(scheme+"://"+addr+"/mqtt", config))
		sink.WaitLink(t, "lamp", true)
		sink.WaitValue(t, "lamp", "power", devices.Bool(true))
		if _, err := do.Do(t.Context(), devices.Command{Device: "lamp", Point: "power", Value: devices.Bool(true)}); err != nil {
			t.Error(err)
		}
		s.expect("cmnd/lamp/POWER=ON")
		stop()
		s.expect("cmnd/lamp/POWER=OFF")
		_, sink, stop = run(t, nil, at(scheme+"://"+addr+"/wrong", config))
		says(t, sink.WaitHealth(t, trouble), "the server answers 404 Not Found: is the path right?")
		stop()
	}
}
