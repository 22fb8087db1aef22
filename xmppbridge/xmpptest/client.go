//go:build servers

package xmpptest

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

//go:embed client.py
var clientSource string

// python is Debian's own: another one on PATH does not see the package python3-slixmpp.
const python = "/usr/bin/python3"

// StepTimeout is how long a step of a script may take.
const StepTimeout = 30 * time.Second

// Script is a Python program that takes steps as JSON lines on its standard input and answers them on its standard output,
// as client.py does. Steps may be taken from several goroutines.
type Script struct {
	t       testing.TB
	process *process
	stdin   io.WriteCloser

	mu      sync.Mutex
	next    int
	waiting map[int]chan []byte // one answer each
	ended   error               // set when the program has ended
}

// StepError is a step's answer that says that it failed.
type StepError struct {
	Text   string       // why
	Stanza *StanzaError // with an IQ that was answered by an error
	Answer []byte       // the whole answer, as JSON
}

func (e *StepError) Error() string {
	if e.Stanza != nil {
		return fmt.Sprintf("%s: %s %s %v %q", e.Text, e.Stanza.Type, e.Stanza.Condition, e.Stanza.Application, e.Stanza.Text)
	}
	return e.Text + "\n" + string(e.Answer)
}

// StanzaError is the <error/> of a stanza.
type StanzaError struct {
	Type, Condition, Text string
	Application           []string // the names of its application-specific conditions
}

// Slixmpp runs a script under Debian's Python, which has slixmpp (package python3-slixmpp), with env added to the
// environment. It ends with the test; what it wrote to standard error is logged when the test failed.
func Slixmpp(t testing.TB, source string, env ...string) *Script {
	t.Helper()
	cmd := exec.Command(python, "-u", "-c", source)
	cmd.Env = append(os.Environ(), env...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, input, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = input
	p, err := startProcess(cmd)
	_ = input.Close()
	if err != nil {
		_ = output.Close()
		t.Fatalf("python3 is not installed: apt-get install --no-install-recommends python3-slixmpp: %v", err)
	}
	s := &Script{t: t, process: p, stdin: stdin, waiting: make(map[int]chan []byte)}
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		s.read(output)
	}()
	t.Cleanup(func() {
		_ = stdin.Close() // it logs out and ends by itself
		select {
		case <-p.done:
		case <-time.After(stopTimeout):
			t.Errorf("the client did not end in %v", stopTimeout)
		}
		_ = p.stop(syscall.SIGKILL)
		<-reading
		_ = output.Close()
		if t.Failed() {
			t.Logf("--- slixmpp\n%s", p.output)
		}
	})
	return s
}

func (s *Script) read(output io.Reader) {
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var answer struct{ ID int }
		if json.Unmarshal(line, &answer) != nil {
			continue
		}
		s.mu.Lock()
		waiting := s.waiting[answer.ID]
		delete(s.waiting, answer.ID)
		s.mu.Unlock()
		if waiting != nil {
			waiting <- line
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = errors.New("the script has ended")
	for id, waiting := range s.waiting {
		close(waiting)
		delete(s.waiting, id)
	}
}

// Try takes a step and decodes its answer into result, unless that is nil. A step that fails is a [*StepError].
func (s *Script) Try(step string, args map[string]any, result any) error {
	return s.TryFor(StepTimeout, step, args, result)
}

// TryFor is Try with another timeout, to see that something does not come.
func (s *Script) TryFor(timeout time.Duration, step string, args map[string]any, result any) error {
	waiting := make(chan []byte, 1)
	s.mu.Lock()
	if s.ended != nil {
		s.mu.Unlock()
		return s.ended
	}
	s.next++
	id := s.next
	s.waiting[id] = waiting
	request := map[string]any{}
	maps.Copy(request, args)
	request["id"], request["do"], request["timeout"] = id, step, timeout.Seconds()
	line, err := json.Marshal(request)
	if err == nil {
		_, err = s.stdin.Write(append(line, '\n'))
	}
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	var answer []byte
	select {
	case answer = <-waiting:
	case <-time.After(timeout + stopTimeout):
	}
	if answer == nil {
		return fmt.Errorf("%s: no answer from the script\n%s", step, s.process.output)
	}
	var outcome struct {
		OK          bool
		Error       string
		StanzaError *StanzaError `json:"stanza_error"`
	}
	if err := json.Unmarshal(answer, &outcome); err != nil {
		return fmt.Errorf("%s: %w: %s", step, err, answer)
	}
	if !outcome.OK {
		return &StepError{Text: outcome.Error, Stanza: outcome.StanzaError, Answer: answer}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, result)
}

// Do takes a step that must succeed.
func (s *Script) Do(step string, args map[string]any, result any) {
	s.t.Helper()
	if err := s.Try(step, args, result); err != nil {
		s.t.Fatal(err)
	}
}
