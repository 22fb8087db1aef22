package template

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A builtin is a filter, a function, a test or a method.
type builtin struct {
	// params are the names of the arguments, the first of them what a filter, test or method is applied to. One that
	// ends in ? may be left out, and is absent then; one that ends in * stands for any number, and ** takes names as well.
	params string
	fn     func(m *machine, c *call, a []Value) (Value, error)
}

// call is a builtin with its arguments, in the order of its parameters.
type call struct {
	pos   int
	name  string
	fn    func(m *machine, c *call, a []Value) (Value, error)
	args  []expr   // nil for one that is left out
	names []string // of the last arguments, where the builtin takes any
	inner *call    // of map, select and reject: what they apply
	regex *regexp.Regexp
}

func (c *call) eval(m *machine) (Value, error) {
	base := len(m.stack)
	for _, x := range c.args {
		var v Value
		if x != nil {
			var err error
			if v, err = x.eval(m); err != nil {
				m.stack = m.stack[:base]
				return Value{}, err
			}
			if v.kind == absent {
				v.kind = undefined
			}
		}
		m.stack = append(m.stack, v)
	}
	return c.run(m, base)
}

// apply runs c for a subject that is there already, as the inner call of map.
func (c *call) apply(m *machine, subject Value) (Value, error) {
	base := len(m.stack)
	m.stack = append(m.stack, subject)
	for _, x := range c.args[1:] {
		var v Value
		if x != nil {
			var err error
			if v, err = x.eval(m); err != nil {
				m.stack = m.stack[:base]
				return Value{}, err
			}
		}
		m.stack = append(m.stack, v)
	}
	return c.run(m, base)
}

func (c *call) run(m *machine, base int) (Value, error) {
	if m.steps--; m.steps < 0 {
		return Value{}, at(c.pos, tooLong())
	}
	v, err := c.fn(m, c, m.stack[base:])
	m.stack = m.stack[:base]
	if err != nil {
		return Value{}, at(c.pos, err)
	}
	return v, nil
}

// bind puts arguments in the order of the parameters of b.
func bind(b builtin, name token, args []expr, names []string) (*call, error) {
	c := &call{pos: name.at, name: name.text, fn: b.fn}
	params := strings.Fields(b.params)
	plain := len(args) - len(names)
	if n := len(params); n > 0 && strings.HasSuffix(params[n-1], "*") {
		return c, c.bindAny(params, args, names, plain)
	}
	if plain > len(params) {
		return nil, failAt(name.at, "%s takes %d arguments at most", name.text, len(params)-1)
	}
	c.args = make([]expr, len(params))
	copy(c.args, args[:plain])
	for i, n := range names {
		at := slices.IndexFunc(params, func(p string) bool { return strings.TrimSuffix(p, "?") == n })
		if at < 0 {
			return nil, failAt(name.at, "%s has no argument %q", name.text, clip(n))
		}
		if c.args[at] != nil {
			return nil, failAt(name.at, "%s is given its argument %s twice", name.text, clip(n))
		}
		c.args[at] = args[plain+i]
	}
	for i, p := range params {
		if c.args[i] == nil && !strings.HasSuffix(p, "?") {
			return nil, failAt(name.at, "%s needs its argument %s", name.text, p)
		}
	}
	return c, nil
}

// bindAny is bind for a builtin that takes any number of arguments, or with ** any names.
func (c *call) bindAny(params []string, args []expr, names []string, plain int) error {
	last := len(params) - 1
	if plain < last {
		return failAt(c.pos, "%s needs its argument %s", c.name, params[plain])
	}
	if len(names) > 0 && !strings.HasSuffix(params[last], "**") {
		return failAt(c.pos, "%s has no argument %q", c.name, clip(names[0]))
	}
	c.args, c.names = args, names
	return nil
}

// named are the arguments of a call that have a name, and those before them.
func (c *call) named(a []Value) (plain, named []Value) {
	n := len(a) - len(c.names)
	return a[:n], a[n:]
}

// states are functions that need Home Assistant.
var states = []string{"states", "state_attr", "is_state", "is_state_attr", "has_value", "state_translated", "expand", "closest",
	"distance", "device_attr", "device_id", "device_entities", "device_name", "is_device_attr", "area_id", "area_name", "area_entities",
	"area_devices", "areas", "floors", "floor_id", "floor_name", "floor_areas", "labels", "label_id", "label_name", "label_entities",
	"integration_entities", "config_entry_id", "config_entry_attr", "is_hidden_entity", "issues", "issue"}

func unknown(what string, t token, known map[string]builtin) error {
	if slices.Contains(states, t.text) {
		return needsStates(t)
	}
	best, least := "", 3
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if d := distance(name, t.text); len(name) > 2 && 2*d <= len(t.text) && d < least {
			best, least = name, d
		}
	}
	if best != "" {
		return failAt(t.at, "there is no %s %q: did you mean %s?", what, clip(t.text), best)
	}
	return failAt(t.at, "there is no %s %q", what, clip(t.text))
}

