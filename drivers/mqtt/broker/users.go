package broker

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const (
	maxUsersFile = 1 << 20 // 12,000 users
	maxNameLen   = 256     // of a name that is compared and logged
	maxCost      = 14      // of a hash: a second or two of a core for each login
	parallelHash = 2       // password checks at once: each takes a core for a tenth of a second
	settleTime   = time.Second
)

// decoy is compared with when there is no such user, so that both answers take the same time.
const decoy = "$2a$10$CwTycUXWue0Thq9StjUM0uJ8VQvSUWQPl1mUQw0qBJ0vEwJtBMGfG"

// A table is what a file of users says.
type table struct {
	users map[string]user
	rules []rule // everybody's
}

type user struct {
	hash  string
	rules []rule
}

// rights are those of a client that is logged in as a user. No user by that name has none.
func (t *table) rights(name, client string) *rights {
	u, ok := t.users[name]
	r := &rights{of: t, all: ok && len(t.rules)+len(u.rules) == 0}
	if ok {
		r.rules = append(compile(t.rules, name, client), compile(u.rules, name, client)...)
	}
	return r
}

// users is the file of users, read again when it changes. Safe for concurrent use.
type users struct {
	path string
	log  *slog.Logger
	slot chan struct{} // bounds the password checks at once
	now  atomic.Pointer[table]

	mu    sync.Mutex
	file  os.FileInfo                  // that was read
	said  string                       // the mistake that was logged last
	known map[string][sha256.Size]byte // of user, hash and a password that was right: spares the next bcrypt
}

// newUsers reads the file, which has to be there and right.
func newUsers(path string, log *slog.Logger) (*users, error) {
	u := &users{path: path, log: log, slot: make(chan struct{}, parallelHash)}
	if _, err := u.load(); err != nil {
		return nil, err
	}
	return u, nil
}

// refresh reads the file again if it has changed, and reports whether that is so. With a mistake in it, the users that were
// there before stay, and the mistake is logged once.
func (u *users) refresh() bool {
	changed, err := u.load()
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil {
		u.said = ""
	} else if text := err.Error(); text != u.said {
		u.said = text
		u.log.Error("broker users not read again, those from before stay", "err", err)
	}
	return changed
}

// load reads the file when it is not the one already read.
func (u *users) load() (changed bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	info, err := os.Stat(u.path)
	if err != nil {
		return false, unread(u.path, err)
	}
	if u.file != nil && info.ModTime().Equal(u.file.ModTime()) && info.Size() == u.file.Size() {
		return false, nil
	}
	// A file that has become shorter may be in the middle of being written in place: an empty one would throw everybody out.
	if age := time.Since(info.ModTime()); u.file != nil && info.Size() < u.file.Size() && age >= 0 && age < settleTime {
		return false, nil
	}
	t, err := readUsers(u.path)
	if err != nil {
		return false, err
	}
	u.file, u.known = info, map[string][sha256.Size]byte{}
	u.now.Store(t)
	return true, nil
}

// readUsers reads a file of users that nobody else can read.
func readUsers(path string) (*table, error) {
	if err := checkMode(path); err != nil {
		return nil, unread(path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, unread(path, err)
	}
	if info.Size() > maxUsersFile || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("users: %s: not a file of at most %d bytes", path, maxUsersFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	t, err := parseUsers(text)
	if err != nil {
		return nil, fmt.Errorf("users: %s:%w", path, err)
	}
	return t, nil
}

// unread says why the file cannot be read, and what makes one where there is none.
func unread(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("users: there is no file %s: add a user with `tidings broker adduser NAME --file %s`", path, path)
	}
	return fmt.Errorf("users: %w", err)
}

// recalls reports whether the password was right before, which costs next to nothing to say. The hash is the user's.
func (u *users) recalls(name, password []byte) (hash string, ok bool) {
	hash = u.now.Load().users[string(name)].hash
	u.mu.Lock()
	seen, again := u.known[string(name)]
	u.mu.Unlock()
	digest := passwordDigest(hash, password)
	return hash, again && subtle.ConstantTimeCompare(seen[:], digest[:]) == 1
}

// check reports whether the password is the user's, and the hash it was compared with.
func (u *users) check(name, password []byte) (hash string, right bool) {
	if len(name) > maxNameLen {
		return "", false
	}
	user, ok := u.now.Load().users[string(name)]
	hash = user.hash
	if !ok {
		hash = decoy
	}
	u.slot <- struct{}{}
	right = bcrypt.CompareHashAndPassword([]byte(hash), password) == nil
	<-u.slot
	if !ok || !right {
		return "", false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.now.Load().users[string(name)].hash != hash { // it changed meanwhile
		return "", false
	}
	u.known[string(name)] = passwordDigest(hash, password)
	return hash, true
}

func passwordDigest(hash string, password []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(hash+"\x00"), password...))
}

// parseUsers reads lines NAME:HASH, each followed by the user's rules; rules before the first user are everybody's. Empty
// lines and those that begin with # are left out. Its errors begin with the line number.
func parseUsers(text []byte) (*table, error) {
	t := &table{users: map[string]user{}}
	current := ""
	lines := bufio.NewScanner(bytes.NewReader(text))
	n := 1
	for ; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if name, hash, ok := parseUser(line); ok {
			if _, twice := t.users[name]; twice {
				return nil, fmt.Errorf("%d: user %q is there twice", n, name)
			}
			if cost, _ := bcrypt.Cost([]byte(hash)); cost > maxCost {
				return nil, fmt.Errorf("%d: the hash of %q has the cost %d: more than %d keeps the gateway busy", n, name, cost, maxCost)
			}
			current = name
			t.users[name] = user{hash: hash}
			continue
		}
		if !isRule(line) {
			return nil, fmt.Errorf("%d: neither a line NAME:HASH with a bcrypt hash, which `tidings broker adduser` and htpasswd -B write, nor a rule: %s", n, ruleFormat)
		}
		r, err := parseRule(line)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		rules := &t.rules
		u := t.users[current]
		if current != "" {
			rules = &u.rules
		}
		if *rules = append(*rules, r); len(*rules) > maxRules {
			return nil, fmt.Errorf("%d: more than %d rules in one place: let + and # stand for many topics", n, maxRules)
		}
		if current != "" {
			t.users[current] = u
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%d: %w", n, err)
	}
	return t, nil
}

// parseUser reads NAME:HASH.
func parseUser(line string) (name, hash string, ok bool) {
	name, hash, _ = strings.Cut(line, ":")
	_, err := bcrypt.Cost([]byte(hash))
	return name, hash, err == nil && name != ""
}

func isRule(line string) bool {
	word := strings.Fields(line)[0]
	return word == "read" || word == "write" || word == "readwrite" || word == "deny"
}

// checkMode says that a file of secrets is readable by others. A file that is not there is no mistake: it may come.
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
