package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidings/gateway/config"
	"tidings/mapping"
	"tidings/xmppbridge/local"
)

// A reload whose time is up when it has begun to replace things is carried through: the streams are there afterwards.
func TestReloadIsCarriedThrough(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	x.start()
	x.shows("door", true, "")
	running, release := make(chan struct{}), make(chan struct{})
	go func() { x.router.calls <- func() { close(running); <-release } }()
	<-running
	ctx, cancel := context.WithCancel(t.Context())
	was := x.xmpp.Load()
	go func() { // its time is up as soon as the new streams have taken the old ones' place
		for x.xmpp.Load() == was {
			time.Sleep(time.Millisecond)
		}
		cancel()
		time.Sleep(20 * time.Millisecond)
		close(release)
	}()
	x.write(strings.Replace(trialFile, "[xmpp]", "[xmpp]\nhub = \"house\"", 1))
	if err := x.Reload(ctx); err != nil {
		t.Error(err)
	}
	if on := x.xmpp.Load(); on == was || on.run == nil {
		t.Error("the new streams were not started")
	}
}

// Why a configuration was not taken stands in the log, whatever the reason: after a SIGHUP nobody else is told.
func TestReloadSaysWhyNot(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	var log bytes.Buffer
	o := x.options()
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	g, err := New(x.context(), o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(x.file())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(x.file(), bytes.Replace(text, []byte("data_dir = \""), []byte("data_dir = \"/elsewhere"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(t.Context()); err == nil || !strings.Contains(log.String(), "data_dir") {
		t.Errorf("%v, and in the log: %s", err, log.String())
	}
	if err := g.closeStore(); err != nil {
		t.Error(err)
	}
}

// A certificate that was renewed in its files is shown after a reload, and nobody's stream ends for it.
func TestReloadTakesRenewedCertificate(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	cert := filepath.Join(x.dir, "cert.pem")
	renew := func() string {
		t.Helper()
		dir := t.TempDir()
		_, fingerprint, err := local.Certificate(dir, "home.arpa")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "xmpp.pem"), cert); err != nil {
			t.Fatal(err)
		}
		return fingerprint
	}
	first := renew()
	x.write(strings.Replace(trialFile, `listen = ["127.0.0.1:0"]`, "listen = [\"127.0.0.1:0\"]\ncert_file = \"cert.pem\"\nkey_file = \"cert.pem\"", 1))
	x.start()
	shown := func() string {
		t.Helper()
		addr := x.xmpp.Load().network.(*localNetwork).server.Addrs(x.context())[0]
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr.String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return local.Fingerprint(tls.Certificate{Certificate: [][]byte{conn.ConnectionState().PeerCertificates[0].Raw}})
	}
	if got := shown(); got != first {
		t.Errorf("shows %s, want %s", got, first)
	}
	second, was := renew(), x.xmpp.Load()
	if err := x.Reload(x.context()); err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != second {
		t.Errorf("after the reload it shows %s, want %s", got, second)
	}
	if x.xmpp.Load() != was {
		t.Error("the streams were replaced")
	}
}

// The accounts are asked for while a reload changes the domain.
func TestAccountsWhileReloading(t *testing.T) {
	t.Parallel()
	a := &accounts{domain: "one.example", roles: map[string]mapping.Role{"alice": mapping.Viewer}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1000 {
			a.configure(config.XMPP{Mode: config.Local, Address: "two.example"}, &mapping.Access{})
		}
	}()
	for range 1000 {
		if got := a.addresses(); len(got) != 1 {
			t.Fatal(got)
		}
	}
	<-done
}
