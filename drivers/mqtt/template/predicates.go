package template

import (
	"math"
	"math/bits"
	"strings"
)

func test(is func(Value) bool) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) { return Bool(is(a[0])), nil }
}

func isSequence(v Value) bool { return v.kind <= undefined || v.kind >= text && v.kind <= dict }

func divides(by, rest int64) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		v, err := m.arithmetic("%", a[0], Int(by))
		if err != nil || !v.numeric() {
			return Bool(false), err
		}
		return Bool(v.real() == float64(rest)), nil
	}
}

func divisible(m *machine, c *call, a []Value) (Value, error) {
	v, err := m.arithmetic("%", a[0], a[1])
	if err != nil {
		return Value{}, err
	}
	return Bool(v.numeric() && !v.truth()), nil
}

// same is the test sameas: the same object, which numbers and texts are if they are of one type and equal.
func same(m *machine, c *call, a []Value) (Value, error) {
	if a[0].kind != a[1].kind || a[0].obj != a[1].obj {
		return Bool(false), nil
	}
	equal, err := m.equal(a[0], a[1], 0)
	return Bool(equal), err
}

func inTest(m *machine, c *call, a []Value) (Value, error) {
	found, err := m.contains(a[1], a[0])
	return Bool(found), err
}

func containsTest(m *machine, c *call, a []Value) (Value, error) {
	found, err := m.contains(a[0], a[1])
	return Bool(found), err
}

func comparing(op string) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		ok, err := m.compare(op, a[0], a[1])
		return Bool(ok), err
	}
}

func defaultOf(m *machine, c *call, a []Value) (Value, error) {
	if a[0].isUndefined() || a[2].truth() && !a[0].truth() {
		if a[1].kind == absent {
			return String(""), nil
		}
		return a[1], nil
	}
	return a[0], nil
}

// isDefined is the filter, which fails for what is not.
func isDefined(m *machine, c *call, a []Value) (Value, error) {
	if a[0].isUndefined() {
		return Value{}, undefinedError(a[0])
	}
	return a[0], nil
}

func iif(m *machine, c *call, a []Value) (Value, error) {
	switch {
	case a[0].kind == none && a[3].kind != absent:
		return a[3], nil
	case a[0].truth():
		if a[1].kind == absent {
			return Bool(true), nil
		}
		return a[1], nil
	case a[2].kind == absent:
		return Bool(false), nil
	}
	return a[2], nil
}

func attrFilter(m *machine, c *call, a []Value) (Value, error) {
	name, err := m.str(a[1])
	if err != nil {
		return Value{}, err
	}
	if a[0].kind == dict {
		return missing("an attribute of a dict"), nil // its entries are none
	}
	return m.attr(a[0], name, "an attribute")
}

var typeNames = [...]string{"Undefined", "Undefined", "NoneType", "bool", "int", "float", "str", "list", "tuple", "dict", "Namespace",
	"datetime", "timedelta", "LoopContext"}

func typeOf(m *machine, c *call, a []Value) (Value, error) { return String(typeNames[a[0].kind]), nil }

func stringOf(m *machine, c *call, a []Value) (Value, error) {
	s, err := m.str(a[0])
	return String(s), err
}

// longerFilter is a textFilter that may make a text longer by a factor.
func longerFilter(f func(string) string, factor int) func(m *machine, c *call, a []Value) (Value, error) {
	inner := textFilter(f)
	return func(m *machine, c *call, a []Value) (Value, error) {
		if a[0].kind == text {
			if err := m.alloc(min(len(a[0].str), maxBytes) * factor); err != nil {
				return Value{}, err
			}
		}
		return inner(m, c, a)
	}
}

func itself(m *machine, c *call, a []Value) (Value, error) { return a[0], nil }

func splitLines(m *machine, c *call, a []Value) (Value, error) {
	s := normalNewlines(a[0].str)
	if err := m.allocList(strings.Count(s, "\n") + 1 + len(s)/64); err != nil {
		return Value{}, err
	}
	if s = strings.TrimSuffix(s, "\n"); s == "" && a[0].str == "" {
		return List(), nil
	}
	return texts(strings.Split(s, "\n")), nil
}

// replaceMethod is str.replace, which takes texts only.
func replaceMethod(m *machine, c *call, a []Value) (Value, error) {
	for _, v := range a[1:3] {
		if _, err := textArg(v, "what is replaced, and what with,"); err != nil {
			return Value{}, err
		}
	}
	return replace(m, c, a)
}

func remove(trim func(s, affix string) string) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		s, err := textArg(a[1], "what is removed")
		return String(trim(a[0].str, s)), err
	}
}

// justify fills a text up to a width, in front of it or behind it. Zeros go behind a sign, as zfill has it.
func justify(fill byte, front bool) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		s := a[0].str
		width, err := intArg(a[1], 0, 0, math.MaxInt32)
		if err != nil {
			return Value{}, err
		}
		with := string(fill)
		if len(a) > 2 && a[2].kind == text {
			if runes(a[2].str) != 1 {
				return Value{}, failf("what a text is filled with is one character")
			}
			with = a[2].str
		}
		n := width - runes(s)
		if n <= 0 {
			return a[0], nil
		}
		if n > maxBytes {
			return Value{}, m.alloc(math.MaxInt)
		}
		if err := m.alloc(len(s) + n*len(with)); err != nil {
			return Value{}, err
		}
		padding := strings.Repeat(with, n)
		switch {
		case !front:
			return String(s + padding), nil
		case fill == '0' && s != "" && (s[0] == '-' || s[0] == '+'):
			return String(s[:1] + padding + s[1:]), nil
		}
		return String(padding + s), nil
	}
}

func bitLength(m *machine, c *call, a []Value) (Value, error) {
	return Int(int64(bits.Len64(magnitude(a[0].num)))), nil
}

func isWhole(m *machine, c *call, a []Value) (Value, error) {
	f := a[0].float()
	return Bool(f == math.Trunc(f) && !math.IsInf(f, 0)), nil
}

// loopCycle is loop.cycle: one argument after the other.
func loopCycle(m *machine, c *call, a []Value) (Value, error) {
	if len(a) < 2 || int(a[0].num) >= len(m.loops) {
		return Value{}, failf("cycle needs values")
	}
	return a[1+m.loops[a[0].num].at%(len(a)-1)], nil
}
