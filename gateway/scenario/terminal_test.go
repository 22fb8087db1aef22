//go:build servers

package scenario

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A terminal is a program on a screen, as tmux has it.
type terminal struct {
	t      *testing.T
	socket string
}

// openTerminal starts a program with a directory of its own for what it keeps.
func openTerminal(t *testing.T, program string) *terminal {
	t.Helper()
	dir := t.TempDir()
	term := &terminal{t: t, socket: filepath.Join(dir, "t")}
	command := fmt.Sprintf("env LC_ALL=C.UTF-8 HOME=%[1]s XDG_CONFIG_HOME=%[1]s/config XDG_DATA_HOME=%[1]s/data %s", dir, program)
	term.tmux("new-session", "-d", "-x", "200", "-y", "60", command)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- terminal\n%s", term.screen())
		}
		term.tmux("kill-server")
	})
	return term
}

func (t *terminal) tmux(args ...string) string {
	t.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-u", "-S", t.socket, "-f", "/dev/null"}, args...)...).CombinedOutput()
	if err != nil {
		t.t.Errorf("tmux %s: %v\n%s", args[0], err, out)
	}
	return string(out)
}

func (t *terminal) screen() string { return t.tmux("capture-pane", "-p") }

// enter types a line.
func (t *terminal) enter(line string) {
	t.t.Helper()
	t.tmux("send-keys", "-l", line)
	t.tmux("send-keys", "Enter")
}

// see waits until something is on the screen. A screen tells nobody when it changes: it is looked at again and again.
func (t *terminal) see(text string) {
	t.t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(t.screen(), text); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.t.Fatalf("%q is not on the screen", text)
		}
	}
}

// ask types a line, every second anew, until an answer has everything.
func (t *terminal) ask(line string, answer ...string) {
	t.t.Helper()
	missing := func() string {
		screen := t.screen()
		for _, text := range answer {
			if !strings.Contains(screen, text) {
				return text
			}
		}
		return ""
	}
	var again time.Time
	for end := time.Now().Add(patience); missing() != ""; time.Sleep(50 * time.Millisecond) {
		switch now := time.Now(); {
		case now.After(end):
			t.t.Fatalf("%s: %q is not on the screen", line, missing())
		case now.After(again):
			t.enter(line)
			again = now.Add(time.Second)
		}
	}
}

// A person with Profanity logs in, sees presence, lists commands, runs one, and chats.
func TestProfanity(t *testing.T) {
	t.Parallel()
	g := inside()
	h := begin(t, g)
	login := h.login("alice")
	p := openTerminal(t, "profanity")
	p.see("Type '/help' to show complete help.")
	p.enter(fmt.Sprintf("/connect %s server %s port %d tls trust", login.JID, login.Host, login.Port))
	p.see("Enter password:")
	p.enter(login.Password)
	p.see("logged in successfully")
	p.ask("/who online", `Greenhouse is online, "30 °C · 48 %"`, `Front door is online, "closed"`, `Lamp is online, "off"`)

	p.enter("/cmd list " + g.full("lamp"))
	p.see("  lamp/power/off")
	p.see("  lamp/power/on")
	p.enter("/cmd exec lamp/power/on " + g.full("lamp"))
	p.see("Power is on (confirmed by the device)")
	p.see(`++ Lamp (lamp) is online, "on"`)
	if !h.lamp.Power() {
		t.Error("the lamp is off")
	}

	p.enter("/msg " + g.bare("lamp") + " off")
	p.see("Lamp: Power is off (confirmed by the device).")
	if h.lamp.Power() {
		t.Error("the lamp is on")
	}
}
