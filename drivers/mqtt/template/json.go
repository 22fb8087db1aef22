package template

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of JSON: its length, and the values in it.
const (
	maxJSON       = 1 << 20
	maxJSONValues = 1 << 16
)

// JSON decodes a text. Numbers with a point or an exponent become floats, others integers, if they are within 64 bits. What is
// too large fails: over 1 MiB, 65,536 values or 64 levels.
func JSON(s string) (Value, error) {
	if len(s) > maxJSON {
		return Value{}, failf("the JSON is longer than 1 MiB")
	}
	d := decoder{src: s, left: maxJSONValues}
	return d.document()
}

type decoder struct {
	src   string
	pos   int
	left  int     // values that may still come
	stack []Value // elements of the lists and dicts under way
}

// stacks are those of decoders that are done, empty, so that most messages need no new one.
var stacks = sync.Pool{New: func() any { return new([]Value) }}

// document reads the one value that there is.
func (d *decoder) document() (Value, error) {
	stack := stacks.Get().(*[]Value)
	d.stack = *stack
	defer func() {
		if cap(d.stack) <= 1024 {
			clear(d.stack) // after an error
			*stack = d.stack[:0]
			stacks.Put(stack)
		}
	}()
	d.space()
	v, err := d.value(0)
	if err != nil {
		return Value{}, err
	}
	if d.space(); d.pos < len(d.src) {
		return Value{}, d.fail("more than one value")
	}
	return v, nil
}

func (d *decoder) fail(what string) error { return failf("no JSON: %s at byte %d", what, d.pos+1) }

