package serial

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// jsonLines is the protocol "json": one object a line (RFC 8259). A source is a field's name, or a path into nested
// objects and lists with dots: "sensors.0.t".
//
// A line is checked by encoding/json and then only cut where its fields begin and end: that takes less than half
// the time of decoding into a map, and a number that is wanted as a text (a long id) loses no digit.
type jsonLines struct{ anySource }

var errNoObject = errors.New("not a JSON object")

func (p jsonLines) decoder(r *reader) decoder { return newLines(r, p) }

func (jsonLines) parse(line []byte) (fields, error) {
	if !json.Valid(line) {
		return nil, errNoObject
	}
	text := strings.Trim(string(line), jsonSpace)
	if text[0] != '{' {
		return nil, errNoObject
	}
	object := cutObject(text)
	if len(object) == 0 {
		return nil, errEmpty
	}
	return object, nil
}

func (jsonLines) synchronous() bool { return true } // it begins with a brace and ends with its match

// text is a JSON string. Characters of HTML stay as they are: they mean nothing here and boards are simple readers.
func (jsonLines) text(s string) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// member is one field of an object: its name and its value as it was written.
type member struct{ name, raw string }

// jsonObject has the fields in the order of the line; of two with one name the last stands.
type jsonObject []member

func (o jsonObject) find(source string) (field, bool) {
	if raw, ok := o.member(source); ok { // as a whole first: a name may have dots in it
		return jsonField(raw), true
	}
	head, rest, dotted := strings.Cut(source, ".")
	if raw, ok := o.member(head); ok && dotted {
		return findIn(raw, rest)
	}
	return field{}, false
}

func (o jsonObject) member(name string) (raw string, ok bool) {
	for _, m := range slices.Backward(o) {
		if m.name == name {
			return m.raw, true
		}
	}
	return "", false
}

// findIn follows a path into what a field holds.
func findIn(raw, path string) (field, bool) {
	switch raw[0] {
	case '{':
		return cutObject(raw).find(path)
	case '[':
		head, rest, dotted := strings.Cut(path, ".")
		list := cutList(raw)
		i, err := strconv.Atoi(head)
		if err != nil || i < 0 || i >= len(list) {
			return field{}, false
		}
		if dotted {
			return findIn(list[i], rest)
		}
		return jsonField(list[i]), true
	case 'n':
		return field{kind: null}, true // a sensor that is not there: so is everything in it
	}
	return field{}, false
}

// jsonField reads one valid JSON value.
func jsonField(raw string) field {
	switch raw[0] {
	case '{', '[':
		return field{kind: compound}
	case 'n':
		return field{kind: null}
	case '"':
		return field{kind: quoted, text: unquote(raw)}
	}
	return field{kind: bare, text: raw}
}

// unquote is the text of a valid JSON string.
func unquote(raw string) string {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	var s string
	_ = json.Unmarshal([]byte(raw), &s) // it is valid
	return s
}

// What follows cuts JSON that is known to be valid: nothing is checked again.

const jsonSpace = " \t\r\n"

func cutObject(raw string) jsonObject {
	var out jsonObject
	for rest := open(raw); rest[0] != '}'; {
		n := stringLen(rest)
		name := unquote(rest[:n])
		rest = strings.TrimLeft(rest[n:], jsonSpace)        // at the colon
		rest = strings.TrimLeft(rest[len(":"):], jsonSpace) // at the value
		n = valueLen(rest)
		if out == nil {
			out = make(jsonObject, 0, 8)
		}
		out = append(out, member{name: name, raw: rest[:n]})
		rest = next(rest[n:])
	}
	return out
}

func cutList(raw string) []string {
	var out []string
	for rest := open(raw); rest[0] != ']'; {
		n := valueLen(rest)
		out = append(out, rest[:n])
		rest = next(rest[n:])
	}
	return out
}

// open is what follows the bracket that raw begins with.
func open(raw string) string { return strings.TrimLeft(raw[1:], jsonSpace) }

// next is what follows a value and, if there is one, the comma after it.
func next(rest string) string {
	rest = strings.TrimLeft(rest, jsonSpace)
	if rest[0] == ',' {
		rest = strings.TrimLeft(rest[1:], jsonSpace)
	}
	return rest
}

// stringLen is the length of the string that s begins with, with its quotes.
func stringLen(s string) int {
	for i := 1; ; i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// valueLen is the length of the value that s begins with.
func valueLen(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			i += stringLen(s[i:]) - 1
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // of what holds the value
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(s)
}
