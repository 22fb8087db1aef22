package serial

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// jsonLines is the protocol "json": one object a line (RFC 8259). A source is a field's name, or a path into nested
// objects and lists with dots: "sensors.0.t".
type jsonLines struct{}

// A jsonObject keeps its fields as they were written: a number that is wanted as a text (a long id) loses no digit.
type jsonObject map[string]json.RawMessage

func (jsonLines) parse(line string) (fields, error) {
	var object jsonObject
	if err := json.Unmarshal([]byte(line), &object); err != nil {
		return nil, errors.New("not a JSON object")
	}
	if len(object) == 0 { // null too
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

func (o jsonObject) find(source string) (field, bool) {
	raw, ok := o[source] // as a whole first: a name may have dots in it
	if !ok {
		head, rest, dotted := strings.Cut(source, ".")
		if raw, ok = o[head]; !ok || !dotted {
			return field{}, false
		}
		return findIn(raw, rest)
	}
	return jsonField(raw), true
}

// findIn follows a path into what a field holds.
func findIn(raw json.RawMessage, path string) (field, bool) {
	switch raw[0] {
	case '{':
		var object jsonObject
		if json.Unmarshal(raw, &object) != nil {
			return field{}, false
		}
		return object.find(path)
	case '[':
		head, rest, dotted := strings.Cut(path, ".")
		var list []json.RawMessage
		i, err := strconv.Atoi(head)
		if err != nil || json.Unmarshal(raw, &list) != nil || i < 0 || i >= len(list) {
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
func jsonField(raw json.RawMessage) field {
	switch raw[0] {
	case '{', '[':
		return field{kind: compound}
	case 'n':
		return field{kind: null}
	case '"':
		if bytes.IndexByte(raw, '\\') < 0 {
			return field{kind: quoted, text: string(raw[1 : len(raw)-1])}
		}
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return field{kind: compound}
		}
		return field{kind: quoted, text: s}
	}
	return field{kind: bare, text: string(raw)}
}
