package template

import (
	"slices"
	"strconv"
	"strings"
)

// length is len.
func length(m *machine, c *call, a []Value) (Value, error) {
	switch v := a[0]; v.kind {
	case absent, undefined:
		return Int(0), nil
	case text:
		return Int(int64(runes(v.str))), m.look(len(v.str))
	case list, tuple:
		return Int(int64(len(v.obj.items))), nil
	case dict:
		return Int(int64(len(v.obj.items) / 2)), nil
	}
	return Value{}, failf("%s has no length", describe(a[0]))
}

func first(m *machine, c *call, a []Value) (Value, error) {
	items, err := m.items(a[0])
	if err != nil {
		return Value{}, err
	}
	if len(items) == 0 {
		return missing("the first of nothing"), nil
	}
	return items[0], nil
}

func last(m *machine, c *call, a []Value) (Value, error) {
	items, err := m.items(a[0])
	if err != nil {
		return Value{}, err
	}
	if len(items) == 0 {
		return missing("the last of nothing"), nil
	}
	return items[len(items)-1], nil
}

func listOf(m *machine, c *call, a []Value) (Value, error) {
	if a[0].kind == absent {
		return List(), nil
	}
	items, err := m.items(a[0])
	return List(items...), err
}

func tupleOf(m *machine, c *call, a []Value) (Value, error) {
	items, err := m.items(a[0])
	return newTuple(items...), err
}

func reverse(m *machine, c *call, a []Value) (Value, error) {
	items, err := m.items(a[0])
	if err == nil {
		err = m.allocList(len(items))
	}
	if err != nil {
		return Value{}, err
	}
	items = slices.Clone(items)
	slices.Reverse(items)
	if a[0].kind != text {
		return List(items...), nil
	}
	var b strings.Builder
	for _, v := range items {
		b.WriteString(v.str)
	}
	return String(b.String()), nil
}

// pick is the attribute of v that a filter is to look at: a name, names with dots between, or an index; v itself if it was
// left out.
func (m *machine) pick(v, attribute Value) (Value, error) {
	switch attribute.kind {
	case absent, none:
		return v, nil
	case integer:
		return m.item(v, attribute, "the attribute")
	case text:
		for part := range strings.SplitSeq(attribute.str, ".") {
			index := String(part)
			if i, err := strconv.Atoi(part); err == nil {
				index = Int(int64(i))
			}
			var err error
			if v, err = m.item(v, index, part); err != nil {
				return Value{}, err
			}
		}
		return v, nil
	}
	return Value{}, failf("an attribute is a name, not %s", describe(attribute))
}

// pickAll is pick for each of the elements of v.
func (m *machine) pickAll(v, attribute Value) ([]Value, error) {
	items, err := m.items(v)
	if err != nil || attribute.kind <= none {
		return items, err
	}
	if err := m.allocList(len(items)); err != nil {
		return nil, err
	}
	out := make([]Value, len(items))
	for i, item := range items {
		if out[i], err = m.pick(item, attribute); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func join(m *machine, c *call, a []Value) (Value, error) {
	items, err := m.pickAll(a[0], a[2])
	if err != nil {
		return Value{}, err
	}
	sep, err := m.str(a[1])
	if err != nil {
		return Value{}, err
	}
	var b []byte
	for i, v := range items {
		if i > 0 {
			if err := m.look(len(sep)); err != nil {
				return Value{}, err
			}
			b = append(b, sep...)
		}
		if b, err = m.appendStr(b, v); err != nil {
			return Value{}, err
		}
		if len(b) > m.bytes {
			break
		}
	}
	return String(string(b)), m.alloc(len(b))
}

// joinMethod is str.join, which takes texts only.
func joinMethod(m *machine, c *call, a []Value) (Value, error) {
	items, err := m.items(a[1])
	if err != nil {
		return Value{}, err
	}
	for _, v := range items {
		if _, err := textArg(v, "what is joined"); err != nil {
			return Value{}, err
		}
	}
	return join(m, c, []Value{a[1], a[0], {}})
}

// apply is the filter map: an attribute of each element, or a filter applied to it.
func apply(m *machine, c *call, a []Value) (Value, error) {
	items, err := m.items(a[0])
	if err == nil {
		err = m.allocList(len(items))
	}
	if err != nil {
		return Value{}, err
	}
	if c.inner == nil && a[1].kind == absent {
		return Value{}, failf("map needs the name of a filter, or an attribute")
	}
	out := make([]Value, len(items))
	for i, v := range items {
		if c.inner != nil {
			v, err = c.inner.apply(m, v)
		} else if v, err = m.pick(v, a[1]); err == nil && v.isUndefined() && a[2].kind != absent {
			v = a[2]
		}
		if err != nil {
			return Value{}, err
		}
		out[i] = v
	}
	return List(out...), nil
}

// choose are select and reject: the elements for which a test is true, or the others.
func choose(want bool) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		items, err := m.items(a[0])
		if err == nil {
			err = m.allocList(len(items))
		}
		if err != nil {
			return Value{}, err
		}
		var out []Value
		for _, v := range items {
			tested := v
			if len(a) > 1 {
				tested, err = m.pick(v, a[1])
			}
			if err == nil && c.inner != nil {
				tested, err = c.inner.apply(m, tested)
			}
			if err != nil {
				return Value{}, err
			}
			if tested.truth() == want {
				out = append(out, v)
			}
		}
		return List(out...), nil
	}
}

