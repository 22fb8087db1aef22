package template

import (
	"slices"
	"strings"
)

func sum(m *machine, c *call, a []Value) (Value, error) {
	items, err := m.pickAll(a[0], a[1])
	if err != nil {
		return Value{}, err
	}
	total := Int(0)
	if a[2].kind != absent {
		total = a[2]
	}
	for _, v := range items {
		if total, err = m.arithmetic("+", total, v); err != nil {
			return Value{}, err
		}
	}
	return total, nil
}

// folded are values to compare by: texts in lower case, unless case counts.
func (m *machine) folded(items []Value, caseCounts Value) ([]Value, error) {
	if caseCounts.truth() || !slices.ContainsFunc(items, func(v Value) bool { return v.kind == text }) {
		return items, nil
	}
	if err := m.allocList(len(items)); err != nil {
		return nil, err
	}
	out := slices.Clone(items)
	for i, v := range out {
		if v.kind == text {
			if err := m.alloc(len(v.str)); err != nil {
				return nil, err
			}
			out[i].str = strings.ToLower(v.str)
		}
	}
	return out, nil
}

// extreme is the least or the greatest, of a list or of several arguments.
func extreme(greatest bool) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		return m.extreme(greatest, a[0], a[1], a[2])
	}
}

func (m *machine) extreme(greatest bool, v, caseCounts, attribute Value) (Value, error) {
	items, err := m.items(v)
	if err != nil {
		return Value{}, err
	}
	by, err := m.pickAll(v, attribute)
	if err == nil {
		by, err = m.folded(by, caseCounts)
	}
	if err != nil {
		return Value{}, err
	}
	if len(items) == 0 {
		return missing("the least or greatest of nothing"), nil
	}
	best := 0
	for i := 1; i < len(items); i++ {
		less, err := m.compare("<", by[i], by[best])
		if greatest {
			less, err = m.compare(">", by[i], by[best])
		}
		if err != nil {
			return Value{}, err
		}
		if less {
			best = i
		}
	}
	return items[best], nil
}

// extremeOf is the function min or max.
func extremeOf(greatest bool) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		plain, named := c.named(a)
		var by, caseCounts Value
		for i, n := range c.names {
			switch n {
			case "attribute":
				by = named[i]
			case "case_sensitive":
				caseCounts = named[i]
			default:
				return Value{}, failf("%s has no argument %q", c.name, clip(n))
			}
		}
		switch len(plain) {
		case 0:
			return Value{}, failf("%s needs a list, or several values", c.name)
		case 1:
			return m.extreme(greatest, plain[0], caseCounts, by)
		}
		if err := m.allocList(len(plain)); err != nil {
			return Value{}, err
		}
		return m.extreme(greatest, List(slices.Clone(plain)...), caseCounts, by)
	}
}

// sorted are items in the order of what is beside them in by.
func (m *machine) sorted(items, by []Value, descending bool) ([]Value, error) {
	if err := m.allocList(2 * len(items)); err != nil {
		return nil, err
	}
	places := make([]int, len(items))
	for i := range places {
		places[i] = i
	}
	var failed error
	slices.SortStableFunc(places, func(i, j int) int {
		if failed != nil {
			return 0
		}
		order, ok, err := m.order(by[i], by[j], 0)
		switch {
		case err != nil:
			failed = err
		case !ok && by[i].isUndefined():
			failed = undefinedError(by[i])
		case !ok:
			failed = failf("%s and %s cannot be put in order", describe(by[i]), describe(by[j]))
		case descending:
			return -order
		}
		return order
	})
	out := make([]Value, len(items))
	for i, place := range places {
		out[i] = items[place]
	}
	return out, failed
}

func sortFilter(m *machine, c *call, a []Value) (Value, error) {
	items, err := m.items(a[0])
	if err != nil {
		return Value{}, err
	}
	by, err := m.pickAll(List(items...), a[3])
	if err == nil {
		by, err = m.folded(by, a[2])
	}
	if err != nil {
		return Value{}, err
	}
	items, err = m.sorted(items, by, a[1].truth())
	return List(items...), err
}

// dictsort is the entries of a dict in order, by key or by value.
func dictsort(m *machine, c *call, a []Value) (Value, error) {
	entries, err := entriesOf(m, c, a)
	if err != nil {
		return Value{}, err
	}
	at := Int(0)
	if a[2].kind == text && a[2].str == "value" {
		at = Int(1)
	}
	return sortFilter(m, c, []Value{entries, a[3], a[1], at})
}

func unique(m *machine, c *call, a []Value) (Value, error) {
	items, err := m.items(a[0])
	if err != nil {
		return Value{}, err
	}
	by, err := m.pickAll(List(items...), a[2])
	if err == nil {
		by, err = m.folded(by, a[1])
	}
	if err == nil {
		err = m.allocList(3 * len(items))
	}
	if err != nil {
		return Value{}, err
	}
	seen := map[key]bool{}
	var out []Value
	for i, v := range items {
		k, ok := keyOf(by[i])
		if !ok {
			return Value{}, failf("unique cannot tell one of %s from another", by[i].kind)
		}
		if !seen[k] {
			seen[k] = true
			out = append(out, v)
		}
	}
	return List(out...), nil
}
