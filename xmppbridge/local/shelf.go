package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// A stored is one file that was uploaded.
type stored struct {
	ID      string    `json:"id"` // of letters and digits: the name of the file on the disk, and hard to guess
	Name    string    `json:"name"`
	Type    string    `json:"type"`
	Size    int64     `json:"size"`
	Account string    `json:"account"` // "" for the house
	At      time.Time `json:"at"`
}

// A shelf keeps files in a directory: each under its id, and what is known of it under its id with .json, which is written last,
// so that a file without one is none.
type shelf struct {
	dir string

	loading sync.Mutex
	mu      sync.Mutex
	loaded  bool
	files   map[string]stored // by id
	bytes   int64
}

func newShelf(dir string) *shelf { return &shelf{dir: dir, files: make(map[string]stored)} }

// load makes the directory and reads what is in it. What is not whole is removed.
func (f *shelf) load() error {
	f.loading.Lock()
	defer f.loading.Unlock()
	if f.loaded {
		return nil
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	names, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	found := make(map[string]stored)
	for _, n := range names {
		id, ok := strings.CutSuffix(n.Name(), ".json")
		if !ok {
			continue
		}
		var s stored
		text, err := os.ReadFile(f.path(n.Name()))
		info, statErr := os.Stat(f.path(id))
		if err == nil && statErr == nil && json.Unmarshal(text, &s) == nil && s.ID == id && s.Size == info.Size() {
			found[id] = s
		}
	}
	var failed error
	for _, n := range names {
		if _, ok := found[strings.TrimSuffix(n.Name(), ".json")]; !ok && n.Type().IsRegular() {
			failed = errors.Join(failed, os.Remove(f.path(n.Name())))
		}
	}
	if failed != nil {
		return fmt.Errorf("upload: %w", failed)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files, f.loaded = found, true
	for _, s := range found {
		f.bytes += s.Size
	}
	return nil
}

func (f *shelf) path(name string) string { return filepath.Join(f.dir, name) }

// room reports whether a file fits, with so many bytes promised to others and to the same account.
func (f *shelf) room(file stored, maxSize, promised, own int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, s := range f.files {
		if s.Account == file.Account {
			n++
			own += s.Size
		}
	}
	switch {
	case n >= maxAccountFiles || own+file.Size > max(maxAccountBytes, maxSize):
		return errors.New("your files take up all the room there is for them: the oldest go with time")
	case len(f.files) >= maxFiles || f.bytes+promised+file.Size > max(maxBytes, maxSize):
		return errors.New("there is no room for more files at the moment")
	}
	return nil
}

// makeRoom is room for a file of the house, whose oldest go before it fails.
func (f *shelf) makeRoom(file stored, maxSize int64) error {
	for {
		err := f.room(file, maxSize, 0, 0)
		if err == nil {
			return nil
		}
		var oldest stored
		f.mu.Lock()
		for _, s := range f.files {
			if s.Account == file.Account && (oldest.ID == "" || s.At.Before(oldest.At)) {
				oldest = s
			}
		}
		f.mu.Unlock()
		if oldest.ID == "" {
			return err
		}
		f.remove(oldest)
	}
}

// keep writes a file that is in memory.
func (f *shelf) keep(file stored, data []byte) error { return f.take(file, bytes.NewReader(data)) }

// errSize says that what came is not as long as it was said to be.
var errSize = errors.New("not the size that was announced")

// take writes a file. It is there whole or not at all.
func (f *shelf) take(file stored, from io.Reader) (err error) {
	if err := f.load(); err != nil {
		return err
	}
	path := f.path(file.ID)
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	n, err := io.Copy(out, io.LimitReader(from, file.Size+1))
	if err == nil && n != file.Size {
		err = errSize
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	text, err := json.Marshal(file)
	if err != nil {
		return err
	}
	if err = writeWhole(path+".json", text); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[file.ID] = file
	f.bytes += file.Size
	return nil
}

// open finds a file.
func (f *shelf) open(id, name string) (*os.File, stored, error) {
	f.mu.Lock()
	file, ok := f.files[id]
	f.mu.Unlock()
	if !ok || file.Name != name {
		return nil, stored{}, fs.ErrNotExist
	}
	content, err := os.Open(f.path(id))
	return content, file, err
}

// remove takes a file away. What cannot be removed now is when the directory is read next.
func (f *shelf) remove(file stored) {
	f.mu.Lock()
	if _, ok := f.files[file.ID]; ok {
		delete(f.files, file.ID)
		f.bytes -= file.Size
	}
	f.mu.Unlock()
	_ = os.Remove(f.path(file.ID + ".json"))
	_ = os.Remove(f.path(file.ID))
}

// expire removes what is older than a time.
func (f *shelf) expire(before time.Time) {
	f.mu.Lock()
	var old []stored
	for _, s := range f.files {
		if s.At.Before(before) {
			old = append(old, s)
		}
	}
	f.mu.Unlock()
	for _, s := range old {
		f.remove(s)
	}
}

// fileName is what is left of a client's name for a file: no path, and nothing but letters, digits, dots, hyphens and underscores.
func fileName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	var b strings.Builder
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_", r) || r == utf8.RuneError {
			r = '_'
		}
		if b.Len()+utf8.RuneLen(r) > maxNames {
			break
		}
		b.WriteRune(r)
	}
	if name = strings.TrimLeft(b.String(), "."); name == "" {
		return "file"
	}
	return name
}

// shown are the types that a browser may show: none of them is active.
var shown = []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "video/mp4", "video/webm", "video/ogg",
	"audio/mpeg", "audio/mp4", "audio/aac", "audio/ogg", "audio/opus", "audio/webm", "audio/wav", "audio/x-wav", "text/plain"}

const unknownType = "application/octet-stream"

// fileType is the type that a file is shown as: the one the client says, or that of its name, if it is one of those above.
func fileType(said, name string) string {
	t, _, err := mime.ParseMediaType(said)
	if err != nil {
		t, _, _ = mime.ParseMediaType(mime.TypeByExtension(strings.ToLower(filepath.Ext(name))))
	}
	if !slices.Contains(shown, t) {
		return unknownType
	}
	return t
}
