package template

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding is how a value is written as JSON.
type encoding struct {
	comma, colon string
	indent       string // of one level; empty for all on one line
	ascii        bool   // escape what is not ASCII
	html         bool   // escape < > & and '
	sorted       bool   // by name
}

func (m *machine) appendJSON(b []byte, v Value, e encoding, depth int) ([]byte, error) {
	if depth > maxDepth {
		return b, tooDeep()
	}
	if len(b) > m.bytes {
		return b, m.alloc(math.MaxInt)
	}
	if err := m.step(1); err != nil {
		return b, err
	}
	switch v.kind {
	case none:
		return append(b, "null"...), nil
	case boolean:
		return strconv.AppendBool(b, v.num != 0), nil
	case integer:
		return strconv.AppendInt(b, v.num, 10), nil
	case float:
		if f := v.float(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return appendFloat(b, f), nil
		}
		return append(b, "null"...), nil
	case text:
		return appendJSONText(b, v.str, e), m.look(len(v.str))
	case list, tuple, dict:
	default:
		return b, failf("%s cannot be JSON", describe(v))
	}
	items, step, open, end := v.obj.items, 1, byte('['), byte(']')
	if v.kind == dict {
		step, open, end = 2, '{', '}'
		if e.sorted {
			var err error
			if items, err = m.byName(items); err != nil {
				return b, err
			}
		}
	}
	b = append(b, open)
	for i := 0; i < len(items); i += step {
		if i > 0 {
			b = append(b, e.comma...)
		}
		b = e.newline(b, depth+1)
		if step == 2 {
			name, err := m.str(items[i])
			if err != nil {
				return b, err
			}
			b = append(appendJSONText(b, name, e), e.colon...)
		}
		var err error
		if b, err = m.appendJSON(b, items[i+step-1], e, depth+1); err != nil {
			return b, err
		}
	}
	if len(items) > 0 {
		b = e.newline(b, depth)
	}
	return append(b, end), nil
}

func (e encoding) newline(b []byte, depth int) []byte {
	if e.indent != "" {
		b = append(b, '\n')
		for range depth {
			b = append(b, e.indent...)
		}
	}
	return b
}

// byName are the entries of a dict in the order of their keys.
func (m *machine) byName(items []Value) ([]Value, error) {
	if err := m.allocList(len(items)); err != nil {
		return nil, err
	}
	var entries, names []Value
	for i := 0; i < len(items); i += 2 {
		entries, names = append(entries, newTuple(items[i:i+2]...)), append(names, items[i])
	}
	entries, err := m.sorted(entries, names, false)
	if err != nil {
		return nil, err
	}
	out := make([]Value, 0, len(items))
	for _, e := range entries {
		out = append(out, e.obj.items...)
	}
	return out, nil
}

func appendJSONText(b []byte, s string, e encoding) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' && strings.ContainsRune("\b\f\n\r\t", r):
			b = append(b, '\\', "btn?fr"[r-'\b'])
		case r < ' ' || r == 0x7f && e.ascii && e.html || e.html && strings.ContainsRune("<>&'", r):
			b = appendHex(append(b, `\u`...), r, 4)
		case r >= utf8.RuneSelf && e.ascii:
			if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
				b = appendHex(append(appendHex(append(b, `\u`...), high, 4), `\u`...), low, 4)
			} else {
				b = appendHex(append(b, `\u`...), r, 4)
			}
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// toJSON is Jinja's tojson, which sorts and escapes for HTML.
func toJSON(m *machine, c *call, a []Value) (Value, error) {
	e := encoding{comma: ", ", colon: ": ", ascii: true, html: true, sorted: true}
	indent, err := intArg(a[1], 0, 0, 16)
	if err != nil {
		return Value{}, err
	}
	if indent > 0 {
		e.comma, e.indent = ",", strings.Repeat(" ", indent)
	}
	return m.encode(a[0], e)
}

// toCompactJSON is Home Assistant's to_json.
func toCompactJSON(m *machine, c *call, a []Value) (Value, error) {
	e := encoding{comma: ",", colon: ":", ascii: a[1].truth(), sorted: a[3].truth()}
	if e.ascii {
		e.comma, e.colon = ", ", ": "
	}
	if a[2].truth() {
		e.comma, e.colon, e.indent = ",", ": ", "  "
	}
	return m.encode(a[0], e)
}

func (m *machine) encode(v Value, e encoding) (Value, error) {
	b, err := m.appendJSON(nil, v, e, 0)
	if err != nil {
		return Value{}, err
	}
	return String(string(b)), m.alloc(len(b))
}

func fromJSON(m *machine, c *call, a []Value) (Value, error) {
	s, err := textArg(a[0], "JSON")
	if err != nil {
		if a[0].isUndefined() {
			return Value{}, err
		}
		return orDefault(c, a[0], a[1])
	}
	if err := m.step(1 + len(s)/4); err != nil {
		return Value{}, err
	}
	most := min(maxJSONValues, m.bytes/sizeOfValue+1) // with more the bound is passed
	d := decoder{src: s, left: most}
	v, err := d.document()
	if err := m.allocList(most - max(d.left, 0)); err != nil {
		return Value{}, err
	}
	if err != nil {
		return orDefault(c, a[0], a[1])
	}
	return v, nil
}
