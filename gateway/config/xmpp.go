package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/devices/schema"
	"tidings/xmppbridge/link"
)

// keysOfMode says which keys of [xmpp] mean something in each mode; those not listed do in all.
var keysOfMode = map[string][]string{
	"server":      {Component, Client},
	"secret":      {Component, Client},
	"secret_file": {Component, Client},
	"streams":     {Client},
	"tls":         {Component, Client},
	"tls_ca_file": {Component, Client},
	"tls_pin":     {Component, Client},
	"upload":      {Component, Client},
	"local":       {Local},
}

const (
	defaultComponentServer  = "127.0.0.1:5347"
	defaultPresenceInterval = 10 * time.Second
	longestArchive          = 3650 * 24 * time.Hour
)

// readXMPP reads [xmpp].
func readXMPP(root *schema.Table) XMPP {
	t := root.Table("xmpp")
	x := XMPP{
		Mode:             t.String("mode"),
		Layout:           t.StringOr("layout", ContactLayout),
		Hub:              t.StringOr("hub", "home"),
		PresenceInterval: t.Duration("presence_interval", defaultPresenceInterval),
		Local:            LocalServer{Listen: []string{"[::]:5222"}},
	}
	if !root.Has("xmpp") {
		root.Errorf("xmpp", `there is no section [xmpp]: mode = "local" and address = "localhost" in it need nothing else`)
	}
	if !slices.Contains([]string{Component, Client, Local}, x.Mode) {
		return x
	}
	for _, key := range t.Keys() {
		if modes := keysOfMode[key]; modes != nil && !slices.Contains(modes, x.Mode) {
			t.Errorf(key, "%s means nothing with mode = %q: leave it out", key, x.Mode)
		}
	}
	if x.PresenceInterval < time.Second {
		t.Errorf("presence_interval", "presence_interval: at least 1s: every presence goes to everyone who watches")
	}
	if !tableName.MatchString(x.Hub) {
		t.Errorf("hub", "hub: %q cannot be used: a name is made of a-z, 0-9 and -", x.Hub)
	}
	x.Address = address(t, x.Mode)
	if x.Mode == Local {
		if local := t.Table("local"); local != nil {
			x.Local = readLocal(local)
		}
		return x
	}
	x.Secret = link.Secret(t.String("secret"))
	requireSecret(t, x.Mode)
	if x.Mode == Client {
		if t.Has("layout") && x.Layout != ResourceLayout {
			t.Errorf("layout", `layout: with mode = "client" every device is a resource of the account: leave it out`)
		}
		x.Layout = ResourceLayout
		x.Streams = t.StringOr("streams", StreamsAuto)
	}
	x.Server = server(t, x.Mode)
	x.Upload = uploadService(t)
	readTLS(t, &x)
	return x
}

// address reads and normalises the address that the mode wants.
func address(t *schema.Table, mode string) string {
	s := t.String("address")
	if s == "" {
		if v, ok := t.Get("address"); ok && v.V == "" {
			t.Errorf("address", "address is empty: with mode = %q it is %s", mode, addressOfMode[mode])
		}
		return ""
	}
	j, err := jid.Parse(s)
	switch {
	case err != nil:
		t.Errorf("address", "address: %q is not an address (%v): with mode = %q it is %s", s, err, mode, addressOfMode[mode])
	case mode == Client && j.Localpart() == "", mode != Client && j.Localpart() != "":
		t.Errorf("address", "address: with mode = %q it is %s, and not %q", mode, addressOfMode[mode], s)
	case j.Resourcepart() != "":
		t.Errorf("address", "address: leave /%s out: the gateway gives each device its own resource", j.Resourcepart())
	default:
		return j.String()
	}
	return ""
}

// uploadService reads the name of the service for pictures.
func uploadService(t *schema.Table) string {
	s := t.String("upload")
	if s == "" {
		return ""
	}
	j, err := jid.Parse(s)
	if err != nil || j.Localpart() != "" || j.Resourcepart() != "" {
		t.Errorf("upload", "upload: %q is not the address of a service, such as \"upload.example.org\": leave it out to have it found", s)
		return ""
	}
	return j.String()
}

