package template

// A node is a statement.
type node interface{ run(m *machine) error }

// block is statements in order.
type block []node

func (b block) run(m *machine) error {
	for _, n := range b {
		if err := n.run(m); err != nil {
			return err
		}
		if m.flow != onward {
			return nil
		}
	}
	return nil
}

// dataNode prints text.
type dataNode string

func (n dataNode) run(m *machine) error { return m.print(Value{kind: text, str: string(n)}) }

// printNode is {{ x }}.
type printNode struct {
	pos int
	x   expr
}

func (n *printNode) run(m *machine) error {
	v, err := n.x.eval(m)
	if err == nil {
		err = m.print(v)
	}
	return at(n.pos, err)
}

// doNode evaluates and prints nothing.
type doNode struct{ x expr }

func (n *doNode) run(m *machine) error {
	_, err := n.x.eval(m)
	return err
}

type branch struct {
	test expr // nil for else
	body block
}

// ifNode runs the first of its branches that is true.
type ifNode []branch

func (n ifNode) run(m *machine) error {
	if err := m.step(1); err != nil {
		return err
	}
	for i := range n {
		if n[i].test != nil {
			v, err := n[i].test.eval(m)
			if err != nil {
				return err
			}
			if !v.truth() {
				continue
			}
		}
		return n[i].body.run(m)
	}
	return nil
}

// target is what values are assigned to: a variable, several, or an attribute of a namespace.
type target struct {
	pos   int
	slots []int
	tuple bool
	of    expr // the namespace, nil for variables
	attr  string
}

func (t *target) assign(m *machine, v Value) error {
	switch {
	case t.of != nil:
		return at(t.pos, t.assignAttr(m, v))
	case !t.tuple:
		m.slots[t.slots[0]] = v
		return nil
	}
	items, err := m.items(v)
	if err != nil {
		return at(t.pos, err)
	}
	if len(items) != len(t.slots) {
		return failAt(t.pos, "%d names for %d values", len(t.slots), len(items))
	}
	for i, slot := range t.slots {
		m.slots[slot] = items[i]
	}
	return nil
}

func (t *target) assignAttr(m *machine, v Value) error {
	ns, err := t.of.eval(m)
	if err != nil {
		return err
	}
	if ns.kind != space {
		return failf("only a namespace's attributes can be set, not those of %s", ns.kind)
	}
	if err := m.allocList(2); err != nil {
		return err
	}
	ns.obj.put(key{kind: text, str: t.attr}, String(t.attr), v)
	return nil
}

// setNode is {% set target = x %}.
type setNode struct {
	to target
	x  expr
}

func (n *setNode) run(m *machine) error {
	v, err := n.x.eval(m)
	if err != nil {
		return err
	}
	return n.to.assign(m, v)
}

// captureNode is {% set target %}…{% endset %}.
type captureNode struct {
	to       target
	body     block
	filter   expr // nil for none
	captured int  // slot of what filter begins with
	slots    []int
}

func (n *captureNode) run(m *machine) error {
	start := len(m.out)
	m.unset(n.slots)
	if err := n.body.run(m); err != nil {
		return err
	}
	if err := m.alloc(len(m.out) - start); err != nil {
		return at(n.to.pos, err)
	}
	v := String(string(m.out[start:]))
	m.out = m.out[:start]
	if m.flow != onward {
		return nil
	}
	if n.filter != nil {
		var err error
		m.slots[n.captured] = v
		if v, err = n.filter.eval(m); err != nil {
			return err
		}
	}
	return n.to.assign(m, v)
}

// withNode is {% with name = x %}…{% endwith %}.
type withNode struct {
	sets  []setNode
	body  block
	slots []int
}

func (n *withNode) run(m *machine) error {
	m.unset(n.slots)
	for i := range n.sets {
		if err := n.sets[i].run(m); err != nil {
			return err
		}
	}
	return n.body.run(m)
}

func (m *machine) unset(slots []int) {
	for _, slot := range slots {
		m.slots[slot] = Value{}
	}
}

// flowNode is {% break %} or {% continue %}.
type flowNode flow

func (n flowNode) run(m *machine) error {
	m.flow = flow(n)
	return nil
}

// forNode is {% for target in list if test %}…{% else %}…{% endfor %}.
type forNode struct {
	pos    int
	to     target
	list   expr
	test   expr // nil for all
	body   block
	orElse block
	slots  []int // variables that are the loop's own
	loop   int   // slot of the variable loop
}

func (n *forNode) run(m *machine) error {
	v, err := n.list.eval(m)
	if err != nil {
		return err
	}
	items, err := m.items(v)
	if err != nil {
		return at(n.pos, err)
	}
	if n.test != nil {
		if items, err = n.selected(m, items); err != nil {
			return at(n.pos, err)
		}
	}
	if len(items) == 0 {
		return n.orElse.run(m)
	}
	depth := len(m.loops)
	m.loops = append(m.loops, loop{items: items})
	for i, v := range items {
		if err := m.step(1); err != nil {
			return at(n.pos, err)
		}
		m.loops[depth].at = i
		m.unset(n.slots)
		m.slots[n.loop] = Value{kind: cycle, num: int64(depth)}
		if err := n.to.assign(m, v); err != nil {
			return err
		}
		if err := n.body.run(m); err != nil {
			return err
		}
		f := m.flow
		m.flow = onward
		if f == breaking {
			break
		}
	}
	m.loops = m.loops[:depth]
	return nil
}

// selected are the items for which the loop's test is true.
func (n *forNode) selected(m *machine, items []Value) ([]Value, error) {
	if err := m.allocList(len(items)); err != nil {
		return nil, err
	}
	var out []Value
	for _, v := range items {
		m.unset(n.slots)
		if err := n.to.assign(m, v); err != nil {
			return nil, err
		}
		ok, err := n.test.eval(m)
		if err != nil {
			return nil, err
		}
		if ok.truth() {
			out = append(out, v)
		}
	}
	return out, nil
}
