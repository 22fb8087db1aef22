//go:build servers

package xmpptest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// Ejabberd is a running ejabberd. Its methods are for one goroutine at a time.
type Ejabberd struct {
	server
	api string
}

// EjabberdOptions are [Options] and what only ejabberd has.
type EjabberdOptions struct {
	Options
	// MaxSessions is how many streams an account may have: at one more, ejabberd ends the oldest with conflict. 1,000 when 0
	// (ejabberd's own default is 10).
	MaxSessions int
}

// StartEjabberd starts an ejabberd that stops with the test, whose log it prints when the test failed. Needs the
// Debian package ejabberd, and to run as root or as user ejabberd, which the package's own starter insists on.
func StartEjabberd(t testing.TB, o EjabberdOptions) *Ejabberd {
	t.Helper()
	e, err := NewEjabberd(o)
	if err != nil {
		t.Fatal(err)
	}
	e.cleanup(t)
	return e
}

// NewEjabberd starts an ejabberd for as long as the caller likes, as a TestMain does; end it with Close.
func NewEjabberd(o EjabberdOptions) (*Ejabberd, error) {
	o.Options = o.Options.withDefaults("ejabberd.test")
	if o.MaxSessions == 0 {
		o.MaxSessions = 1000
	}
	binary, err := findEjabberd()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		e, err := startEjabberd(binary, o)
		if err == nil || try == startTries {
			return e, err
		}
	}
}

// findEjabberd looks where Debian puts it too: /usr/sbin is not on everyone's PATH.
func findEjabberd() (string, error) {
	if path, err := exec.LookPath("ejabberdctl"); err == nil {
		return path, nil
	}
	const debian = "/usr/sbin/ejabberdctl"
	if _, err := os.Stat(debian); err != nil {
		return "", fmt.Errorf("ejabberd is not installed: apt-get install --no-install-recommends ejabberd: %w", err)
	}
	return debian, nil
}

func startEjabberd(binary string, o EjabberdOptions) (*Ejabberd, error) {
	dir, err := os.MkdirTemp("", "ejabberd-")
	if err != nil {
		return nil, err
	}
	e := &Ejabberd{server: server{Domain: o.Domain, Components: o.Components, dir: dir}}
	err = e.configure(binary, o)
	if err == nil {
		err = e.Start()
	}
	for i := 0; err == nil && i < len(o.Accounts); i++ {
		err = e.Register(o.Accounts[i], Password(o.Accounts[i]))
	}
	if err != nil {
		_ = e.Close()
		return nil, err
	}
	return e, nil
}

// Register makes an account.
func (e *Ejabberd) Register(account, password string) error {
	body, err := json.Marshal(map[string]string{"user": account, "host": e.Domain, "password": password})
	if err != nil {
		return err
	}
	client := http.Client{Timeout: startTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post("http://"+e.api+"/api/register", "application/json", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ejabberd: register %s: %w", account, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("ejabberd: register %s: %s: %s", account, resp.Status, answer)
	}
	return nil
}

func (e *Ejabberd) configure(binary string, o EjabberdOptions) error {
	ports, err := freePorts(4 + len(o.Components))
	if err != nil {
		return err
	}
	e.C2S, e.DirectTLS, e.api = loopback(ports[0]), loopback(ports[1]), loopback(ports[2])
	// A listener for each: a component that joins one where several are at home is given the stanzas of all of them.
	services := ports[4:]
	e.ComponentAddrs = nil
	for _, port := range services {
		e.ComponentAddrs = append(e.ComponentAddrs, loopback(port))
	}
	e.Component = e.ComponentAddrs[0]
	if e.CAFile, err = o.CA.writeFiles(e.dir, o.domains()...); err != nil {
		return err
	}
	var config bytes.Buffer
	if err := ejabberdConfig.Execute(&config, map[string]any{
		"Dir": e.dir, "Secret": Secret, "O": o, "C2S": ports[0], "DirectTLS": ports[1], "Services": services, "API": ports[2],
	}); err != nil {
		return err
	}
	// Each node has a distribution port of its own and does without the machine's port mapper.
	control := fmt.Sprintf("INET_DIST_INTERFACE=127.0.0.1\nERL_DIST_PORT=%d\nERLANG_NODE=ejabberd@localhost\nERL_OPTIONS='+S 1:1 +sbwt none'\n", ports[3])
	for name, content := range map[string]string{
		"ejabberd.yml":    config.String(),
		"ejabberdctl.cfg": control,
		"inetrc":          "{lookup,[\"file\",\"native\"]}.\n{host,{127,0,0,1}, [\"localhost\",\"hostalias\"]}.\n{file, resolv, \"/etc/resolv.conf\"}.\n",
	} {
		if err := os.WriteFile(filepath.Join(e.dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	for _, sub := range []string{"spool", "logs"} {
		if err := os.Mkdir(filepath.Join(e.dir, sub), 0o700); err != nil {
			return err
		}
	}
	attributes, err := asUser("ejabberd", e.dir)
	if err != nil {
		return err
	}
	e.logs = []string{filepath.Join(e.dir, "logs", "ejabberd.log")}
	e.command = func() *exec.Cmd {
		cmd := exec.Command(binary, "--config-dir", e.dir, "--config", filepath.Join(e.dir, "ejabberd.yml"),
			"--ctl-config", filepath.Join(e.dir, "ejabberdctl.cfg"), "--spool", filepath.Join(e.dir, "spool"),
			"--logs", filepath.Join(e.dir, "logs"), "foreground")
		cmd.Dir = e.dir
		cmd.Env = append(os.Environ(), "HOME="+e.dir)
		cmd.SysProcAttr = attributes()
		return cmd
	}
	return nil
}

// asUser gives dir to a system user, if we may, and returns the attributes of a process that runs as that user.
func asUser(name, dir string) (func() *syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return func() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }, nil
	}
	account, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, gid)
	})
	if err != nil {
		return nil, err
	}
	return func() *syscall.SysProcAttr {
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}, nil
}

