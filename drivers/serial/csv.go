package serial

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tidings/devices"
	"tidings/devices/schema"
)

// csvLines is the protocol "csv": values in columns, `21.4,48,"north bed"` (RFC 4180, a record a line). A source is a
// column's number, from 1, or its name, which the configuration gives or the board in a header line.
type csvLines struct {
	separator byte
	columns   []string // names of the columns; nil where the configuration has none
	header    bool     // the board prints the names

	sources []string // what points are read from
	numbers []string // those of them that are numbers
	least   int      // the highest number among the sources: a line with fewer columns is not whole
}

var (
	errNoRow    = errors.New("not columns as they are configured")
	errNoHeader = errors.New("no header line so far")
)

// newCSV reads the protocol's keys.
func newCSV(t *schema.Table) (protocol, bool) {
	c, ok := &csvLines{columns: t.Strings("columns"), header: t.Bool("header", false)}, true
	mistake := func(key, format string, args ...any) {
		ok = false
		t.Errorf(key, format, args...)
	}
	switch s := t.StringOr("separator", ","); {
	case len(s) != 1 || s[0] == '"' || s[0] == '\r' || s[0] == '\n' || s[0] >= utf8.RuneSelf:
		mistake("separator", "separator: %q is none: it is one character, such as \",\", \";\" or \"\\t\"", s)
	default:
		c.separator = s[0]
	}
	if c.columns != nil && c.header {
		mistake("header", "header and columns both name the columns: columns is for boards that do not, or only when they start")
	}
	for i, name := range c.columns {
		if name == "" || slices.Contains(c.columns[:i], name) {
			mistake("columns", "columns: %q is no name of its own", name)
		}
	}
	return c, ok
}

func (c *csvLines) source(name string, kind devices.PointKind) (devices.Point, error) {
	n, err := strconv.Atoi(name)
	isNumber := err == nil && strconv.Itoa(n) == name
	switch {
	case c.header || slices.Contains(c.columns, name):
	case isNumber && n < 1:
		return devices.Point{}, errors.New("columns are counted from 1")
	case isNumber && c.columns != nil && n > len(c.columns):
		return devices.Point{}, fmt.Errorf("there are %d columns", len(c.columns))
	case !isNumber && c.columns != nil:
		return devices.Point{}, fmt.Errorf("%s", noneOf(name, c.columns))
	case !isNumber:
		return devices.Point{}, fmt.Errorf("%q is a name: name the columns by columns = [...], or with header = true as the board does, or give the column's number", name)
	}
	if isNumber && !slices.Contains(c.columns, name) {
		c.least = max(c.least, n)
	}
	c.sources = append(c.sources, name)
	if kind == devices.KindNumber {
		c.numbers = append(c.numbers, name)
	}
	return devices.Point{Kind: kind}, nil
}

func (c *csvLines) words() words {
	if c.header {
		return words{"lines", "baud, protocol, separator and header"}
	}
	return words{"lines", "baud, protocol, columns and separator"}
}

func (c *csvLines) decoder(r *reader) decoder {
	return newLines(r, &csvSession{csvLines: c, names: c.columns})
}

// text is the text itself, in quotes where it would not read back otherwise.
func (c *csvLines) text(s string) (string, error) {
	if hasControl(s) {
		return "", fmt.Errorf("%q has a control character in it", s)
	}
	if s == strings.TrimSpace(s) && !strings.ContainsAny(s, `"`+string(rune(c.separator))) {
		return s, nil
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`, nil
}

// csvSession is the grammar of one session: the header may come at any time in it.
type csvSession struct {
	*csvLines
	names []string // of the columns; nil where there are only numbers
}

// synchronous: the end of "121,3" is "21,3".
func (*csvSession) synchronous() bool { return false }

func (s *csvSession) parse(text []byte) (fields, error) {
	values, err := s.cut(string(text))
	if err != nil {
		return nil, err
	}
	if s.header && s.isHeader(values) {
		s.names = s.names[:0]
		for _, v := range values {
			s.names = append(s.names, v.text)
		}
		return row{}, nil
	}
	switch r := (row{s.names, values}); {
	case s.header && s.names == nil && !slices.ContainsFunc(s.sources, looksNumeric):
		return nil, errNoHeader
	case s.names != nil && len(values) != len(s.names), len(values) < s.least:
		return nil, errNoRow
	case len(s.numbers) > 0 && !slices.ContainsFunc(s.numbers, r.hasNumber): // a message with commas in it
		return nil, errNoRow
	default:
		return r, nil
	}
}

// isHeader reports whether a line names columns: one of them is a source, and none is a number.
func (s *csvSession) isHeader(values []field) bool {
	named := false
	for _, v := range values {
		if v.kind == bare && looksNumeric(v.text) {
			return false
		}
		named = named || slices.Contains(s.sources, v.text)
	}
	return named
}

// cut takes a line apart.
func (s *csvSession) cut(line string) ([]field, error) {
	out := make([]field, 0, strings.Count(line, string(rune(s.separator)))+1)
	for {
		line = strings.TrimLeft(line, s.blanks())
		var f field
		if strings.HasPrefix(line, `"`) {
			var b strings.Builder
			rest := line[1:]
			for {
				before, after, ok := strings.Cut(rest, `"`)
				if !ok {
					return nil, errNoRow // the closing quote is missing
				}
				b.WriteString(before)
				if rest = after; !strings.HasPrefix(rest, `"`) {
					break
				}
				b.WriteByte('"')
				rest = rest[1:]
			}
			line = strings.TrimLeft(rest, s.blanks())
			if line != "" && line[0] != s.separator {
				return nil, errNoRow
			}
			f = field{kind: quoted, text: b.String()}
		} else {
			end := strings.IndexByte(line, s.separator)
			if end < 0 {
				end = len(line)
			}
			if f.text = strings.TrimRight(line[:end], s.blanks()); strings.IndexByte(f.text, '"') >= 0 {
				return nil, errNoRow
			}
			line = line[end:]
		}
		if hasControl(f.text) {
			return nil, errNoRow
		}
		out = append(out, f)
		if line == "" {
			return out, nil
		}
		line = line[1:]
	}
}

// blanks are what may stand around a value.
func (s *csvSession) blanks() string {
	if s.separator == '\t' || s.separator == ' ' {
		return ""
	}
	return " \t"
}

// row is one line in columns.
type row struct {
	names  []string
	values []field
}

func (r row) find(source string) (field, bool) {
	i := slices.Index(r.names, source)
	if i < 0 {
		n, err := strconv.Atoi(source)
		if err != nil {
			return field{}, false
		}
		i = n - 1
	}
	if i < 0 || i >= len(r.values) {
		return field{}, false
	}
	return r.values[i], true
}

// hasNumber reports whether a column is a number, or says that there is none.
func (r row) hasNumber(source string) bool {
	f, ok := r.find(source)
	return ok && (looksNumeric(f.text) || isNoNumber(f.text))
}

// looksNumeric reports whether a text is a number, as far as its beginning says.
func looksNumeric(s string) bool {
	s = strings.TrimLeft(s, "+-.")
	return s != "" && s[0] >= '0' && s[0] <= '9'
}
