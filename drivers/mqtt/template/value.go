package template

import (
	"math"
	"slices"
	"strings"
	"time"
)

// kind is the type of a Value, by the names that Python has for them where it has one.
type kind uint8

const (
	absent    kind = iota // an argument left out, a variable that was not set
	undefined             // str says what was looked for
	none
	boolean // num is 0 or 1
	integer // num
	float   // num is its bits
	text    // str
	list    // obj.items
	tuple   // obj.items
	dict    // obj.items: key, value, key, value…
	space   // a namespace: as dict, but it can be assigned to
	moment  // a datetime: num is microseconds since 1970, obj.zone its zone
	span    // a timedelta: num is microseconds
	cycle   // the variable loop: num is its place in machine.loops
)

var kindNames = [...]string{"nothing", "undefined", "None", "a boolean", "an integer", "a float", "a text", "a list", "a tuple",
	"a dict", "a namespace", "a datetime", "a timedelta", "a loop"}

func (k kind) String() string { return kindNames[k] }

// A Value is what a variable holds. It does not change once it is made, and may be used by several goroutines. The zero
// Value is an undefined variable.
type Value struct {
	kind kind
	num  int64
	str  string
	obj  *object
}

type object struct {
	items []Value
	index map[key]int    // where each key of a dict is in items; nil for small ones
	zone  *time.Location // nil for a datetime without one
}

// None is JSON's null.
func None() Value { return Value{kind: none} }

// Bool is true or false.
func Bool(b bool) Value {
	if b {
		return Value{kind: boolean, num: 1}
	}
	return Value{kind: boolean}
}

// Int is an integer.
func Int(i int64) Value { return Value{kind: integer, num: i} }

// Float is a number that prints with a decimal point.
func Float(f float64) Value { return Value{kind: float, num: int64(math.Float64bits(f))} }

// String is a text.
func String(s string) Value { return Value{kind: text, str: s} }

// List is a list; it takes over items.
func List(items ...Value) Value { return Value{kind: list, obj: &object{items: items}} }

// Dict is a dict of what is in m, in the order of its keys.
func Dict(m Map) Value {
	var b dictBuilder
	for _, name := range slices.Sorted(mapKeys(m)) {
		b.put(String(name), m[name])
	}
	return b.value()
}

func mapKeys(m Map) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func newTuple(items ...Value) Value { return Value{kind: tuple, obj: &object{items: items}} }

// missing is the undefined value; what is an expression or a sentence for errors.
func missing(what string) Value { return Value{kind: undefined, str: what} }

func (v Value) float() float64 { return math.Float64frombits(uint64(v.num)) }

func (v Value) isUndefined() bool { return v.kind <= undefined }

// numeric reports whether v is a number for arithmetic, as True and False are.
func (v Value) numeric() bool { return v.kind == integer || v.kind == float || v.kind == boolean }

// real is the number that v is as a float.
func (v Value) real() float64 {
	if v.kind == float {
		return v.float()
	}
	return float64(v.num)
}

// truth is what if makes of v.
func (v Value) truth() bool {
	switch v.kind {
	case absent, undefined, none:
		return false
	case boolean, integer, span:
		return v.num != 0
	case float:
		return v.float() != 0
	case text:
		return v.str != ""
	case list, tuple, dict:
		return len(v.obj.items) > 0
	}
	return true
}

// key is a Value as a key of a dict: numbers that are equal are the same one.
type key struct {
	kind kind
	num  int64
	str  string
}

// keyOf reports false for what cannot be a key here.
func keyOf(v Value) (key, bool) {
	switch v.kind {
	case text:
		return key{kind: text, str: v.str}, true
	case none:
		return key{kind: none}, true
	case boolean, integer:
		return key{kind: integer, num: v.num}, true
	case float:
		if f := v.float(); f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return key{kind: integer, num: int64(f)}, true
		}
		return key{kind: float, num: v.num}, true
	}
	return key{}, false
}

// indexed is the number of entries from which on a dict has an index.
const indexed = 32

// get looks a key up.
func (o *object) get(k key) (Value, bool) {
	if i := o.find(k); i >= 0 {
		return o.items[i+1], true
	}
	return Value{}, false
}

func (o *object) find(k key) int {
	if o.index != nil {
		if i, ok := o.index[k]; ok {
			return i
		}
		return -1
	}
	if k.kind == text {
		for i := 0; i+1 < len(o.items); i += 2 {
			if o.items[i].str == k.str && o.items[i].kind == text {
				return i
			}
		}
		return -1
	}
	for i := 0; i+1 < len(o.items); i += 2 {
		if have, _ := keyOf(o.items[i]); have == k {
			return i
		}
	}
	return -1
}

// put adds an entry or replaces its value.
func (o *object) put(k key, name, v Value) {
	if i := o.find(k); i >= 0 {
		o.items[i+1] = v
		return
	}
	o.items = append(o.items, name, v)
	switch n := len(o.items) / 2; {
	case o.index != nil:
		o.index[k] = len(o.items) - 2
	case n > indexed:
		o.index = make(map[key]int, 2*n)
		for i := 0; i < len(o.items); i += 2 {
			have, _ := keyOf(o.items[i])
			o.index[have] = i
		}
	}
}

// dictBuilder makes a dict of entries, of which a later one replaces an earlier of the same key.
type dictBuilder struct{ obj object }

// put reports false if name cannot be a key.
func (b *dictBuilder) put(name, v Value) bool {
	k, ok := keyOf(name)
	if ok {
		b.obj.put(k, name, v)
	}
	return ok
}

func (b *dictBuilder) value() Value {
	return Value{kind: dict, obj: &object{items: b.obj.items, index: b.obj.index}}
}

// clip is a text short enough for an error.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
