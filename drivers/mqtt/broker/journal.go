package broker

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

const (
	// RetainedFile is the name of the file in Options.Dir that retained messages are kept in.
	RetainedFile = "broker.retained"

	journalHead  = "tidings retained 1\n"
	maxRecord    = largestPacket + 1<<20
	journalSlack = 1 << 20 // bytes that may be outdated, and as many as are not
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A journal is the file of retained messages: a head, and records that are appended, a batch at a time, and are written
// anew when too many are outdated. A record is the length of its body and the body's CRC-32C, four bytes each with the
// lowest first, and the body: what it is (0 a removal, 1 a message, 2 a message with properties), the QoS, when it expires
// as a varint, the topic and, with what 2, the properties in JSON, each behind its length as a varint, and the payload.
//
// Not safe for concurrent use.
type journal struct {
	path   string
	log    *slog.Logger
	file   *os.File
	size   int64
	buffer []byte
}

// openJournal opens the file, or makes it, and gives what it holds to restore, in order: a message, or a nil one for a topic
// that was removed. A file that ends within a record, as after a power cut, is cut off there; one that is something else is
// put aside.
func openJournal(path string, log *slog.Logger, restore func(topic string, m *message)) (*journal, error) {
	j := &journal{path: path, log: log}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("retained messages: %w", err)
	}
	j.file = f
	if err := j.read(restore); err != nil {
		return nil, errors.Join(fmt.Errorf("retained messages: %w", err), f.Close())
	}
	return j, nil
}

func (j *journal) read(restore func(string, *message)) error {
	in := bufio.NewReader(j.file)
	head := make([]byte, len(journalHead))
	n, err := io.ReadFull(in, head)
	switch {
	case n == 0 && err == io.EOF:
		return j.begin()
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case string(head[:n]) != journalHead:
		aside := j.path + ".bad"
		j.log.Error("file of retained messages is not one, it is put aside and they begin anew", "file", j.path, "aside", aside)
		if err := os.Rename(j.path, aside); err != nil {
			return err
		}
		f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		err = j.file.Close()
		j.file = f
		return errors.Join(err, j.begin())
	}
	good := int64(len(journalHead))
	for {
		size, topic, m, err := readRecord(in)
		if err == io.EOF {
			break
		}
		if err != nil {
			j.log.Warn("file of retained messages ends in the middle of one, as after a power cut", "file", j.path, "at", good, "err", err)
			if err := j.file.Truncate(good); err != nil {
				return err
			}
			break
		}
		good += size
		restore(topic, m)
	}
	j.size = good
	_, err = j.file.Seek(good, io.SeekStart)
	return err
}

// begin writes the head of an empty file.
func (j *journal) begin() error {
	j.size = int64(len(journalHead))
	_, err := j.file.WriteAt([]byte(journalHead), 0)
	if err == nil {
		_, err = j.file.Seek(j.size, io.SeekStart)
	}
	return err
}

// readRecord reads one record. io.EOF is the end between two; any other error is a record that is none.
func readRecord(in io.Reader) (size int64, topic string, m *message, err error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, "", nil, err
	}
	length := binary.LittleEndian.Uint32(head[:])
	if length < 4 || length > maxRecord {
		return 0, "", nil, fmt.Errorf("a record of %d bytes", length)
	}
	// A length that is wrong must not make room for what is not there.
	body, err := io.ReadAll(io.LimitReader(in, int64(length)))
	if err != nil || len(body) < int(length) {
		return 0, "", nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return 0, "", nil, errors.New("a record with a wrong checksum")
	}
	topic, m, err = decodeRecord(body)
	return int64(len(head)) + int64(length), topic, m, err
}

func decodeRecord(body []byte) (string, *message, error) {
	wrong := errors.New("a record that cannot be read")
	if len(body) < 2 {
		return "", nil, wrong
	}
	what, qos, rest := body[0], body[1], body[2:]
	expires, n := binary.Varint(rest)
	if n <= 0 || qos > 2 || what > 2 {
		return "", nil, wrong
	}
	rest = rest[n:]
	topic, rest, ok := cutBytes(rest)
	if !ok || len(topic) == 0 {
		return "", nil, wrong
	}
	if what == 0 {
		return string(topic), nil, nil
	}
	m := &message{topic: string(topic), qos: qos, expires: expires}
	if what == 2 {
		text, after, ok := cutBytes(rest)
		if !ok || json.Unmarshal(text, &m.properties) != nil {
			return "", nil, wrong
		}
		rest = after
	}
	if len(rest) == 0 {
		return "", nil, wrong
	}
	m.payload = rest
	return m.topic, m, nil
}

// cutBytes takes off what stands behind its length.
func cutBytes(b []byte) (part, rest []byte, ok bool) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n : n+int(length)], b[n+int(length):], true
}

// appendRecord appends the record of a message, or of the removal of a topic's.
func appendRecord(b []byte, topic string, m *message) []byte {
	at := len(b)
	b = append(b, make([]byte, 8)...)
	switch {
	case m == nil:
		b = binary.AppendVarint(append(b, 0, 0), 0)
		b = append(binary.AppendUvarint(b, uint64(len(topic))), topic...)
	default:
		var text []byte
		if m.properties != nil {
			text, _ = json.Marshal(m.properties) // strings and bytes: it cannot fail
		}
		what := byte(1)
		if text != nil {
			what = 2
		}
		b = binary.AppendVarint(append(b, what, m.qos), m.expires)
		b = append(binary.AppendUvarint(b, uint64(len(topic))), topic...)
		if text != nil {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
		b = append(b, m.payload...)
	}
	body := b[at+8:]
	binary.LittleEndian.PutUint32(b[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[at+4:], crc32.Checksum(body, castagnoli))
	return b
}

// append writes what changed, and waits for the disk. When it fails nothing was written.
func (j *journal) append(changed map[string]*message) error {
	b := j.buffer[:0]
	for topic, m := range changed {
		b = appendRecord(b, topic, m)
	}
	if j.buffer = b; cap(b) > 1<<20 {
		j.buffer = nil
	}
	_, err := j.file.Write(b)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		_, seek := j.file.Seek(j.size, io.SeekStart)
		return fmt.Errorf("retained messages: %w", errors.Join(err, j.file.Truncate(j.size), seek))
	}
	j.size += int64(len(b))
	return nil
}

// outdated reports whether the file should be written anew, with so many bytes of messages.
func (j *journal) outdated(live int) bool { return j.size > 2*int64(live)+journalSlack }

// rewrite writes all messages anew, beside the old file and then in its place.
func (j *journal) rewrite(all []*message) (err error) {
	f, err := os.CreateTemp(filepath.Dir(j.path), "."+filepath.Base(j.path)+"-*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("retained messages: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("retained messages: %w", errors.Join(err, f.Close(), os.Remove(f.Name())))
		}
	}()
	size := int64(len(journalHead))
	out := bufio.NewWriter(f)
	if _, err := out.WriteString(journalHead); err != nil {
		return err
	}
	var b []byte
	for _, m := range all {
		b = appendRecord(b[:0], m.topic, m)
		size += int64(len(b))
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), j.path); err != nil {
		return err
	}
	old := j.file
	j.file, j.size = f, size
	if err := old.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		j.log.Warn("old file of retained messages not closed", "err", err)
	}
	return nil
}

func (j *journal) close() error { return j.file.Close() }
