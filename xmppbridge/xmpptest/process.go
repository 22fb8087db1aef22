//go:build servers

package xmpptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 60 * time.Second // a loaded two-core machine runs several Erlang machines at once
	stopTimeout  = 20 * time.Second
	startTries   = 4 // a port that was free a moment ago may be taken
)

// Options say what a server is to hold. The zero value is what most tests want.
type Options struct {
	// Domain is the server's virtual host; "prosody.test" or "ejabberd.test" when empty.
	Domain string
	// Components are the domains of the external components it accepts, all with [Secret]; when empty, four: gw, gw2, gw3
	// and gw4 under Domain, so that tests that share a server need not share a component.
	Components []string
	// Accounts are localparts of accounts that exist from the start, with [Password] as password; when empty: alice, bob,
	// carol, mallory, gateway, gateway2, gateway3 and gateway4.
	Accounts []string
	// CA signs the server's certificate; [TestCA] when nil.
	CA *CA
	// NoTLS makes a server that offers no STARTTLS and takes logins in the clear. Prosody only.
	NoTLS bool
	// TLS12 keeps the server to TLS 1.2, where Prosody 0.12 can bind SCRAM to the channel. Prosody only.
	TLS12 bool
	// Privileged are components that may read and write everybody's contact list (XEP-0356). On Prosody that needs the Debian package
	// prosody-modules.
	Privileged []string
	// Upload has the server take files (XEP-0363) at upload.DOMAIN, from its own accounts and from the components named here;
	// empty: there is no such service. Its addresses are of HTTP on loopback.
	Upload []string
	// Others are further domains that the server is, such as one that Extra has it hold rooms on: its certificate is for them, too.
	Others []string
	// After is put behind everything: further hosts. Prosody only.
	After string
	// Extra is appended to the global part of the configuration file, in the server's own language.
	Extra string

	address, hosts string // of a server of [Federate]: where others find it, and the file that says where they are
}

// Secret is the secret of every component of a server started here.
const Secret = "component secret of the tests"

// Password returns the password of an account made by [Options].
func Password(account string) string { return account + "'s password" }

func (o Options) withDefaults(domain string) Options {
	if o.Domain == "" {
		o.Domain = domain
	}
	if len(o.Components) == 0 {
		for _, label := range []string{"gw.", "gw2.", "gw3.", "gw4."} {
			o.Components = append(o.Components, label+o.Domain)
		}
	}
	if len(o.Accounts) == 0 {
		o.Accounts = []string{"alice", "bob", "carol", "mallory", "gateway", "gateway2", "gateway3", "gateway4"}
	}
	if o.CA == nil {
		o.CA = TestCA()
	}
	return o
}

// domains are all that the server answers for.
func (o Options) domains() []string { return slices.Concat([]string{o.Domain}, o.Components, o.Others) }

// Login is what a client needs to log in.
type Login struct {
	JID       string // bare, or full to ask for a resource
	Password  string
	Host      string // an address, not looked up in DNS
	Port      int
	CAFile    string   // the certificate must be of this authority, for the JID's domain
	DirectTLS bool     // TLS from the first byte instead of STARTTLS
	Plugins   []string // of slixmpp, besides those every client has
	Preauth   string   // the token of an invitation: the account is made first
}

// server is what Prosody and ejabberd have in common.
type server struct {
	// Domain is the virtual host, Components the domains of its components (secret: [Secret]).
	Domain     string
	Components []string
	// C2S (STARTTLS) and DirectTLS are the addresses it listens on for clients, as "127.0.0.1:port", and ComponentAddrs those for
	// each of its components. Component is the first.
	C2S, DirectTLS, Component string
	ComponentAddrs            []string
	// CAFile holds the authority that signed its certificate.
	CAFile string

	dir     string
	logs    []string // paths, for the report of a failed test
	command func() *exec.Cmd
	process *process
}

// Login returns what account's client needs to log in.
func (s *server) Login(account string) Login {
	host, port := splitAddr(s.C2S)
	return Login{JID: account + "@" + s.Domain, Password: Password(account), Host: host, Port: port, CAFile: s.CAFile}
}

// Stop ends the server and returns when it has gone. Its files stay: Start starts it again with the same accounts,
// rosters and ports.
func (s *server) Stop() error {
	if s.process == nil {
		return nil
	}
	p := s.process
	s.process = nil
	return p.stop(syscall.SIGTERM)
}

// Kill ends the server at once, as a crash or a power cut would.
func (s *server) Kill() error {
	if s.process == nil {
		return nil
	}
	p := s.process
	s.process = nil
	return p.stop(syscall.SIGKILL)
}

// Start starts a stopped server again and returns when it accepts connections.
func (s *server) Start() error {
	p, err := startProcess(s.command())
	if err != nil {
		return err
	}
	for _, addr := range []string{s.C2S, s.DirectTLS, s.Component} {
		if addr == "" {
			continue
		}
		if err := p.waitListening(addr); err != nil {
			err = fmt.Errorf("%w\n%s", err, s.Log())
			return errors.Join(err, p.stop(syscall.SIGKILL))
		}
	}
	s.process = p
	return nil
}

// Close stops the server and removes its files.
func (s *server) Close() error {
	return errors.Join(s.Stop(), os.RemoveAll(s.dir))
}

// Log returns what the server logged so far, for the report of a test that failed.
func (s *server) Log() string {
	var b strings.Builder
	for _, path := range s.logs {
		if content, err := os.ReadFile(path); err == nil {
			fmt.Fprintf(&b, "--- %s\n%s\n", filepath.Base(path), content)
		}
	}
	return b.String()
}

// cleanup closes the server with the test and attaches its log when the test failed.
func (s *server) cleanup(t testing.TB) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Log())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// process is a child process in a process group of its own, with a goroutine that waits for it.
type process struct {
	cmd    *exec.Cmd
	output *lockedBuffer
	done   chan struct{} // closed when the process has ended
	err    error         // of Wait; valid after done
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, output: &lockedBuffer{}, done: make(chan struct{})}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if cmd.Stdout == nil {
		cmd.Stdout = p.output
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.output
	}
	cmd.WaitDelay = stopTimeout
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(cmd.Path), err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop signals the whole group, first kindly, and returns when the process has ended.
func (p *process) stop(sig syscall.Signal) error {
	group := -p.cmd.Process.Pid
	_ = syscall.Kill(group, sig) // an error means that it has ended already
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = syscall.Kill(group, syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("%s: did not stop in %v", filepath.Base(p.cmd.Path), stopTimeout)
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // helpers it left behind
	return nil
}

func (p *process) waitListening(addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s: ended while starting: %w\n%s", filepath.Base(p.cmd.Path), p.err, p.output)
		case <-ctx.Done():
			return fmt.Errorf("%s: not listening on %s after %v\n%s", filepath.Base(p.cmd.Path), addr, startTimeout, p.output)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// freePorts returns n ports of 127.0.0.1 that were free a moment ago.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("free port: %w", err)
		}
		defer l.Close() // all are held until all are chosen, so that they differ
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func splitAddr(addr string) (host string, port int) {
	tcp := must(net.ResolveTCPAddr("tcp", addr))
	return tcp.IP.String(), tcp.Port
}

// lockedBuffer is a bytes.Buffer for a child's output, read while it still writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
