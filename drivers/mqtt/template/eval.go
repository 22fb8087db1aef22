package template

// An expr is an expression. Expressions do not change once they are made.
type expr interface {
	eval(m *machine) (Value, error)
}

type constant struct{ v Value }

func (x constant) eval(*machine) (Value, error) { return x.v, nil }

// fold evaluates x at once if all it is made of is constant and it takes little.
func fold(x expr, parts ...expr) expr {
	for _, p := range parts {
		if _, ok := p.(constant); !ok {
			return x
		}
	}
	m := machine{steps: 1000, bytes: 16 << 10}
	if v, err := x.eval(&m); err == nil {
		return constant{v}
	}
	return x // it says what is wrong when it runs
}

// name is a variable.
type name struct {
	name  string
	slots []int // of variables that are set in the template, innermost first
}

func (x *name) eval(m *machine) (Value, error) {
	for _, slot := range x.slots {
		if v := m.slots[slot]; v.kind != absent {
			return v, nil
		}
	}
	if m.vars != nil {
		if v, ok := m.vars.Lookup(x.name); ok && v.kind != absent {
			return v, nil
		}
	}
	if v, ok := constants[x.name]; ok {
		return v, nil
	}
	return missing(clip(x.name)), nil
}

type listExpr struct {
	kind  kind // list or tuple
	items []expr
}

func (x *listExpr) eval(m *machine) (Value, error) {
	items, err := evalAll(m, x.items)
	if err != nil {
		return Value{}, err
	}
	return Value{kind: x.kind, obj: &object{items: items}}, nil
}

func evalAll(m *machine, xs []expr) ([]Value, error) {
	if err := m.allocList(len(xs)); err != nil {
		return nil, err
	}
	items := make([]Value, len(xs))
	for i, x := range xs {
		v, err := x.eval(m)
		if err != nil {
			return nil, err
		}
		items[i] = v
	}
	return items, nil
}

type dictExpr struct {
	pos   int
	items []expr // key, value, key, value…
}

func (x *dictExpr) eval(m *machine) (Value, error) {
	items, err := evalAll(m, x.items)
	if err != nil {
		return Value{}, err
	}
	var b dictBuilder
	for i := 0; i < len(items); i += 2 {
		if !b.put(items[i], items[i+1]) {
			return Value{}, failAt(x.pos, "%s cannot be a key", items[i].kind)
		}
	}
	return b.value(), nil
}

type not struct{ x expr }

func (x *not) eval(m *machine) (Value, error) {
	v, err := x.x.eval(m)
	if err != nil {
		return Value{}, err
	}
	return Bool(!v.truth()), nil
}

// logic is and, or or: the operand that decides.
type logic struct {
	or   bool
	x, y expr
}

func (x *logic) eval(m *machine) (Value, error) {
	v, err := x.x.eval(m)
	if err != nil || v.truth() == x.or {
		return v, err
	}
	return x.y.eval(m)
}

// condition is yes if test else no.
type condition struct {
	pos           int
	test, yes, no expr // no is nil without else
}

func (x *condition) eval(m *machine) (Value, error) {
	if err := m.step(1); err != nil {
		return Value{}, at(x.pos, err)
	}
	v, err := x.test.eval(m)
	switch {
	case err != nil:
		return Value{}, err
	case v.truth():
		return x.yes.eval(m)
	case x.no != nil:
		return x.no.eval(m)
	}
	return missing("what an inline if without else gives"), nil
}

// concat is x ~ y ~ z.
type concat struct {
	pos   int
	items []expr
}

func (x *concat) eval(m *machine) (Value, error) {
	var short [64]byte
	b := short[:0]
	for _, item := range x.items {
		v, err := item.eval(m)
		if err == nil {
			b, err = m.appendStr(b, v)
		}
		if err != nil {
			return Value{}, at(x.pos, err)
		}
	}
	return String(string(b)), at(x.pos, m.alloc(len(b)))
}

type sign struct {
	pos   int
	minus bool
	x     expr
}

func (x *sign) eval(m *machine) (Value, error) {
	v, err := x.x.eval(m)
	if err != nil {
		return Value{}, err
	}
	op := "+"
	if x.minus {
		op = "-"
	}
	if v.kind == span && x.minus {
		return Value{kind: span, num: -v.num}, nil
	}
	if v.isUndefined() {
		return Value{}, at(x.pos, undefinedError(v))
	}
	if !v.numeric() {
		return Value{}, failAt(x.pos, "%s cannot stand before %s", op, describe(v))
	}
	zero := Int(0)
	if v.kind == float {
		zero = Float(0)
		if x.minus {
			return Float(-v.float()), nil
		}
	}
	v, err = m.arithmetic(op, zero, v)
	return v, at(x.pos, err)
}

type arithmetic struct {
	pos  int
	op   string
	x, y expr
}

func (x *arithmetic) eval(m *machine) (Value, error) {
	a, err := x.x.eval(m)
	if err != nil {
		return Value{}, err
	}
	b, err := x.y.eval(m)
	if err != nil {
		return Value{}, err
	}
	if err = m.step(1); err == nil {
		a, err = m.arithmetic(x.op, a, b)
	}
	return a, at(x.pos, err)
}

type comparison struct {
	pos int
	op  string
	y   expr
}

// compare is x < y, or a chain of that.
type compare struct {
	x   expr
	ops []comparison
}

func (x *compare) eval(m *machine) (Value, error) {
	a, err := x.x.eval(m)
	if err != nil {
		return Value{}, err
	}
	for i := range x.ops {
		op := &x.ops[i]
		b, err := op.y.eval(m)
		if err != nil {
			return Value{}, err
		}
		ok, err := m.compare(op.op, a, b)
		if err != nil {
			return Value{}, at(op.pos, err)
		}
		if !ok {
			return Bool(false), nil
		}
		a = b
	}
	return Bool(true), nil
}

// attribute is x.name, or x["name"].
type attribute struct {
	pos    int
	x      expr
	key    key
	source string
}

func (x *attribute) eval(m *machine) (Value, error) {
	v, err := x.x.eval(m)
	if err != nil {
		return Value{}, err
	}
	if m.steps--; m.steps < 0 {
		return Value{}, at(x.pos, tooLong())
	}
	if v.kind == dict || v.kind == space {
		if found, ok := v.obj.get(x.key); ok {
			return found, nil
		}
		return missing(x.source), nil
	}
	v, err = m.attr(v, x.key.str, x.source)
	return v, at(x.pos, err)
}

// item is x[index].
type item struct {
	pos      int
	x, index expr
	source   string
}

func (x *item) eval(m *machine) (Value, error) {
	v, err := x.x.eval(m)
	if err != nil {
		return Value{}, err
	}
	i, err := x.index.eval(m)
	if err == nil {
		v, err = m.item(v, i, x.source)
	}
	return v, at(x.pos, err)
}

// slice is x[from:to:step].
type slice struct {
	pos            int
	x              expr
	from, to, step expr // nil where left out
}

func (x *slice) eval(m *machine) (Value, error) {
	v, err := x.x.eval(m)
	if err != nil {
		return Value{}, err
	}
	var bounds [3]Value
	for i, b := range []expr{x.from, x.to, x.step} {
		if b == nil {
			continue
		}
		if bounds[i], err = b.eval(m); err != nil {
			return Value{}, err
		}
	}
	v, err = m.slice(v, bounds)
	return v, at(x.pos, err)
}