func (d *decoder) space() {
	for d.pos < len(d.src) {
		switch d.src[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

func (d *decoder) value(depth int) (Value, error) {
	if d.pos >= len(d.src) {
		return Value{}, d.fail("it ends")
	}
	if d.left--; d.left < 0 {
		return Value{}, d.fail("too many values")
	}
	switch c := d.src[d.pos]; c {
	case '{', '[':
		if depth >= maxDepth {
			return Value{}, d.fail("too many levels")
		}
		if c == '{' {
			return d.dict(depth)
		}
		return d.list(depth)
	case '"':
		s, err := d.text()
		return String(s), err
	case 't':
		return Bool(true), d.word("true")
	case 'f':
		return Bool(false), d.word("false")
	case 'n':
		return None(), d.word("null")
	}
	return d.number()
}

func (d *decoder) word(w string) error {
	if !strings.HasPrefix(d.src[d.pos:], w) {
		return d.fail("an unknown word")
	}
	d.pos += len(w)
	return nil
}

// next reads the comma or the end behind an element; more is false at the end.
func (d *decoder) next(end byte) (more bool, err error) {
	if d.space(); d.pos >= len(d.src) {
		return false, d.fail("it ends")
	}
	switch d.src[d.pos] {
	case ',':
		d.pos++
		d.space()
		return true, nil
	case end:
		d.pos++
		return false, nil
	}
	return false, d.fail("a comma is missing")
}

// open reads the bracket of a list or dict, and its end if it is empty.
func (d *decoder) open(end byte) (empty bool) {
	d.pos++
	if d.space(); d.pos < len(d.src) && d.src[d.pos] == end {
		d.pos++
		return true
	}
	return false
}

func (d *decoder) list(depth int) (Value, error) {
	base := len(d.stack)
	for more := !d.open(']'); more; {
		v, err := d.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		d.stack = append(d.stack, v)
		if more, err = d.next(']'); err != nil {
			return Value{}, err
		}
	}
	return List(d.take(base)...), nil
}

// take are the elements on the stack from base on.
func (d *decoder) take(base int) []Value {
	items := append(make([]Value, 0, len(d.stack)-base), d.stack[base:]...)
	clear(d.stack[base:])
	d.stack = d.stack[:base]
	return items
}

func (d *decoder) dict(depth int) (Value, error) {
	base := len(d.stack)
	for more := !d.open('}'); more; {
		if d.pos >= len(d.src) || d.src[d.pos] != '"' {
			return Value{}, d.fail("a name is missing")
		}
		name, err := d.text()
		if err != nil {
			return Value{}, err
		}
		if d.space(); d.pos >= len(d.src) || d.src[d.pos] != ':' {
			return Value{}, d.fail("a colon is missing")
		}
		d.pos++
		d.space()
		v, err := d.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		d.stack = append(d.stack, String(name), v)
		if more, err = d.next('}'); err != nil {
			return Value{}, err
		}
	}
	items := d.take(base)
	if len(items) <= 2*indexed && !repeats(items) {
		return Value{kind: dict, obj: &object{items: items}}, nil
	}
	var b dictBuilder
	for i := 0; i < len(items); i += 2 {
		b.put(items[i], items[i+1])
	}
	return b.value(), nil
}

// repeats reports whether a name is there twice.
func repeats(items []Value) bool {
	for i := 2; i < len(items); i += 2 {
		for j := 0; j < i; j += 2 {
			if items[i].str == items[j].str {
				return true
			}
		}
	}
	return false
}

func (d *decoder) number() (Value, error) {
	start := d.pos
	digits := func() bool {
		from := d.pos
		for d.pos < len(d.src) && isDigit(d.src[d.pos]) {
			d.pos++
		}
		return d.pos > from
	}
	at := func(set string) bool {
		if d.pos < len(d.src) && strings.IndexByte(set, d.src[d.pos]) >= 0 {
			d.pos++
			return true
		}
		return false
	}
	at("-")
	whole := true
	if !at("0") && !digits() {
		return Value{}, d.fail("an unknown value")
	}
	if at(".") {
		if whole = false; !digits() {
			return Value{}, d.fail("a digit is missing")
		}
	}
	if at("eE") {
		whole = false
		if at("+-"); !digits() {
			return Value{}, d.fail("a digit is missing")
		}
	}
	s := d.src[start:d.pos]
	if whole {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return Int(i), nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return Value{}, d.fail("a number that is too large")
	}
	return Float(f), nil
}

// text reads a string. One without escapes is part of the source.
func (d *decoder) text() (string, error) {
	d.pos++
	start := d.pos
	for ; d.pos < len(d.src); d.pos++ {
		switch c := d.src[d.pos]; {
		case c == '"':
			s := d.src[start:d.pos]
			d.pos++
			return s, nil
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", d.fail("a control character in a text")
		}
	}
	return "", d.fail("a text is not closed")
}

func (d *decoder) escaped(start int) (string, error) {
	b := append(make([]byte, 0, d.pos-start+64), d.src[start:d.pos]...)
	for d.pos < len(d.src) {
		c := d.src[d.pos]
		d.pos++
		switch {
		case c == '"':
			return string(b), nil
		case c < ' ':
			return "", d.fail("a control character in a text")
		case c != '\\':
			b = append(b, c)
			continue
		}
		if d.pos >= len(d.src) {
			break
		}
		c = d.src[d.pos]
		d.pos++
		if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
			b = append(b, "\"\\/\b\f\n\r\t"[i])
			continue
		}
		r := d.hex()
		if c != 'u' || r < 0 {
			return "", d.fail("an unknown escape")
		}
		if utf16.IsSurrogate(r) {
			low := rune(-1)
			if strings.HasPrefix(d.src[d.pos:], `\u`) {
				d.pos += 2
				low = d.hex()
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return "", d.fail("half a character")
			}
		}
		b = utf8.AppendRune(b, r)
	}
	return "", d.fail("a text is not closed")
}

// hex reads four digits, or gives -1.
func (d *decoder) hex() rune {
	if d.pos+4 > len(d.src) {
		return -1
	}
	n, err := strconv.ParseUint(d.src[d.pos:d.pos+4], 16, 32)
	if err != nil {
		return -1
	}
	d.pos += 4
	return rune(n)
}