var addressOfMode = map[string]string{
	Component: `the component's domain, such as "things.example.org"`,
	Client:    `the gateway's own account, such as "home@example.org"`,
	Local:     `the domain of the server inside, such as "localhost" or "home.example.org"`,
}

// requireSecret says where the secret may come from when there is none.
func requireSecret(t *schema.Table, mode string) {
	if v, ok := t.Get("secret"); ok && v.V != "" {
		return // also one of the wrong kind: that is told already
	}
	what := "the account's password"
	if mode == Component {
		what = "the component's secret"
	}
	t.Errorf("", "%s is missing: put it into a file and name that with secret_file, or hand it over as the systemd credential xmpp-secret", what)
}

// server reads where the server is, with the default of the mode.
func server(t *schema.Table, mode string) string {
	s := t.String("server")
	switch {
	case s == "" && mode == Component:
		return defaultComponentServer
	case s == "":
		return ""
	}
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		switch {
		case mode == Client:
			t.Errorf("server", `server: a unix socket is for mode = "component": write HOST:PORT, or leave it to DNS`)
		case !filepath.IsAbs(path):
			t.Errorf("server", "server: %q is not an absolute path: write unix:/PATH", s)
		}
		return s
	}
	if err := checkHostPort(s); err != nil {
		example := `"127.0.0.1:5347", or unix:/PATH`
		if mode == Client {
			example = `"example.org:5222"`
		}
		t.Errorf("server", "server: %v: write it as in %s", err, example)
	}
	return s
}

func checkHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return fmt.Errorf("%q is not HOST:PORT", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q has no port between 1 and 65535", s)
	}
	return nil
}

// readTLS reads how the stream is encrypted and refuses what would not be safe.
func readTLS(t *schema.Table, x *XMPP) {
	here := onThisMachine(x.Server)
	x.TLS = t.String("tls")
	switch {
	case x.TLS == "" && x.Mode == Client:
		x.TLS = TLSRequired
	case x.TLS == "" && here:
		x.TLS = TLSOff
	case x.TLS == "":
		x.TLS = TLSDirect
	case x.Mode == Client && (x.TLS == TLSOff || x.TLS == TLSDirect):
		t.Errorf("tls", `tls: %q is for mode = "component": an account's password only travels encrypted, write "required" or "pinned"`, x.TLS)
	case x.Mode == Component && x.TLS == TLSRequired:
		t.Errorf("tls", `tls: "required" is for mode = "client": a component's stream is "direct", "pinned" or "off"`)
	case x.TLS == TLSOff && !here:
		t.Errorf("tls", "tls: plain text to another machine is refused, because the secret and every command could be read on the way: leave tls out for direct TLS, or let a tunnel end on this machine")
	case x.TLS != TLSOff && strings.HasPrefix(x.Server, "unix:"):
		t.Errorf("tls", "tls: a unix socket needs none: leave it out")
	}
	for _, s := range t.Strings("tls_pin") {
		pin, err := link.ParsePin(s)
		if err != nil {
			t.Errorf("tls_pin", "tls_pin: %q is not a SHA-256 in hexadecimal or base64", s)
			continue
		}
		x.Pins = append(x.Pins, pin)
	}
	switch pinned := x.TLS == TLSPinned; {
	case pinned && len(t.Strings("tls_pin")) == 0:
		t.Errorf("tls", `tls: "pinned" needs the SHA-256 of the server's public key in tls_pin`)
	case !pinned && len(t.Strings("tls_pin")) > 0:
		t.Errorf("tls_pin", `tls_pin means nothing without tls = "pinned"`)
	}
	if x.CAFile = t.String("tls_ca_file"); x.CAFile != "" {
		if err := checkCA(x.CAFile); err != nil {
			t.Errorf("tls_ca_file", "tls_ca_file: %s: %v", x.CAFile, err)
		}
	}
}

