package serial

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// keyValue is the protocol "keyvalue": `t=21.5 h=48 name="north bed"`. Pairs are apart by spaces, tabs, commas or
// semicolons; a value in double quotes may hold them, with \" and \\ for those two. A line with anything that is not a
// pair is not understood as a whole: it is a boot message, or two lines that ran into each other.
type keyValue struct{ anySource }

type pair struct {
	name  string
	value field
}

// pairs are few: a search from the end is quicker than a map and lets the last of a name stand.
type pairs []pair

const separators = " \t,;"

func (p keyValue) decoder(r *reader) decoder { return newLines(r, p) }

func (keyValue) parse(text []byte) (fields, error) {
	out, line := make(pairs, 0, 8), string(text)
	for {
		line = strings.TrimLeft(line, separators)
		if line == "" {
			break
		}
		eq := strings.IndexByte(line, '=')
		if eq <= 0 || !isName(line[:eq]) {
			return nil, errNoPair
		}
		p := pair{name: line[:eq]}
		var err error
		if p.value, line, err = readValue(line[eq+1:]); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, errEmpty
	}
	return out, nil
}

var errNoPair = errors.New("not name=value pairs")

// isName reports whether s can be a field's name: letters, digits and _ - . /
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= 0x80 || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-./", c) >= 0 {
			continue
		}
		return false
	}
	return s != ""
}

// readValue reads the value s begins with and returns what follows it.
func readValue(s string) (f field, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, separators)
		if end < 0 {
			end = len(s)
		}
		if strings.ContainsAny(s[:end], "=\"") || hasControl(s[:end]) {
			return field{}, "", errNoPair
		}
		return field{kind: bare, text: s[:end]}, s[end:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			if rest = s[i+1:]; rest != "" && strings.IndexByte(separators, rest[0]) < 0 {
				return field{}, "", errNoPair
			}
			return field{kind: quoted, text: b.String()}, rest, nil
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c < ' ' && c != '\t':
			return field{}, "", errNoPair
		default:
			b.WriteByte(c)
		}
	}
	return field{}, "", errNoPair // the closing quote is missing
}

func hasControl(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0
}

func (p pairs) find(source string) (field, bool) {
	for _, pair := range slices.Backward(p) {
		if pair.name == source {
			return pair.value, true
		}
	}
	return field{}, false
}

// synchronous: the end of "set=21" is "t=21".
func (keyValue) synchronous() bool { return false }

// text is the text itself, in quotes where it would not read back otherwise.
func (keyValue) text(s string) (string, error) {
	if hasControl(s) {
		return "", fmt.Errorf("%q has a control character in it", s)
	}
	if s != "" && !strings.ContainsAny(s, separators+`="\`) {
		return s, nil
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`, nil
}