func needsStates(t token) error {
	return failAt(t.at, "%s needs Home Assistant: there is none here", t.text+"()")
}

// distance is how many letters two short names differ in (Levenshtein); 9 for longer ones.
func distance(a, b string) int {
	if len(a) > 24 || len(b) > 24 {
		return 9
	}
	var row [25]int
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// function reads a call of a function, whose name was read.
func (p *parser) function(t token) (expr, error) {
	p.next()
	args, names, err := p.arguments()
	if err != nil {
		return nil, err
	}
	if b, ok := function(t.text); ok {
		c, err := bind(b, t, args, names)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	return nil, unknown("function", t, functions)
}

// filter reads a filter of x, behind its |.
func (p *parser) filter(x expr) (expr, error) {
	t, err := p.name()
	if err != nil {
		return nil, err
	}
	var args []expr
	var names []string
	if p.skip("(") {
		if args, names, err = p.arguments(); err != nil {
			return nil, err
		}
	}
	c, err := p.bindFilter(t, args, names, x)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (p *parser) bindFilter(t token, args []expr, names []string, x expr) (*call, error) {
	b, ok := filters[t.text]
	if !ok {
		return nil, unknown("filter", t, filters)
	}
	var inner *call
	var err error
	switch t.text {
	case "map", "select", "reject", "selectattr", "rejectattr":
		if args, names, inner, err = p.bindInner(t, args, names); err != nil {
			return nil, err
		}
	}
	c, err := bind(b, t, append([]expr{x}, args...), names)
	if err != nil {
		return nil, err
	}
	c.inner = inner
	return c, p.compileRegex(c)
}

// bindInner takes what a filter applies to each element out of its arguments: the name of a filter or test and the
// arguments of that.
func (p *parser) bindInner(t token, args []expr, names []string) ([]expr, []string, *call, error) {
	first := 0
	if strings.HasSuffix(t.text, "attr") {
		first = 1
	}
	if t.text == "map" && len(names) == len(args) || len(args) <= first {
		return args, names, nil, nil
	}
	named, ok := args[first].(constant)
	if !ok || named.v.kind != text {
		return nil, nil, nil, failAt(t.at, "what %s applies has to be written out, as %s('float')", t.text, t.text)
	}
	bindTo := p.bindTest
	if t.text == "map" {
		bindTo = p.bindFilter
	}
	// What it is applied to is not in the template.
	inner, err := bindTo(token{at: t.at, text: named.v.str}, args[first+1:], names, constant{})
	return args[:first], nil, inner, err
}

// bindTest makes the call of a test of x.
func (p *parser) bindTest(t token, args []expr, names []string, x expr) (*call, error) {
	b, ok := tests[t.text]
	if !ok {
		return nil, unknown("test", t, tests)
	}
	c, err := bind(b, t, append([]expr{x}, args...), names)
	if err != nil {
		return nil, err
	}
	return c, p.compileRegex(c)
}

// method is x.name(args): which one depends on what x is.
type method struct {
	pos   int
	name  string
	x     expr
	kinds []kind // those that have such a method
	calls []*call
}

func (p *parser) method(x expr, t token) (expr, error) {
	p.next()
	args, names, err := p.arguments()
	if err != nil {
		return nil, err
	}
	if of, ok := x.(*name); ok && of.name == "dict" && len(of.slots) == 0 && t.text == "from_keys" {
		c, err := bind(fromKeys, t, append([]expr{constant{}}, args...), names)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	n := &method{pos: t.at, name: t.text, x: x}
	for _, k := range slices.Sorted(maps.Keys(methods)) {
		b, ok := methods[k][t.text]
		if !ok {
			continue
		}
		c, bindErr := bind(b, t, append([]expr{x}, args...), names)
		if bindErr != nil {
			err = bindErr
			continue
		}
		n.kinds, n.calls = append(n.kinds, k), append(n.calls, c)
	}
	switch {
	case len(n.calls) > 0:
		return n, nil
	case err != nil:
		return nil, err
	}
	return nil, failAt(t.at, "there is no method %q", clip(t.text))
}

func (x *method) eval(m *machine) (Value, error) {
	v, err := x.x.eval(m)
	if err != nil {
		return Value{}, err
	}
	for i, k := range x.kinds {
		if k == v.kind {
			v, err := x.calls[i].apply(m, v)
			return v, err
		}
	}
	if v.isUndefined() {
		return Value{}, at(x.pos, undefinedError(v))
	}
	return Value{}, failAt(x.pos, "%s has no method %s", v.kind, x.name)
}
