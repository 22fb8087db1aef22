package schema

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// MaxFile is the size in bytes beyond which Parse refuses a file: enough for tens of thousands of devices, and little
// enough that a wrong path (a log, a disk image) costs nothing.
const MaxFile = 16 << 20

// Bounds on what the TOML library is given: it recurses for each open bracket, and takes time by the square of the
// parts of a dotted key.
const (
	maxLine    = 16 << 10
	maxNesting = 500
)

// Parse reads a TOML file into its root table, each key with the file and line it stands on. file is only a name, for
// the places of mistakes. What is not TOML (a syntax error, a key that is there twice) is the one error returned, and
// stands alone because nothing after it can be trusted; it is an *[Error] of one Problem. The mistakes that are found later
// are collected in the table's [Table.Problems].
func Parse(file string, data []byte) (*Table, error) {
	return ParseInto(file, data, new(Problems))
}

// ParseInto is Parse for files that are read together: the mistakes found later go to ps.
func ParseInto(file string, data []byte, ps *Problems) (*Table, error) {
	if line, text := tooMuch(data); text != "" {
		return nil, &Error{[]Problem{{File: file, Line: line, Text: text}}}
	}
	tree, err := decode(string(data))
	if err != nil {
		return nil, &Error{[]Problem{syntaxProblem(file, err)}}
	}
	b := builder{file: file, problems: ps, keys: map[string]string{}}
	return b.table("", tree, scanPlaces(string(data)), 1), nil
}

// tooMuch says which bound a file breaks, and on which line, or "". Brackets in strings and comments are counted too,
// which no sensible file notices.
func tooMuch(data []byte) (line int, text string) {
	if len(data) > MaxFile {
		return 0, fmt.Sprintf("the file is larger than %d MB: is it the right one?", MaxFile>>20)
	}
	nesting := 0
	for part := range bytes.Lines(data) {
		if line++; len(part) > maxLine {
			return line, fmt.Sprintf("the line is longer than %d KB: is this a configuration file?", maxLine>>10)
		}
		for _, c := range part {
			switch c {
			case '[', '{':
				nesting++
			case ']', '}':
				nesting = max(nesting-1, 0)
			}
		}
		if nesting > maxNesting {
			return line, fmt.Sprintf("more than %d brackets are open here", maxNesting)
		}
	}
	return 0, ""
}

// decode is toml.Decode with a barrier: on some broken documents the library panics where it means to report.
func decode(doc string) (tree map[string]any, err error) {
	defer func() {
		if recover() != nil {
			tree, err = nil, errors.New("not TOML")
		}
	}()
	_, err = toml.Decode(doc, &tree)
	return tree, err
}

// builder joins the library's values and the scanner's places.
type builder struct {
	file     string
	problems *Problems
	keys     map[string]string // each key once, however many tables have it
}

// own returns a string that does not share memory with the file: the library's values are parts of it, and a single
// name that is kept would keep all of it.
func own(s string) string { return strings.Clone(s) }

func (b *builder) key(s string) string {
	k, ok := b.keys[s]
	if !ok {
		k = own(s)
		b.keys[k] = k
	}
	return k
}

func (b *builder) table(path string, tree map[string]any, at *place, line int) *Table {
	t := NewTable(path, b.file, line, b.problems)
	for key, v := range tree {
		key = b.key(key)
		child, childLine := at.child(key), line
		if child != nil {
			childLine = child.line
		}
		t.Set(key, Value{V: b.value(JoinPath(path, key), v, child, childLine), File: b.file, Line: childLine})
	}
	return t
}

func (b *builder) value(path string, v any, at *place, line int) any {
	switch v := v.(type) {
	case string:
		return own(v)
	case map[string]any:
		return b.table(path, v, at, line)
	case []map[string]any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = e
		}
		return b.list(path, list, at, line)
	case []any:
		return b.list(path, v, at, line)
	}
	return v
}

func (b *builder) list(path string, list []any, at *place, line int) []any {
	out := make([]any, len(list))
	for i, e := range list {
		elem, elemLine := at.elem(i), line
		if elem != nil {
			elemLine = elem.line
		}
		out[i] = b.value(fmt.Sprintf("%s[%d]", path, i), e, elem, elemLine)
	}
	return out
}

// JoinPath appends a key to a key path as a person writes it: in quotes where TOML needs them.
func JoinPath(path, key string) string {
	if !isBare(key) {
		key = quoteKey(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func isBare(key string) bool {
	for i := range len(key) {
		c := key[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return key != ""
}

// quoteKey writes a basic string of TOML: only quotes, backslashes and control characters are escaped.
func quoteKey(key string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range key {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// syntaxProblem puts the library's error into words for a person who does not know the library.
func syntaxProblem(file string, err error) Problem {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return Problem{File: file, Text: strings.TrimPrefix(err.Error(), "toml: ")}
	}
	p := Problem{File: file, Line: max(pe.Position.Line, 1), Path: pe.LastKey, Text: strings.TrimSuffix(pe.Message, ".")}
	for _, s := range plainWords {
		if m := s.is.FindStringSubmatch(p.Text); m != nil {
			p.Text = s.is.ReplaceAllString(p.Text, s.say)
			if s.names {
				p.Path = ""
			}
			return p
		}
	}
	p.Text = strings.ToLower(p.Text[:min(1, len(p.Text))]) + p.Text[min(1, len(p.Text)):]
	return p
}

// plainWords are the mistakes people make most, with the way out. A sentence that names the key itself stands without
// the path.
var plainWords = []struct {
	is    *regexp.Regexp
	say   string
	names bool
}{
	{is: regexp.MustCompile(`(?s)^Key '(.*)' (?:has already been defined|was already created.*)$`), say: "$1 is there a second time: a key or a table can stand only once", names: true},
	{is: regexp.MustCompile(`^expected value but found ('\\n'|'#') instead$`), say: "there is no value after the ="},
	{is: regexp.MustCompile(`^unexpected EOF; expected value$`), say: "there is no value after the ="},
	{is: regexp.MustCompile(`^expected value but found ("[^"]*"|'.') instead$`), say: "$1 is not a value: text stands in quotes"},
	{is: regexp.MustCompile(`^unexpected EOF; expected '"""'$`), say: `the text opened with """ is never closed`},
	{is: regexp.MustCompile(`^unexpected EOF; expected "'''"$`), say: "the text opened with ''' is never closed"},
	{is: regexp.MustCompile(`^(strings cannot contain newlines|unexpected EOF; expected (?:'"'|"'"))$`), say: "the closing quote is missing on this line"},
	{is: regexp.MustCompile(`^invalid escape in string '\\(.*)'$`), say: `\$1 means nothing inside "…": write \\ for a backslash, or put the text into '…'`},
	{is: regexp.MustCompile(`^expected (?:eight|four|two) hexadecimal digits after '\\(.)', but got .*$`), say: `\$1 means nothing inside "…": write \\ for a backslash, or put the text into '…'`},
	{is: regexp.MustCompile(`^expected '\.' or '=', but got .* instead$`), say: "there is no = after the key"},
}
