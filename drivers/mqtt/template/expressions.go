package template

import "slices"

// tuple reads an expression, or several with commas between, which are a tuple. With ifs, an expression may have an
// inline if; a word may end the tuple.
func (p *parser) tuple(ifs bool, end string) (expr, error) {
	var xs []expr
	several := false
	for {
		if t := p.peek(); t.kind == closeToken || t.kind == closeTagToken || t.is(")") || end != "" && t.is(end) {
			break
		}
		var x expr
		var err error
		if ifs {
			x, err = p.expression()
		} else {
			x, err = p.or()
		}
		if err != nil {
			return nil, err
		}
		if xs = append(xs, x); !p.skip(",") {
			break
		}
		several = true
	}
	if !several {
		if len(xs) == 0 {
			return nil, failAt(p.peek().at, "an expression is expected here, not %s", p.peek())
		}
		return xs[0], nil
	}
	return fold(&listExpr{kind: tuple, items: xs}, xs...), nil
}

// expression reads an expression, with inline ifs.
func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	x, err := p.or()
	for err == nil && p.peek().is("if") {
		pos := p.next().at
		c := &condition{pos: pos, yes: x}
		if c.test, err = p.or(); err == nil && p.skip("else") {
			c.no, err = p.expression()
		}
		x = c
	}
	return x, err
}

func (p *parser) or() (expr, error) {
	x, err := p.and()
	for err == nil && p.skip("or") {
		l := &logic{or: true, x: x}
		l.y, err = p.and()
		x = l
	}
	return x, err
}

func (p *parser) and() (expr, error) {
	x, err := p.not()
	for err == nil && p.skip("and") {
		l := &logic{x: x}
		l.y, err = p.not()
		x = l
	}
	return x, err
}

func (p *parser) not() (expr, error) {
	if !p.skip("not") {
		return p.compare()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	x, err := p.not()
	return &not{x}, err
}

var comparisons = []string{"==", "!=", "<", "<=", ">", ">=", "in"}

func (p *parser) compare() (expr, error) {
	x, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := &compare{x: x}
	for {
		t := p.peek()
		op := comparison{pos: t.at, op: t.text}
		switch {
		case (t.kind == operatorToken || t.kind == nameToken) && slices.Contains(comparisons, t.text):
			p.next()
		case t.is("not") && p.tokens[p.at+1].is("in"):
			p.next()
			p.next()
			op.op = "not in"
		case len(c.ops) == 0:
			return x, nil
		default:
			return c, nil
		}
		if op.y, err = p.sum(); err != nil {
			return nil, err
		}
		c.ops = append(c.ops, op)
	}
}

// binary reads operands with operators of one rank between them.
func (p *parser) binary(operand func() (expr, error), ops ...string) (expr, error) {
	x, err := operand()
	for err == nil && p.peek().kind == operatorToken && slices.Contains(ops, p.peek().text) {
		t := p.next()
		b := &arithmetic{pos: t.at, op: t.text, x: x}
		if b.y, err = operand(); err == nil {
			x = b
			if isNumber(b.x) && isNumber(b.y) { // a text could become longer than its source
				x = fold(b, b.x, b.y)
			}
		}
	}
	return x, err
}

func isNumber(x expr) bool {
	c, ok := x.(constant)
	return ok && c.v.numeric()
}

func (p *parser) sum() (expr, error) { return p.binary(p.concat, "+", "-") }

func (p *parser) concat() (expr, error) {
	x, err := p.product()
	if err != nil || !p.peek().is("~") {
		return x, err
	}
	c := &concat{pos: p.peek().at, items: []expr{x}}
	for p.skip("~") {
		if x, err = p.product(); err != nil {
			return nil, err
		}
		c.items = append(c.items, x)
	}
	return c, nil
}

func (p *parser) product() (expr, error) { return p.binary(p.power, "*", "/", "//", "%") }

func (p *parser) power() (expr, error) {
	return p.binary(func() (expr, error) { return p.unary(true) }, "**")
}

func (p *parser) unary(filters bool) (expr, error) {
	start := p.peek()
	var x expr
	var err error
	if start.kind == operatorToken && (start.text == "-" || start.text == "+") {
		if err := p.enter(); err != nil {
			return nil, err
		}
		p.next()
		var operand expr
		operand, err = p.unary(false)
		p.leave()
		x = fold(&sign{pos: start.at, minus: start.text == "-", x: operand}, operand)
	} else {
		x, err = p.primary()
	}
	if err == nil {
		x, err = p.postfix(x, start.at)
	}
	if err == nil && filters {
		x, err = p.filters(x, start.at)
	}
	return x, err
}

func (p *parser) primary() (expr, error) {
	t := p.next()
	switch {
	case t.kind == nameToken:
		switch t.text {
		case "true", "True":
			return constant{Bool(true)}, nil
		case "false", "False":
			return constant{Bool(false)}, nil
		case "none", "None":
			return constant{None()}, nil
		}
		if p.peek().is("(") {
			return p.function(t)
		}
		slots := p.find(t.text)
		if t.text == "states" && slots == nil && p.peek().is(".") {
			return nil, needsStates(t)
		}
		return &name{name: t.text, slots: slots}, nil
	case t.kind == literalToken:
		for t.lit.kind == text && p.peek().kind == literalToken && p.peek().lit.kind == text {
			t.lit = String(t.lit.str + p.next().lit.str)
		}
		return constant{t.lit}, nil
	case t.is("("), t.is("["), t.is("{"):
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer p.leave()
		switch t.text {
		case "[":
			xs, err := p.items("]")
			return fold(&listExpr{kind: list, items: xs}, xs...), err
		case "{":
			return p.dict(t)
		}
		if p.skip(")") {
			return constant{newTuple()}, nil
		}
		x, err := p.tuple(true, "")
		if err == nil {
			err = p.expect(")")
		}
		return x, err
	}
	return nil, failAt(t.at, "an expression is expected here, not %s", t)
}

// items reads expressions with commas between, up to end.
func (p *parser) items(end string) ([]expr, error) {
	var xs []expr
	for !p.skip(end) {
		if len(xs) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.skip(end) {
				break
			}
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		xs = append(xs, x)
	}
	return xs, nil
}

func (p *parser) dict(open token) (expr, error) {
	var xs []expr
	for !p.skip("}") {
		if len(xs) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.skip("}") {
				break
			}
		}
		k, err := p.expression()
		if err == nil {
			err = p.expect(":")
		}
		if err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		xs = append(xs, k, v)
	}
	return fold(&dictExpr{pos: open.at, items: xs}, xs...), nil
}

