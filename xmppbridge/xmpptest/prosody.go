//go:build servers

package xmpptest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
)

// Prosody is a running Prosody. Its methods are for one goroutine at a time.
type Prosody struct {
	server
}

// StartProsody starts a Prosody that stops with the test, whose log it prints when the test failed. Needs the
// Debian package prosody.
func StartProsody(t testing.TB, o Options) *Prosody {
	t.Helper()
	p, err := NewProsody(o)
	if err != nil {
		t.Fatal(err)
	}
	p.cleanup(t)
	return p
}

// NewProsody starts a Prosody for as long as the caller likes, as a TestMain does; end it with Close.
func NewProsody(o Options) (*Prosody, error) {
	o = o.withDefaults("prosody.test")
	binary, err := exec.LookPath("prosody")
	if err != nil {
		return nil, fmt.Errorf("prosody is not installed: apt-get install --no-install-recommends prosody: %w", err)
	}
	for try := 1; ; try++ {
		p, err := startProsody(binary, o)
		if err == nil || try == startTries {
			return p, err
		}
	}
}

func startProsody(binary string, o Options) (*Prosody, error) {
	dir, err := os.MkdirTemp("", "prosody-")
	if err != nil {
		return nil, err
	}
	p := &Prosody{server{Domain: o.Domain, Components: o.Components, dir: dir}}
	if err := p.configure(binary, o); err == nil {
		err = p.Start()
		if err == nil {
			return p, nil
		}
		_ = p.Close()
		return nil, err
	}
	_ = p.Close()
	return nil, err
}

func (p *Prosody) configure(binary string, o Options) error {
	ports, err := freePorts(4)
	if err != nil {
		return err
	}
	p.C2S, p.Component = loopback(ports[0]), loopback(ports[2])
	p.ComponentAddrs = slices.Repeat([]string{p.Component}, len(p.Components))
	if !o.NoTLS {
		p.DirectTLS = loopback(ports[1])
	}
	if p.CAFile, err = o.CA.writeFiles(p.dir, o.domains()...); err != nil {
		return err
	}
	// Prosody hashes a plain password when it is first used: writing the files is a second quicker than prosodyctl.
	accounts := filepath.Join(p.dir, "data", luaPath(o.Domain), "accounts")
	if err := os.MkdirAll(accounts, 0o700); err != nil {
		return err
	}
	for _, account := range o.Accounts {
		record := fmt.Sprintf("return {\n\t[\"password\"] = %q;\n};\n", Password(account))
		if err := os.WriteFile(filepath.Join(accounts, luaPath(account)+".dat"), []byte(record), 0o600); err != nil {
			return err
		}
	}
	var config bytes.Buffer
	if err := prosodyConfig.Execute(&config, map[string]any{
		"Dir": p.dir, "Secret": Secret, "O": o, "C2S": ports[0], "DirectTLS": ports[1], "Component": ports[2], "HTTP": ports[3],
		"Address": o.address, "Hosts": o.hosts, "S2S": serverPort,
	}); err != nil {
		return err
	}
	path := filepath.Join(p.dir, "prosody.cfg.lua")
	if err := os.WriteFile(path, config.Bytes(), 0o600); err != nil {
		return err
	}
	p.logs = []string{filepath.Join(p.dir, "prosody.log")}
	p.command = func() *exec.Cmd { return exec.Command(binary, "--config", path, "-F") }
	return nil
}

// luaPath encodes a name as Prosody's file storage does.
func luaPath(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

// No rate limits, as the tests are in a hurry; hashed SCRAM-SHA-256 credentials, as new installations have.
var prosodyConfig = template.Must(template.New("prosody").Parse(`
pidfile = "{{.Dir}}/prosody.pid"
data_path = "{{.Dir}}/data"
certificates = "{{.Dir}}"
run_as_root = true
interfaces = { "127.0.0.1" }
local_interfaces = { "127.0.0.1" }
use_ipv6 = false
c2s_ports = { {{.C2S}} }
legacy_ssl_ports = {}
{{if not .O.NoTLS}}
c2s_direct_tls_ports = { {{.DirectTLS}} }
ssl = { key = "{{.Dir}}/server.key"; certificate = "{{.Dir}}/server.crt"; cafile = "{{.Dir}}/ca.crt"{{if .O.TLS12}}; protocol = "tlsv1_2"{{end}} }
c2s_direct_tls_ssl = { key = "{{.Dir}}/server.key"; certificate = "{{.Dir}}/server.crt"{{if .O.TLS12}}; protocol = "tlsv1_2"{{end}} }
{{end}}
component_ports = { {{.Component}} }
{{if .O.Upload}}
http_ports = { {{.HTTP}} }
http_interfaces = { "127.0.0.1" }
https_ports = {}
{{end}}log = { { levels = { min = "info" }; to = "file"; filename = "{{.Dir}}/prosody.log" } }
authentication = "internal_hashed"
password_hash = "SHA-256"
storage = "internal"
c2s_require_encryption = {{not .O.NoTLS}}
allow_unencrypted_plain_auth = {{.O.NoTLS}}
limits = {}
{{if .Address}}
s2s_interfaces = { "{{.Address}}" }
s2s_ports = { {{.S2S}} }
s2s_require_encryption = true
s2s_secure_auth = true
unbound = { hoststxt = "{{.Hosts}}"; resolvconf = false; options = { ["local-zone:"] = ". static" } }
{{end}}
modules_disabled = { {{if not .Address}}"s2s"{{end}}{{if .O.NoTLS}}, "tls"{{end}} }
modules_enabled = { "adhoc", "carbons", "disco", "lastactivity", "offline", "pep", "ping", "private", "roster",
  "saslauth", "smacks", "time", "tls", "uptime", "vcard4", "vcard_legacy", "version"{{if .O.Privileged}}, "privilege"{{end}} }
{{.O.Extra}}
VirtualHost "{{.O.Domain}}"
  disco_items = { {{range .O.Components}}{ "{{.}}", "gateway" }; {{end}} }
  privileged_entities = { {{range .O.Privileged}}["{{.}}"] = { roster = "both" }; {{end}} }
{{range .O.Components}}
Component "{{.}}"
  component_secret = "{{$.Secret}}"
  validate_from_addresses = true
{{if $.O.Privileged}}  modules_enabled = { "privilege" }
{{end}}{{end}}
{{if .O.Upload}}
Component "upload.{{.O.Domain}}" "http_file_share"
  http_host = "127.0.0.1"
  http_external_url = "http://127.0.0.1:{{.HTTP}}/"
  http_file_share_access = { "{{.O.Domain}}"{{range .O.Upload}}, "{{.}}"{{end}} }
{{end}}{{.O.After}}
`))