var ejabberdConfig = template.Must(template.New("ejabberd").Parse(`
hosts: ["{{.O.Domain}}"]
loglevel: info
certfiles: ["{{.Dir}}/combined.pem"]
ca_file: "{{.Dir}}/ca.crt"
auth_method: internal
auth_password_format: scram
auth_scram_hash: sha256
registration_timeout: infinity
listen:
  - {port: {{.C2S}}, ip: "127.0.0.1", module: ejabberd_c2s, starttls_required: true, access: c2s}
  - {port: {{.DirectTLS}}, ip: "127.0.0.1", module: ejabberd_c2s, tls: true, access: c2s}
  - {port: {{.API}}, ip: "127.0.0.1", module: ejabberd_http, request_handlers: {/api: mod_http_api{{if .O.Upload}}, /upload: mod_http_upload{{end}}}}
{{range $n, $domain := .O.Components}}  - port: {{index $.Services $n}}
    ip: "127.0.0.1"
    module: ejabberd_service
    access: c2s
    hosts: {"{{$domain}}": {password: "{{$.Secret}}"}}
{{end}}
acl: {here: {ip: ["127.0.0.0/8"]}, trusted: {server: [{{range .O.Privileged}}"{{.}}", {{end}}"nobody.invalid"]}, uploads: {server: [{{range .O.Upload}}"{{.}}", {{end}}"{{.O.Domain}}"]}}
access_rules: {c2s: {allow: all}, register: {allow: all}, trusted: {allow: trusted}, uploads: {allow: uploads}}
shaper_rules: {max_user_sessions: {{.O.MaxSessions}}, max_user_offline_messages: 1000}
api_permissions: {tests: {from: [mod_http_api], who: {access: {allow: {acl: here}}}, what: [register]}}
modules:
  mod_adhoc: {}
  mod_caps: {}
  mod_carboncopy: {}
  mod_disco: {}
  mod_last: {}
  mod_offline: {}
  mod_ping: {}
  mod_privilege: {roster: {both: trusted}}
  mod_pubsub: {plugins: [flat, pep]}
  mod_roster: {versioning: true}
  mod_stream_mgmt: {}
  mod_vcard: {}
  mod_version: {}
{{if .O.Upload}}  mod_http_upload: {host: "upload.{{.O.Domain}}", put_url: "http://127.0.0.1:{{.API}}/upload", docroot: "{{.Dir}}/files", access: uploads}
{{end}}{{.O.Extra}}
`))

// WaitLog returns once the log holds text, which some tests need to know that the server has noticed something.
func (s *server) WaitLog(t testing.TB, text string) {
	t.Helper()
	deadline := time.Now().Add(startTimeout)
	for !bytes.Contains([]byte(s.Log()), []byte(text)) {
		if time.Now().After(deadline) {
			t.Fatalf("the server never logged %q", text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