// onThisMachine reports whether a component's server can only be on this machine. A name other than localhost never
// counts: DNS decides where it leads.
func onThisMachine(server string) bool {
	if strings.HasPrefix(server, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(server)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

func checkCA(path string) error {
	data, _, err := readSmall(path)
	if err != nil {
		return err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(data) {
		return errors.New("there is no certificate in it: it has to be PEM")
	}
	return nil
}

// readLocal reads [xmpp.local].
func readLocal(t *schema.Table) LocalServer {
	s := LocalServer{Listen: []string{"[::]:5222"}, CertFile: t.String("cert_file"), KeyFile: t.String("key_file")}
	if t.Has("listen") {
		s.Listen = t.Strings("listen")
		if len(s.Listen) == 0 {
			t.Errorf("listen", "listen: without an address nobody can log in: leave it out for [::]:5222")
		}
	}
	for _, addr := range s.Listen {
		if err := checkListen(addr); err != nil {
			t.Errorf("listen", "listen: %v: write it as in \"[::]:5222\" or \"127.0.0.1:5222\"", err)
		}
	}
	if t.Has("archive") {
		s.Archive = t.Duration("archive", 0)
		if s.Archive < time.Hour || s.Archive > longestArchive {
			t.Errorf("archive", "archive: between 1h and 3650d: leave it out to keep no messages")
		}
	}
	if s.WebSocket = t.String("websocket"); s.WebSocket != "" {
		checkDoor(t, "websocket", s.WebSocket, s.Listen)
	}
	if upload := t.Table("upload"); upload != nil {
		s.Upload = readUpload(upload, append(slices.Clone(s.Listen), s.WebSocket))
	}
	switch cert, key := t.Has("cert_file"), t.Has("key_file"); {
	case s.CertFile == "" && s.KeyFile == "":
	case !cert || !key || cert && t.StringOr("cert_file", "?") == "" || t.StringOr("key_file", "?") == "":
		t.Errorf("", "cert_file and key_file belong together: give both, or none for a certificate made here")
	default:
		checkPair(t, s.CertFile, s.KeyFile)
	}
	return s
}

// readUpload reads [xmpp.local] upload.
func readUpload(t *schema.Table, taken []string) Upload {
	u := Upload{
		Listen: t.StringOr("listen", "[::]:5281"), MaxSize: t.Size("max_size", 10e6), Keep: t.Duration("keep", 30*24*time.Hour),
		URL: strings.TrimSuffix(t.String("url"), "/"),
	}
	checkDoor(t, "listen", u.Listen, taken)
	if u.MaxSize < 10e3 || u.MaxSize > 1e9 {
		t.Errorf("max_size", "max_size: %d bytes: between 10KB and 1GB can be used", u.MaxSize)
	}
	if u.Keep < time.Hour {
		t.Errorf("keep", "keep: at least 1h: whoever is away is to find the file, too")
	}
	if at, err := url.Parse(u.URL); u.URL != "" && (err != nil || at.Scheme != "https" || at.Host == "" || at.RawQuery != "" || at.Fragment != "" || at.User != nil) {
		t.Errorf("url", "url: %q is not where HTTPS is answered: write it as in \"https://files.example.org\"", u.URL)
	}
	return u
}

// checkDoor checks an address for HTTP: one that is taken by something else only fails when it is listened on.
func checkDoor(t *schema.Table, key, addr string, taken []string) {
	_, port, _ := net.SplitHostPort(addr)
	switch err := checkListen(addr); {
	case err != nil:
		t.Errorf(key, "%s: %v: write it as in \"127.0.0.1:5280\"", key, err)
	case port != "0" && slices.Contains(taken, addr):
		t.Errorf(key, "%s: %s is taken: give it a port of its own", key, addr)
	}
}

func checkPair(t *schema.Table, certFile, keyFile string) {
	cert, _, certErr := readSmall(certFile)
	if certErr != nil {
		t.Errorf("cert_file", "cert_file: %s: %v", certFile, certErr)
	}
	key, open, keyErr := readSmall(keyFile)
	if keyErr != nil {
		t.Errorf("key_file", "key_file: %s: %v", keyFile, keyErr)
	}
	if open {
		t.Errorf("key_file", "key_file: others can read %s: chmod 600 %s", keyFile, keyFile)
	}
	if certErr != nil || keyErr != nil {
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		t.Errorf("cert_file", "cert_file: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
}

func checkListen(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not ADDRESS:PORT", addr)
	}
	if host != "" && host != "localhost" && net.ParseIP(withoutZone(host)) == nil {
		return fmt.Errorf("%q: %q is not an address of this machine", addr, host)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no port between 0 and 65535", addr)
	}
	return nil
}

func withoutZone(host string) string {
	address, _, _ := strings.Cut(host, "%")
	return address
}
