package template

import (
	"unicode/utf8"
)

// attr is an attribute of what is not a dict. source is the expression, for errors.
func (m *machine) attr(v Value, name, source string) (Value, error) {
	switch v.kind {
	case absent, undefined:
		return Value{}, undefinedError(v)
	case cycle:
		return m.loopAttr(v, name, source)
	case moment:
		return momentAttr(v, name, source), nil
	case span:
		return spanAttr(v, name, source), nil
	}
	return missing(source), nil
}

// loopAttr is what the variable loop knows.
func (m *machine) loopAttr(v Value, name, source string) (Value, error) {
	if int(v.num) >= len(m.loops) {
		return missing(source), nil
	}
	l := &m.loops[v.num]
	i, n := int64(l.at), int64(len(l.items))
	switch name {
	case "index":
		return Int(i + 1), nil
	case "index0":
		return Int(i), nil
	case "revindex":
		return Int(n - i), nil
	case "revindex0":
		return Int(n - i - 1), nil
	case "first":
		return Bool(i == 0), nil
	case "last":
		return Bool(i == n-1), nil
	case "length":
		return Int(n), nil
	case "depth":
		return Int(1), nil
	case "depth0":
		return Int(0), nil
	case "previtem":
		if i > 0 {
			return l.items[i-1], nil
		}
	case "nextitem":
		if i+1 < n {
			return l.items[i+1], nil
		}
	}
	return missing(source), nil
}

// item is v[index].
func (m *machine) item(v, index Value, source string) (Value, error) {
	if err := m.step(1); err != nil {
		return Value{}, err
	}
	switch {
	case v.isUndefined():
		return Value{}, undefinedError(v)
	case v.kind == dict:
		if k, ok := keyOf(index); ok {
			if found, ok := v.obj.get(k); ok {
				return found, nil
			}
		}
	case v.kind == list || v.kind == tuple:
		if index.kind == integer || index.kind == boolean {
			if i := place(index.num, len(v.obj.items)); i >= 0 {
				return v.obj.items[i], nil
			}
		}
	case v.kind == text:
		if index.kind == integer || index.kind == boolean {
			if err := m.look(len(v.str)); err != nil {
				return Value{}, err
			}
			n := runes(v.str)
			if i := place(index.num, n); i >= 0 {
				return String(cut(v.str, n, i, i+1)), nil
			}
		}
	}
	if index.kind == text {
		return m.attr(v, index.str, source)
	}
	return missing(source), nil
}

// place is an index into n elements, counted from the end if it is negative, or -1.
func place(i int64, n int) int {
	if i < 0 {
		i += int64(n)
	}
	if i < 0 || i >= int64(n) {
		return -1
	}
	return int(i)
}

// cut is the characters of s, which has n, in [from, to).
func cut(s string, n, from, to int) string {
	if n == len(s) {
		return s[from:to]
	}
	start := 0
	for range from {
		_, size := utf8.DecodeRuneInString(s[start:])
		start += size
	}
	end := start
	for range to - from {
		_, size := utf8.DecodeRuneInString(s[end:])
		end += size
	}
	return s[start:end]
}

// slice is v[from:to:step].
func (m *machine) slice(v Value, bounds [3]Value) (Value, error) {
	if v.isUndefined() {
		return Value{}, undefinedError(v)
	}
	var items []Value
	n := 0
	switch v.kind {
	case text:
		n = runes(v.str)
		if err := m.alloc(len(v.str)); err != nil {
			return Value{}, err
		}
	case list, tuple:
		items = v.obj.items
		n = len(items)
	case dict:
		return Value{}, failf("a dict has no slices")
	default:
		return missing("a part of " + v.kind.String()), nil
	}
	from, to, step, err := sliceBounds(bounds, n)
	if err != nil {
		return Value{}, err
	}
	if v.kind == text {
		if step == 1 {
			return String(cut(v.str, n, from, max(from, to))), nil
		}
		return m.pickRunes(v.str, from, to, step)
	}
	if err := m.allocList(n); err != nil {
		return Value{}, err
	}
	var out []Value
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		out = append(out, items[i])
	}
	return Value{kind: v.kind, obj: &object{items: out}}, nil
}

func (m *machine) pickRunes(s string, from, to, step int) (Value, error) {
	if err := m.alloc(4 * len(s)); err != nil {
		return Value{}, err
	}
	all := []rune(s)
	var out []rune
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		out = append(out, all[i])
	}
	return String(string(out)), nil
}

// sliceBounds resolves the bounds of a slice of n elements.
func sliceBounds(bounds [3]Value, n int) (from, to, step int, err error) {
	var at [3]int64
	var given [3]bool
	for i, b := range bounds {
		switch b.kind {
		case absent, none:
		case integer, boolean:
			// What is beyond the ends is as good as at them.
			at[i], given[i] = max(min(b.num, 1<<30), -1<<30), true
		case undefined:
			return 0, 0, 0, undefinedError(b)
		default:
			return 0, 0, 0, failf("the bounds of a slice are integers, not %s", describe(b))
		}
	}
	step = 1
	if given[2] {
		if step = int(at[2]); step == 0 {
			return 0, 0, 0, failf("the step of a slice is zero")
		}
	}
	low, high := 0, n
	if step < 0 {
		low, high = -1, n-1
	}
	resolve := func(i int, otherwise int) int {
		if !given[i] {
			return otherwise
		}
		v := int(at[i])
		if v < 0 {
			v += n
		}
		return max(low, min(v, high))
	}
	if step > 0 {
		return resolve(0, low), resolve(1, high), step, nil
	}
	return resolve(0, high), resolve(1, low), step, nil
}

// items are the elements of v in a loop.
func (m *machine) items(v Value) ([]Value, error) {
	switch v.kind {
	case absent, undefined:
		return nil, nil
	case list, tuple:
		return v.obj.items, m.step(1)
	case dict:
		n := len(v.obj.items) / 2
		if err := m.allocList(n); err != nil {
			return nil, err
		}
		keys := make([]Value, 0, n)
		for i := 0; i < len(v.obj.items); i += 2 {
			keys = append(keys, v.obj.items[i])
		}
		return keys, nil
	case text:
		if err := m.allocList(len(v.str)); err != nil {
			return nil, err
		}
		var chars []Value
		for i := 0; i < len(v.str); {
			_, size := utf8.DecodeRuneInString(v.str[i:])
			chars = append(chars, String(v.str[i:i+size]))
			i += size
		}
		return chars, nil
	}
	return nil, failf("%s has no elements", describe(v))
}
