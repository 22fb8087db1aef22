//go:build servers

package packaging

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	unit     = "tidings.service"
	sysusers = "tidings.sysusers"
	rules    = "70-tidings.rules"
	binary   = "/usr/bin/tidings"
)

// output runs a command and returns all it prints. A command that is not there fails the test: it is in the package
// systemd.
func output(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v: install Debian's systemd", name, err)
	}
	return string(out), err
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// settings are the values of one key of the unit, in order.
func settings(t *testing.T, key string) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(read(t, unit)) {
		if value, ok := strings.CutPrefix(line, key+"="); ok {
			out = append(out, strings.TrimSpace(value))
		}
	}
	return out
}

// verify runs systemd-analyze on a copy of the unit whose program is one that is there.
func verify(t *testing.T, text string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "tidings")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, unit)
	if err := os.WriteFile(path, []byte(strings.Replace(text, "="+binary+" ", "="+program+" ", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	return output(t, "systemd-analyze", "--man=no", "--recursive-errors=no", "verify", path)
}

func TestUnitIsClean(t *testing.T) {
	t.Parallel()
	text := read(t, unit)
	if out, err := verify(t, text); err != nil || out != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// The check can see: a key that systemd does not know, and a program that is not there.
	for was, is := range map[string]string{"WatchdogSec=": "WatchdogSecs=", "=/bin/kill ": "=/bin/no-such-kill "} {
		if out, _ := verify(t, strings.Replace(text, was, is, 1)); out == "" {
			t.Errorf("with %s nothing is said", is)
		}
	}
}

func TestUnitExposure(t *testing.T) {
	t.Parallel()
	out, err := output(t, "systemd-analyze", "security", "--offline=true", "--no-pager", unit)
	if err != nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	found := regexp.MustCompile(`Overall exposure level for tidings\.service: ([0-9.]+) `).FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("systemd-analyze security says no level:\n%s", out)
	}
	level, err := strconv.ParseFloat(found[1], 64)
	if err != nil || level > 2.0 {
		t.Errorf("exposure %s, and 2.0 is the most allowed:\n%s", found[1], out)
	}
	t.Logf("exposure %s", found[1])
}

func TestUnitKeepsItsPromises(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"ExecStart":              binary + " run --config /etc/tidings/gateway.toml",
		"Type":                   "notify",
		"ExecReload":             "/bin/kill -HUP $MAINPID",
		"DynamicUser":            "yes",
		"StateDirectory":         "tidings",
		"RuntimeDirectory":       "tidings", // the control socket is in it
		"ConfigurationDirectory": "tidings",
		"DevicePolicy":           "closed",
		// What `tidings run` ends with when the configuration has mistakes: cmd/tidings holds to it.
		"RestartPreventExitStatus": "78",
	} {
		if got := settings(t, key); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if len(settings(t, "WatchdogSec")) != 1 {
		t.Error("there is no watchdog")
	}
	// A credential from an absolute path has to be there, or the unit does not start (systemd.exec(5)); one by its
	// name is left out when it is not.
	credentials := settings(t, "LoadCredential")
	if len(credentials) == 0 {
		t.Error("there are no credentials")
	}
	for _, c := range credentials {
		id, source, ok := strings.Cut(c, ":")
		if !ok || source != "tidings."+id {
			t.Errorf("LoadCredential=%s: is not optional, or not named after what it is", c)
		}
	}
}

// groups makes the groups of a sysusers file in an empty root and returns their names.
func groups(t *testing.T, path string) ([]string, error) {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	out, err := output(t, "systemd-sysusers", "--root="+root, absolute)
	if err != nil {
		t.Log(out)
		return nil, err
	}
	var names []string
	for line := range strings.Lines(read(t, filepath.Join(root, "etc/group"))) {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	return names, nil
}

func TestGroupsAreMade(t *testing.T) {
	t.Parallel()
	made, err := groups(t, sysusers)
	if err != nil {
		t.Fatalf("systemd-sysusers: %v", err)
	}
	wanted := strings.Fields(strings.Join(settings(t, "SupplementaryGroups"), " "))
	if len(wanted) == 0 {
		t.Error("the unit has no groups")
	}
	for _, g := range wanted {
		if !slices.Contains(made, g) {
			t.Errorf("the unit wants group %s, and %s makes %q", g, sysusers, made)
		}
	}
	bad := filepath.Join(t.TempDir(), "bad.conf")
	if err := os.WriteFile(bad, []byte("group gpio\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := groups(t, bad); err == nil {
		t.Error("the check does not see a file that is none")
	}
}

// A rule of udev(7) is comma-separated KEY OP "value", with matches (== and !=) before assignments here.
var term = regexp.MustCompile(`^(ACTION|KERNEL|SUBSYSTEM|ATTR\{[^}]+\}|GROUP|MODE|OWNER|TAG|SYMLINK)(==|!=|\+=|:=|=)"([^"]*)"$`)

func parseRules(text string) (rules []map[string]string, bad []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		rule, assigned := map[string]string{}, false
		for part := range strings.SplitSeq(line, ",") {
			m := term.FindStringSubmatch(strings.TrimSpace(part))
			if m == nil {
				bad = append(bad, part)
				continue
			}
			match := m[2] == "==" || m[2] == "!="
			if isSetter := slices.Contains([]string{"GROUP", "MODE", "OWNER", "TAG", "SYMLINK"}, m[1]); match == isSetter || match && assigned {
				bad = append(bad, part)
			}
			assigned = assigned || !match
			rule[m[1]+m[2]] = m[3]
		}
		rules = append(rules, rule)
	}
	return rules, bad
}

func TestRules(t *testing.T) {
	t.Parallel()
	parsed, bad := parseRules(read(t, rules))
	if len(bad) > 0 {
		t.Errorf("not udev: %q", bad)
	}
	found := slices.ContainsFunc(parsed, func(r map[string]string) bool {
		return r["SUBSYSTEM=="] == "gpio" && r["KERNEL=="] == "gpiochip*" && r["GROUP="] == "gpio" && r["MODE="] == "0660"
	})
	if !found {
		t.Errorf("no rule gives GPIO chips to their group: %v", parsed)
	}
	for _, wrong := range []string{`SUBSYSTEM="gpio", GROUP="gpio"`, `SUBSYSTEM=="gpio" GROUP="gpio"`, `GROUP=="gpio"`, `KERNEL==gpiochip*`} {
		if _, bad := parseRules(wrong); len(bad) == 0 {
			t.Errorf("the check does not see what is wrong with %s", wrong)
		}
	}
	// systemd 254 and later check them themselves, where the package udev is installed.
	if help, err := exec.Command("udevadm", "--help").Output(); err == nil && bytes.Contains(help, []byte("verify")) {
		if out, err := output(t, "udevadm", "verify", rules); err != nil {
			t.Errorf("udevadm verify: %v\n%s", err, out)
		}
	}
}