// entriesOf is a dict as a list of keys and values.
func entriesOf(m *machine, c *call, a []Value) (Value, error) {
	switch a[0].kind {
	case absent, undefined:
		return List(), nil
	case dict:
	default:
		return Value{}, failf("%s needs a dict, not %s", c.name, describe(a[0]))
	}
	items := a[0].obj.items
	if err := m.allocList(3 * len(items)); err != nil {
		return Value{}, err
	}
	out := make([]Value, 0, len(items)/2)
	for i := 0; i+1 < len(items); i += 2 {
		out = append(out, newTuple(items[i], items[i+1]))
	}
	return List(out...), nil
}

func keysOf(m *machine, c *call, a []Value) (Value, error) {
	keys, err := m.items(a[0])
	return List(keys...), err
}

func valuesOf(m *machine, c *call, a []Value) (Value, error) {
	items := a[0].obj.items
	if err := m.allocList(len(items) / 2); err != nil {
		return Value{}, err
	}
	var out []Value
	for i := 1; i < len(items); i += 2 {
		out = append(out, items[i])
	}
	return List(out...), nil
}

func getMethod(m *machine, c *call, a []Value) (Value, error) {
	if k, ok := keyOf(a[1]); ok {
		if v, ok := a[0].obj.get(k); ok {
			return v, nil
		}
	} else {
		return Value{}, failf("%s cannot be a key", a[1].kind)
	}
	if a[2].kind != absent {
		return a[2], nil
	}
	return None(), nil
}

// indexMethod is list.index.
func indexMethod(m *machine, c *call, a []Value) (Value, error) {
	for i, v := range a[0].obj.items {
		same, err := m.equal(v, a[1], 0)
		if err != nil {
			return Value{}, err
		}
		if same {
			return Int(int64(i)), nil
		}
	}
	return Value{}, failf("%s is not in the list", describe(a[1]))
}

// countMethod is list.count and str.count.
func countMethod(m *machine, c *call, a []Value) (Value, error) {
	if a[0].kind == text {
		sub, err := textArg(a[1], "what is counted")
		if err == nil {
			err = m.look(len(a[0].str))
		}
		return Int(int64(strings.Count(a[0].str, sub))), err
	}
	n := int64(0)
	for _, v := range a[0].obj.items {
		same, err := m.equal(v, a[1], 0)
		if err != nil {
			return Value{}, err
		}
		if same {
			n++
		}
	}
	return Int(n), nil
}

// numberRange is the function range.
func numberRange(m *machine, c *call, a []Value) (Value, error) {
	bounds := [3]int64{0, 0, 1}
	given := a
	if a[1].kind == absent {
		bounds[1] = 0
		given = a[:1]
	}
	for i, v := range given {
		switch {
		case v.kind == absent:
			continue
		case v.isUndefined():
			return Value{}, undefinedError(v)
		case v.kind != integer && v.kind != boolean:
			return Value{}, failf("range needs integers, not %s", describe(v))
		}
		if len(given) == 1 {
			bounds[1] = v.num
		} else {
			bounds[i] = v.num
		}
	}
	from, to, step := bounds[0], bounds[1], bounds[2]
	if step == 0 {
		return Value{}, failf("the step of range is zero")
	}
	var out []Value
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		if err := m.allocList(1); err != nil {
			return Value{}, err
		}
		out = append(out, Int(i))
		if next := i + step; (next > i) != (step > 0) {
			break // beyond 64 bits
		}
	}
	return List(out...), nil
}

// entries are a dict or a namespace of arguments with names, and of the entries of a dict before them.
func entries(kind kind) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		plain, named := c.named(a)
		var b dictBuilder
		for _, v := range plain {
			if v.kind != dict {
				return Value{}, failf("%s is made of names with values, or of a dict, not of %s", c.name, describe(v))
			}
			if err := m.allocList(len(v.obj.items)); err != nil {
				return Value{}, err
			}
			for i := 0; i+1 < len(v.obj.items); i += 2 {
				b.put(v.obj.items[i], v.obj.items[i+1])
			}
		}
		if err := m.allocList(2 * len(named)); err != nil {
			return Value{}, err
		}
		for i, v := range named {
			b.put(String(c.names[i]), v)
		}
		v := b.value()
		v.kind = kind
		return v, nil
	}
}

// zip are tuples of the first elements of each list, of the second ones, and so on as far as all have one.
func zip(m *machine, c *call, a []Value) (Value, error) {
	if len(a) == 0 {
		return List(), nil
	}
	lists, least := make([][]Value, len(a)), maxBytes
	for i, v := range a {
		var err error
		if lists[i], err = m.items(v); err != nil {
			return Value{}, err
		}
		least = min(least, len(lists[i]))
	}
	if err := m.allocList(least * (1 + len(a))); err != nil {
		return Value{}, err
	}
	out := make([]Value, least)
	for i := range out {
		row := make([]Value, len(a))
		for j := range row {
			row[j] = lists[j][i]
		}
		out[i] = newTuple(row...)
	}
	return List(out...), nil
}

// dictOfPairs makes a dict of a list of keys and values.
func dictOfPairs(m *machine, c *call, a []Value) (Value, error) {
	pairs, err := m.items(a[1])
	if err == nil {
		err = m.allocList(2 * len(pairs))
	}
	if err != nil {
		return Value{}, err
	}
	var b dictBuilder
	for _, p := range pairs {
		pair, err := m.items(p)
		if err != nil {
			return Value{}, err
		}
		if len(pair) != 2 || !b.put(pair[0], pair[1]) {
			return Value{}, failf("dict.from_keys needs pairs of a key and a value")
		}
	}
	return b.value(), nil
}