// source is what stands from a place up to the last token read, for errors.
func (p *parser) source(from int) string { return oneLine(clip(p.src[from:p.tokens[p.at-1].end])) }

// postfix reads attributes, items and method calls of x, which began at start.
func (p *parser) postfix(x expr, start int) (expr, error) {
	for {
		t := p.peek()
		switch {
		case t.is("."):
			p.next()
			n := p.next()
			switch {
			case n.kind == literalToken && n.lit.kind == integer:
				x = &item{pos: t.at, x: x, index: constant{n.lit}, source: p.source(start)}
			case n.kind != nameToken:
				return nil, failAt(n.at, "a name is expected here, not %s", n)
			case p.peek().is("("):
				var err error
				if x, err = p.method(x, n); err != nil {
					return nil, err
				}
			default:
				x = &attribute{pos: t.at, x: x, key: key{kind: text, str: n.text}, source: p.source(start)}
			}
		case t.is("["):
			var err error
			if x, err = p.subscript(x, start); err != nil {
				return nil, err
			}
		case t.is("("):
			return nil, failAt(t.at, "only functions and methods can be called")
		default:
			return x, nil
		}
	}
}

// subscript reads [i] or [from:to:step].
func (p *parser) subscript(x expr, start int) (expr, error) {
	open := p.next()
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	s := &slice{pos: open.at, x: x}
	var err error
	for i, part := range []*expr{&s.from, &s.to, &s.step} {
		if i > 0 && !p.skip(":") {
			break
		}
		if !p.peek().is(":") && !p.peek().is("]") {
			if *part, err = p.expression(); err != nil {
				return nil, err
			}
		}
		if i == 0 && !p.peek().is(":") {
			if s.from == nil {
				return nil, failAt(open.at, "[] is empty")
			}
			if err := p.expect("]"); err != nil {
				return nil, err
			}
			it := &item{pos: open.at, x: x, index: s.from, source: p.source(start)}
			if c, ok := s.from.(constant); ok && c.v.kind == text {
				return &attribute{pos: open.at, x: x, key: key{kind: text, str: c.v.str}, source: it.source}, nil
			}
			return it, nil
		}
	}
	return s, p.expect("]")
}

// arguments reads those of a call, behind its parenthesis, and the names of those that have one, which come last.
func (p *parser) arguments() (args []expr, names []string, err error) {
	if err := p.enter(); err != nil {
		return nil, nil, err
	}
	defer p.leave()
	for !p.skip(")") {
		if len(args) > 0 {
			if err := p.expect(","); err != nil {
				return nil, nil, err
			}
			if p.skip(")") {
				break
			}
		}
		t := p.peek()
		switch {
		case t.is("*"), t.is("**"):
			return nil, nil, failAt(t.at, "arguments cannot come from a list or dict here: write them out")
		case t.kind == nameToken && p.tokens[p.at+1].is("="):
			if slices.Contains(names, t.text) {
				return nil, nil, failAt(t.at, "%s is given twice", clip(t.text))
			}
			p.next()
			p.next()
			names = append(names, t.text)
		case len(names) > 0:
			return nil, nil, failAt(t.at, "an argument without a name stands behind one with a name")
		}
		x, err := p.expression()
		if err != nil {
			return nil, nil, err
		}
		args = append(args, x)
	}
	return args, names, nil
}

// filters reads the filters and tests behind x.
func (p *parser) filters(x expr, start int) (expr, error) {
	for {
		t := p.peek()
		var err error
		switch {
		case t.is("|"):
			p.next()
			x, err = p.filter(x)
		case t.is("is"):
			p.next()
			x, err = p.test(x)
		case t.is("("):
			err = failAt(t.at, "only functions and methods can be called")
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// test reads a test behind "is".
func (p *parser) test(x expr) (expr, error) {
	negated := p.skip("not")
	t, err := p.name()
	if err != nil {
		return nil, err
	}
	var args []expr
	var names []string
	switch n := p.peek(); {
	case n.is("("):
		p.next()
		args, names, err = p.arguments()
	case n.is("is"):
		return nil, failAt(n.at, "tests cannot follow each other: put and between them")
	case n.kind == literalToken, n.is("["), n.is("{"), n.kind == nameToken && !slices.Contains([]string{"else", "or", "and", "if"}, n.text):
		var arg expr
		if arg, err = p.primary(); err == nil {
			arg, err = p.postfix(arg, n.at)
		}
		args = []expr{arg}
	}
	if err != nil {
		return nil, err
	}
	c, err := p.bindTest(t, args, names, x)
	if err != nil {
		return nil, err
	}
	if negated {
		return &not{c}, nil
	}
	return c, nil
}
