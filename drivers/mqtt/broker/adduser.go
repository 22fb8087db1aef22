package broker

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// A NewUser is what [AddUser] writes.
type NewUser struct {
	Name, Password string
	// Read and Write are the patterns of the topics the user may use. With both empty the rules that the user has stay;
	// otherwise they are replaced.
	Read, Write []string
}

// AddUser sets the password of a user in a file of users, and its rules where there are any, adding the user or the file
// when it is not there. The file is replaced whole, with mode 0600; a running broker takes it up by itself. Names hold no
// colon, and passwords have at most 72 bytes, bcrypt's limit.
func AddUser(path string, u NewUser) error {
	name := u.Name
	if name == "" || len(name) > maxNameLen || strings.ContainsAny(name, ":\n\r") || strings.TrimSpace(name) != name || name[0] == '#' {
		return fmt.Errorf("user: %q cannot be a name: no colon, no space around it, no # before it", name)
	}
	if u.Password == "" {
		return errors.New("user: the password is empty")
	}
	rules, err := u.rules()
	if err != nil {
		return fmt.Errorf("user: %s: %w", name, err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(u.Password), bcrypt.DefaultCost)
	if err != nil {
		return fmt.Errorf("user: %s: %w", name, err)
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("users: %w", err)
	}
	if _, err := parseUsers(text); err != nil {
		return fmt.Errorf("users: %s:%w", path, err)
	}
	out := replaceUser(text, name+":"+string(hash), rules)
	if _, err := parseUsers(out); err != nil { // too many rules, or a file that has become too large for one line
		return fmt.Errorf("users: %s:%w", path, err)
	}
	if len(out) > maxUsersFile {
		return fmt.Errorf("users: %s: would have more than %d bytes, which is more than is read", path, maxUsersFile)
	}
	return replaceFile(path, out)
}

// rules are the lines of a user's rules, without those that say nothing new.
func (u NewUser) rules() ([]rule, error) {
	var out []rule
	add := func(pattern string, read, write bool) error {
		pattern = strings.TrimSpace(pattern)
		if err := checkPattern(pattern); err != nil {
			return err
		}
		i := slices.IndexFunc(out, func(r rule) bool { return r.pattern == pattern })
		if i < 0 {
			i = len(out)
			out = append(out, rule{pattern: pattern})
		}
		out[i].read, out[i].write = out[i].read || read, out[i].write || write
		return nil
	}
	for _, p := range u.Read {
		if err := add(p, true, false); err != nil {
			return nil, err
		}
	}
	for _, p := range u.Write {
		if err := add(p, false, true); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// replaceUser puts a line NAME:HASH in place of that user's, or at the end, and the rules in place of those behind it,
// if there are any.
func replaceUser(text []byte, line string, rules []rule) []byte {
	name, _, _ := strings.Cut(line, ":")
	var out bytes.Buffer
	write := func() {
		out.WriteString(line + "\n")
		for _, r := range rules {
			out.WriteString("  " + r.String() + "\n")
		}
	}
	here, done := false, false // among the user's lines; written
	for old := range strings.Lines(string(text)) {
		trimmed := strings.TrimSpace(old)
		if other, _, ok := parseUser(trimmed); ok && trimmed[0] != '#' {
			if here = other == name; here {
				write()
				done = true
				continue
			}
		}
		if here && rules != nil && trimmed != "" && trimmed[0] != '#' {
			continue
		}
		out.WriteString(strings.TrimRight(old, "\n") + "\n")
	}
	if !done {
		write()
	}
	return out.Bytes()
}

// replaceFile writes a private file so that a reader, and a power cut, find the old one or the new one.
func replaceFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
