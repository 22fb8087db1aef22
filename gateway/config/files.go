package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"tidings/devices/schema"
)

// read reads a file and those it includes into one tree. It reports whether there is a tree at all: a file that
// cannot be read or is not TOML ends the load, together with others like it.
func (l *loader) read(path string) (*schema.Table, bool) {
	root, ok := l.readFile(path)
	if !ok {
		return nil, false
	}
	for _, included := range l.included(path, root.Table("gateway")) {
		over, readable := l.readFile(included)
		if !readable {
			ok = false
			continue
		}
		if gateway := over.Table("gateway"); gateway.Has("include") {
			gateway.Errorf("include", "include: %s is included itself, and an included file includes none", included)
			gateway.Delete("include")
		}
		if ok {
			merge(root, over)
		}
	}
	return root, ok
}

// readFile reads one file and expands the variables in it.
func (l *loader) readFile(path string) (*schema.Table, bool) {
	data, open, err := readSmall(path)
	if err != nil {
		l.problems.Add(schema.Problem{File: path, Text: err.Error()})
		return nil, false
	}
	l.open[path] = open
	root, err := schema.ParseInto(path, data, l.problems)
	if err != nil {
		var found *schema.Error
		if errors.As(err, &found) {
			for _, p := range found.Problems {
				l.problems.Add(p)
			}
		}
		return nil, false
	}
	l.expandTable(root)
	return root, true
}

// readSmall reads a file that a person wrote and reports whether others may read it. The errors name only what is
// wrong, not the file.
func readSmall(path string) (data []byte, open bool, err error) {
	// Without O_NONBLOCK a named pipe would hold the load until someone writes to it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false, plain(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, false, plain(err)
	case !info.Mode().IsRegular():
		return nil, false, errors.New("not a file with text in it")
	}
	data, err = io.ReadAll(io.LimitReader(f, schema.MaxFile+1))
	if err != nil {
		return nil, false, plain(err)
	}
	return data, info.Mode().Perm()&0o004 != 0, nil
}

var errNoFile = errors.New("there is no such file")

// plain puts an error of the file system into words that leave the file out, which stands before them.
func plain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errNoFile
	case errors.Is(err, fs.ErrPermission):
		return errors.New("permission denied: the gateway's user has to be able to read it")
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// included lists the files that [gateway] include names: patterns in their order, the files of each by name, none
// twice. A pattern that finds nothing is fine, a plain name has to be there.
func (l *loader) included(from string, gateway *schema.Table) []string {
	var out []string
	for _, pattern := range gateway.Strings("include") {
		full := pattern
		if !filepath.IsAbs(full) {
			full = filepath.Join(filepath.Dir(from), full)
		}
		found, err := filepath.Glob(full)
		switch {
		case err != nil:
			gateway.Errorf("include", "include: %q is not a pattern: %v", pattern, err)
		case len(found) == 0 && !strings.ContainsAny(pattern, `*?[\`):
			gateway.Errorf("include", "include: %s: there is no such file", full)
		}
		for _, f := range found {
			if f != from && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// merge lays over on base: tables merge, everything else replaces.
func merge(base, over *schema.Table) {
	for _, key := range over.Keys() {
		v, _ := over.Get(key)
		below, above := base.Table(key), over.Table(key)
		if below != nil && above != nil {
			merge(below, above)
			continue
		}
		base.Set(key, v)
	}
}

// reference finds ${NAME} and $${, which stands for "${" itself.
var reference = regexp.MustCompile(`\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{`)

// expandTable expands the variables in every string of a table.
func (l *loader) expandTable(t *schema.Table) {
	for _, key := range t.Keys() {
		v, _ := t.Get(key)
		var used bool
		v.V, used = l.expandValue(t, key, v.V)
		t.Set(key, v)
		if used {
			l.expanded[place{v.File, v.Line, schema.JoinPath(t.Path, key)}] = true
		}
	}
}

func (l *loader) expandValue(t *schema.Table, key string, v any) (out any, used bool) {
	switch v := v.(type) {
	case string:
		return l.expand(t, key, v)
	case *schema.Table:
		l.expandTable(v)
	case []any:
		for i, e := range v {
			var one bool
			v[i], one = l.expandValue(t, key, e)
			used = used || one
		}
	}
	return v, used
}

// expand expands one string and reports whether a variable was in it. What a variable holds is not expanded again.
func (l *loader) expand(t *schema.Table, key, s string) (out string, used bool) {
	if !strings.Contains(s, "${") {
		return s, false
	}
	out = reference.ReplaceAllStringFunc(s, func(match string) string {
		switch match {
		case "$${":
			return "${"
		case "${":
			t.Errorf(key, `%s: %q is no variable: write ${NAME}, or $${ for the two characters themselves`, key, cut(s[strings.Index(s, "${"):]))
			return match
		}
		used = true
		value, err := l.variable(match[2 : len(match)-1])
		if err != nil {
			t.Errorf(key, "%s: %s: %v", key, match, err)
		}
		return value
	})
	return out, used
}

func cut(s string) string {
	if len(s) > 20 {
		return strings.ToValidUTF8(s[:20], "") + "…"
	}
	return s
}

func (l *loader) variable(name string) (string, error) {
	switch {
	case name == "HOSTNAME" && l.Hostname != "":
		return l.Hostname, nil
	case name == "HOSTNAME":
		return os.Hostname()
	case name == "MACHINE_ID" && l.MachineID != "":
		return l.MachineID, nil
	case name == "MACHINE_ID":
		for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
			if data, _, err := readSmall(path); err == nil && len(data) > 1 {
				return strings.TrimSpace(string(data)), nil
			}
		}
		return "", errors.New("this machine has no /etc/machine-id: systemd-machine-id-setup makes one")
	}
	value, ok := l.Env(name)
	if !ok {
		return "", fmt.Errorf("the environment has no %s", name)
	}
	return value, nil
}
