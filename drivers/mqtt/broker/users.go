package broker

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const (
	maxUsersFile = 1 << 20 // 12,000 users
	maxNameLen   = 256     // of a name that is compared and logged
	parallelHash = 2       // password checks at once: each takes a core for a tenth of a second
)

// decoy is compared with when there is no such user, so that both answers take the same time.
const decoy = "$2a$10$CwTycUXWue0Thq9StjUM0uJ8VQvSUWQPl1mUQw0qBJ0vEwJtBMGfG"

// users is the file of users, read again when it changes. Safe for concurrent use.
type users struct {
	path string
	slot chan struct{} // bounds the password checks at once

	mu       sync.Mutex
	modified time.Time
	size     int64
	hashes   map[string]string
	known    map[string][sha256.Size]byte // of user, hash and a password that was right: spares the next bcrypt
}

func newUsers(path string) (*users, error) {
	u := &users{path: path, slot: make(chan struct{}, parallelHash)}
	return u, u.load()
}

// load reads the file when it is not the one already read.
func (u *users) load() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	info, err := os.Stat(u.path)
	if err != nil {
		return fmt.Errorf("users: %w: add one with `tidings broker adduser NAME`", err)
	}
	if info.ModTime().Equal(u.modified) && info.Size() == u.size {
		return nil
	}
	if err := checkMode(u.path); err != nil {
		return fmt.Errorf("users: %w", err)
	}
	if info.Size() > maxUsersFile {
		return fmt.Errorf("users: %s: %d bytes is more than is read", u.path, info.Size())
	}
	text, err := os.ReadFile(u.path)
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	hashes, err := parseUsers(text)
	if err != nil {
		return fmt.Errorf("users: %s:%w", u.path, err)
	}
	u.modified, u.size, u.hashes, u.known = info.ModTime(), info.Size(), hashes, map[string][sha256.Size]byte{}
	return nil
}

// check reports whether the password is the user's. A file that cannot be read any more lets nobody in.
func (u *users) check(name, password []byte) (bool, error) {
	if err := u.load(); err != nil {
		return false, err
	}
	if len(name) > maxNameLen {
		return false, nil
	}
	u.mu.Lock()
	hash, ok := u.hashes[string(name)]
	seen, again := u.known[string(name)]
	u.mu.Unlock()
	if !ok {
		hash = decoy
	}
	digest := sha256.Sum256(append([]byte(hash+"\x00"), password...))
	if again && subtle.ConstantTimeCompare(seen[:], digest[:]) == 1 {
		return true, nil
	}
	u.slot <- struct{}{}
	right := bcrypt.CompareHashAndPassword([]byte(hash), password) == nil
	<-u.slot
	if !ok || !right {
		return false, nil
	}
	u.mu.Lock()
	if u.hashes[string(name)] == hash {
		u.known[string(name)] = digest
	}
	u.mu.Unlock()
	return true, nil
}

// parseUsers reads lines NAME:HASH; empty lines and those that begin with # are left out. Its errors begin with the
// line number.
func parseUsers(text []byte) (map[string]string, error) {
	hashes := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, hash, _ := strings.Cut(line, ":")
		if _, err := bcrypt.Cost([]byte(hash)); err != nil || name == "" {
			return nil, fmt.Errorf("%d: not a line NAME:HASH with a bcrypt hash: write it with `tidings broker adduser NAME` or htpasswd -B", n)
		}
		if _, twice := hashes[name]; twice {
			return nil, fmt.Errorf("%d: user %q is there twice", n, name)
		}
		hashes[name] = hash
	}
	return hashes, lines.Err()
}

// checkMode says that a file of hashes is readable by others. A file that is not there is no mistake: it may come.
func checkMode(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s can be read by others (mode %04o): chmod 600 %s", path, mode, path)
	}
	return nil
}

// AddUser sets the password of a user in a file of users, adding the user or the file when it is not there. The file
// is replaced whole, with mode 0600; a running broker takes it up with the next login. Names hold no colon, and
// passwords have at most 72 bytes, bcrypt's limit.
func AddUser(path, name, password string) error {
	if name == "" || len(name) > maxNameLen || strings.ContainsAny(name, ":\n\r") || strings.TrimSpace(name) != name || name[0] == '#' {
		return fmt.Errorf("user: %q cannot be a name: no colon, no space around it, no # before it", name)
	}
	if password == "" {
		return errors.New("user: the password is empty")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
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
	var out bytes.Buffer
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(strings.TrimSpace(line), name+":") {
			out.WriteString(strings.TrimRight(line, "\n") + "\n")
		}
	}
	fmt.Fprintf(&out, "%s:%s\n", name, hash)
	return replaceFile(path, out.Bytes())
}

// replaceFile writes a private file so that a reader, and a power cut, find the old one or the new one.
func replaceFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".users-*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("users: %w", err), os.Remove(f.Name()))
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
