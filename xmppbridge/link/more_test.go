package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// serveOnce lets one component in and says a stanza in the same write as the handshake's answer.
func serveOnce(conn net.Conn) error {
	defer conn.Close()
	f, err := acceptComponent(conn)
	if err != nil {
		return err
	}
	if err := f.write("<handshake/><message><body>first</body></message>"); err != nil {
		return err
	}
	f.next()
	return nil
}

func TestComponentByUnixSocketAndByTLS(t *testing.T) {
	t.Parallel()
	cert, pin := selfSigned(t)
	path := filepath.Join(t.TempDir(), "c.sock")
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	secure, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		listener net.Listener
		config   ComponentConfig
		want     error
	}{
		"unix":             {unix, ComponentConfig{Server: "unix:" + path}, nil},
		"TLS":              {secure, ComponentConfig{Server: secure.Addr().String(), Mode: ComponentTLSDirect, TLS: TLS{Pins: []Pin{pin}}}, nil},
		"TLS, another key": {secure, ComponentConfig{Server: secure.Addr().String(), Mode: ComponentTLSDirect}, ErrCertificate},
		// It leaves this machine as far as anyone can tell from its name: TLS without being asked.
		"TLS by itself": {secure, ComponentConfig{Server: "elsewhere.test:5347", TLS: TLS{Pins: []Pin{pin}}, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, secure.Addr().String())
		}}, nil},
	} {
		t.Run(name, func(t *testing.T) { // one after another: they share a listener
			served := make(chan error, 1)
			go func() {
				conn, err := c.listener.Accept()
				if err == nil {
					err = serveOnce(conn)
				}
				served <- err
			}()
			c.config.Domain = "gw.test"
			conn, err := DialComponent(t.Context(), c.config)
			if c.want != nil {
				checkError(t, err, c.want)
				<-served
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, 100)
			n, err := conn.Read(buffer)
			if err != nil || string(buffer[:n]) != "<message><body>first</body></message>" {
				t.Errorf("got %q, %v", buffer[:n], err)
			}
			if conn.Encrypted != (c.listener == secure) {
				t.Errorf("encrypted: %v", conn.Encrypted)
			}
			_ = conn.Close()
			<-served
		})
	}
	_, err = DialComponent(t.Context(), ComponentConfig{Domain: "gw.test", Server: "unix:" + path + ".none"})
	checkError(t, err, nil)
	if err := errors.Join(unix.Close(), secure.Close()); err != nil {
		t.Error(err)
	}
}

func TestClientGoesWhereTheServerSendsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, cfg, wait := newFarm(t, 0)
		serve := cfg.Dial
		const gone = `<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client' version='1.0' from='client.test' id='s1'>` +
			`<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>%s</see-other-host></stream:error>`
		redirect, waitRedirect := scripted(says(fmt.Sprintf(gone, "[2001:db8::1]")))
		loop, waitLoop := scripted(says(fmt.Sprintf(gone, "loop:1")))
		var (
			mu    sync.Mutex
			dials []string
		)
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			mu.Lock()
			dials = append(dials, addr)
			mu.Unlock()
			switch addr {
			case "x:5222":
				return redirect(ctx, network, addr)
			case "loop:1":
				return loop(ctx, network, addr)
			}
			return serve(ctx, network, addr)
		}
		var v events
		stop := start(t, NewClient(cfg, v.options()).Run)
		time.Sleep(10 * time.Second)
		if want := []string{"x:5222", "[2001:db8::1]:5222"}; !slices.Equal(dials, want) || !slices.Equal(w.present(), []string{"home"}) {
			t.Errorf("dialled %q, streams %q", dials, w.present())
		}
		stop()
		// A server that sends us round in circles is not followed for ever.
		dials = nil
		cfg.Server = "loop:1"
		stop = start(t, NewClient(cfg, v.options()).Run)
		time.Sleep(time.Hour)
		stop()
		if n := len(dials); n > 150 {
			t.Errorf("%d dials in an hour", n)
		}
		wait()
		waitRedirect()
		waitLoop()
	})
}

// FuzzNegotiation sends what it likes instead of a server's side: an error, or a stream, but never a panic or a hang.
func FuzzNegotiation(f *testing.F) {
	const client = `<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client' version='1.0' from='client.test' id='s1'>`
	for _, seed := range []string{
		"", componentHeader, componentHeader + "<handshake/>", client, client + "<stream:features/>",
		client + "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features><proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
		client + "</stream:stream>", "</a>", "<!-- --><a/>", componentHeader + "<stream:error><see-other-host/></stream:error>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		dial, wait := scripted(func(conn net.Conn) error {
			read := make(chan struct{})
			go func() { defer close(read); _, _ = io.Copy(io.Discard, conn) }()
			_, _ = conn.Write([]byte(text))
			_ = conn.Close()
			<-read
			return nil
		})
		defer wait()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if conn, err := DialComponent(ctx, ComponentConfig{Domain: "gw.test", Secret: "s", Dial: dial}); err == nil {
			_ = conn.Close()
		} else if !oneLine(err.Error()) || ctx.Err() != nil {
			t.Errorf("no sentence, or a late one: %q", err)
		}
		if _, err := DialClient(ctx, ClientConfig{JID: "me@client.test", Password: "p", Server: "x:5222", Dial: dial}); err == nil || !oneLine(err.Error()) {
			t.Errorf("client without TLS: %v", err)
		} else if ctx.Err() != nil {
			t.Error("it hangs")
		}
	})
}
