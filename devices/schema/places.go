package schema

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A place is where a key stands, and the places of what stands below it: keys of a table or elements of an array.
type place struct {
	line  int
	keys  map[string]*place
	elems []*place
}

func (p *place) child(key string) *place {
	if p == nil {
		return nil
	}
	return p.keys[key]
}

func (p *place) elem(i int) *place {
	if p == nil || i >= len(p.elems) {
		return nil
	}
	return p.elems[i]
}

// add returns the place of a key, made when it is not there yet.
func (p *place) add(key string, line int) *place {
	if c := p.keys[key]; c != nil {
		return c
	}
	if p.keys == nil {
		p.keys = map[string]*place{}
	}
	c := &place{line: line}
	p.keys[key] = c
	return c
}

// last is the table that a header or a dotted key means when it passes through p: of an array of tables the latest.
func (p *place) last() *place {
	if n := len(p.elems); n > 0 {
		return p.elems[n-1]
	}
	return p
}

// A placeScanner finds the lines of the keys in a document that the TOML library has accepted: it knows where keys,
// strings and brackets begin and end and nothing else. On anything it does not expect it moves on by one byte, so it
// always ends; a key it misses gets the line of its table.
type placeScanner struct {
	doc  string
	pos  int
	line int
}

func scanPlaces(doc string) *place {
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} { // byte order marks, as the library takes them
		if cut, ok := strings.CutPrefix(doc, mark); ok {
			doc = cut
			break
		}
	}
	s := &placeScanner{doc: doc, line: 1}
	root := &place{line: 1}
	table := root
	for {
		s.space()
		switch s.peek() {
		case 0:
			if s.pos >= len(s.doc) {
				return root
			}
			s.next()
		case '[':
			table = s.header(root)
		default:
			s.pair(table)
		}
	}
}

// peek is the next byte, or 0 at the end.
func (s *placeScanner) peek() byte {
	if s.pos < len(s.doc) {
		return s.doc[s.pos]
	}
	return 0
}

func (s *placeScanner) next() {
	if s.peek() == '\n' {
		s.line++
	}
	s.pos++
}

func (s *placeScanner) has(prefix string) bool { return strings.HasPrefix(s.doc[s.pos:], prefix) }

// accept takes c when it is next.
func (s *placeScanner) accept(c byte) bool {
	if s.pos < len(s.doc) && s.doc[s.pos] == c {
		s.next()
		return true
	}
	return false
}

// blanks skips what may stand inside a line.
func (s *placeScanner) blanks() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.pos++
	}
}

// space skips blanks, line ends and comments.
func (s *placeScanner) space() {
	for s.pos < len(s.doc) {
		switch s.doc[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.next()
		case '#':
			for s.pos < len(s.doc) && s.doc[s.pos] != '\n' {
				s.pos++
			}
		default:
			return
		}
	}
}

// header reads [a.b] or [[a.b]] and returns the table that the following keys belong to.
func (s *placeScanner) header(root *place) *place {
	line := s.line
	s.next()
	array := s.accept('[')
	parts := s.key()
	s.accept(']')
	if array {
		s.accept(']')
	}
	at := root
	for i, part := range parts {
		at = at.add(part, line)
		if i < len(parts)-1 {
			at = at.last()
		}
	}
	switch {
	case array:
		at.elems = append(at.elems, &place{line: line})
		at = at.last()
	case len(parts) > 0:
		at.line = line // its own header is a better place than the first header below it
	}
	return at
}

// pair reads key = value.
func (s *placeScanner) pair(table *place) {
	start, line := s.pos, s.line
	parts := s.key()
	s.blanks()
	s.accept('=')
	at := table
	for i, part := range parts {
		at = at.add(part, line)
		if i < len(parts)-1 {
			at = at.last()
		}
	}
	s.value(at)
	if s.pos == start {
		s.next()
	}
}

// key reads the parts of a bare, quoted or dotted key.
func (s *placeScanner) key() []string {
	var parts []string
	for {
		s.blanks()
		switch start := s.pos; s.peek() {
		case '"', '\'':
			s.text()
			parts = append(parts, unquoteKey(s.doc[start:min(s.pos, len(s.doc))]))
		default:
			for s.pos < len(s.doc) && isBare(s.doc[s.pos:s.pos+1]) {
				s.pos++
			}
			if s.pos == start {
				return parts
			}
			parts = append(parts, s.doc[start:s.pos])
		}
		s.blanks()
		if !s.accept('.') {
			return parts
		}
	}
}

// value skips a value and records the keys inside it.
func (s *placeScanner) value(at *place) {
	s.blanks()
	switch s.peek() {
	case '"', '\'':
		s.text()
	case '[':
		s.next()
		for s.more(']') {
			elem := &place{line: s.line}
			at.elems = append(at.elems, elem)
			s.step(func() { s.value(elem) })
		}
	case '{':
		s.next()
		for s.more('}') {
			s.step(func() { s.pair(at) })
		}
	default:
		for s.pos < len(s.doc) && strings.IndexByte(",]}#\n", s.doc[s.pos]) < 0 {
			s.pos++
		}
	}
}

// more skips to the next element and reports whether there is one before the closing bracket, which it takes.
func (s *placeScanner) more(closing byte) bool {
	for {
		s.space()
		if !s.accept(',') {
			break
		}
	}
	return !s.accept(closing) && s.pos < len(s.doc)
}

// step calls read and makes sure that it has moved.
func (s *placeScanner) step(read func()) {
	start := s.pos
	if read(); s.pos == start {
		s.next()
	}
}

// text skips a string of any of the four sorts.
func (s *placeScanner) text() {
	quote := s.doc[s.pos : s.pos+1]
	closing := quote
	if s.has(strings.Repeat(quote, 3)) {
		closing = strings.Repeat(quote, 3)
	}
	s.pos += len(closing)
	for s.pos < len(s.doc) && !s.has(closing) {
		if quote == `"` && s.peek() == '\\' {
			s.pos++
		}
		s.next()
	}
	s.pos = min(s.pos+len(closing), len(s.doc))
	if len(closing) == 3 { // up to two quotes may stand directly before the closing three
		for range 2 {
			s.accept(quote[0])
		}
	}
}

// unquoteKey reads a quoted key as it stands in the file.
func unquoteKey(quoted string) string {
	body := strings.TrimSuffix(quoted[1:], quoted[:1])
	if quoted[0] == '\'' || !strings.Contains(body, `\`) {
		return body
	}
	var b strings.Builder
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' || i+1 == len(body) {
			b.WriteByte(body[i])
			continue
		}
		i++
		if digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[body[i]]; digits > 0 && i+digits < len(body) {
			if n, err := strconv.ParseUint(body[i+1:i+1+digits], 16, 32); err == nil && n <= utf8.MaxRune {
				b.WriteRune(rune(n))
			}
			i += digits
			continue
		}
		if c := strings.IndexByte("btnfre", body[i]); c >= 0 {
			b.WriteByte("\b\t\n\f\r\x1b"[c])
			continue
		}
		b.WriteByte(body[i])
	}
	return b.String()
}
