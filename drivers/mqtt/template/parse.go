package template

import (
	"strings"
)

// maxNesting is how deep tags and parentheses may stand in each other.
const maxNesting = 40

type parser struct {
	src     string
	tokens  []token
	at      int
	depth   int
	slots   int
	scope   *scope
	loops   int // for loops around this place
	regexes int // instructions of those compiled
}

// scope is where variables that a template sets live: the template, a loop, or what a tag encloses.
type scope struct {
	outer *scope
	names map[string]int
	slots []int
}

func newParser(src string) (*parser, error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	return &parser{src: src, tokens: tokens, scope: &scope{}}, nil
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != endToken {
		p.at++
	}
	return t
}

// skip reads a word if it is next.
func (p *parser) skip(word string) bool {
	if p.peek().is(word) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(word string) error {
	if t := p.peek(); !p.skip(word) {
		return failAt(t.at, "%q is expected here, not %s", word, t)
	}
	return nil
}

func (p *parser) expectKind(k tokenKind) (token, error) {
	t := p.peek()
	if t.kind != k {
		return t, failAt(t.at, "%s is expected here, not %s", token{kind: k, text: "a name"}, t)
	}
	return p.next(), nil
}

// name reads a name.
func (p *parser) name() (token, error) {
	t := p.peek()
	if t.kind != nameToken {
		return t, failAt(t.at, "a name is expected here, not %s", t)
	}
	return p.next(), nil
}

// enter counts a level of nesting, which leave ends.
func (p *parser) enter() error {
	if p.depth++; p.depth > maxNesting {
		return failAt(p.peek().at, "the template is nested too deep: over %d levels", maxNesting)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// declare makes a variable of the present scope.
func (p *parser) declare(name string) int {
	if slot, ok := p.scope.names[name]; ok {
		return slot
	}
	if p.scope.names == nil {
		p.scope.names = map[string]int{}
	}
	slot := p.slots
	p.slots++
	p.scope.names[name] = slot
	p.scope.slots = append(p.scope.slots, slot)
	return slot
}

func (p *parser) open()  { p.scope = &scope{outer: p.scope} }
func (p *parser) close() { p.scope = p.scope.outer }

// find are the variables that a name may mean here, innermost first.
func (p *parser) find(name string) []int {
	var slots []int
	for s := p.scope; s != nil; s = s.outer {
		if slot, ok := s.names[name]; ok {
			slots = append(slots, slot)
		}
	}
	return slots
}

func (p *parser) template() (block, error) {
	b, end, err := p.block()
	if err == nil && end.kind != endToken {
		err = failAt(end.at, "{%% %s %%} closes nothing", clip(end.text))
	}
	return b, err
}

// block reads statements up to one of the tags that end it, whose name it returns, or the end of the template.
func (p *parser) block(ends ...string) (block, token, error) {
	if err := p.enter(); err != nil {
		return nil, token{}, err
	}
	defer p.leave()
	var b block
	for {
		switch t := p.next(); t.kind {
		case endToken:
			if len(ends) > 0 {
				return nil, t, failAt(t.at, "{%% %s %%} is missing", ends[len(ends)-1])
			}
			return b, t, nil
		case dataToken:
			b = append(b, dataNode(t.text))
		case openToken:
			x, err := p.tuple(true, "")
			if err == nil {
				_, err = p.expectKind(closeToken)
			}
			if err != nil {
				return nil, t, err
			}
			b = append(b, &printNode{pos: t.at, x: x})
		default: // openTagToken: the lexer gives no other
			tag, err := p.name()
			if err != nil {
				return nil, t, err
			}
			for _, end := range ends {
				if tag.text == end {
					return b, tag, nil
				}
			}
			n, err := p.statement(tag)
			if err != nil {
				return nil, t, err
			}
			b = append(b, n)
		}
	}
}

// body reads what a tag encloses, with the end of that tag in front of it and that of the closing one behind it.
func (p *parser) body(ends ...string) (block, token, error) {
	p.skip(":")
	if _, err := p.expectKind(closeTagToken); err != nil {
		return nil, token{}, err
	}
	return p.block(ends...)
}

// closed reads the end of a tag.
func (p *parser) closed() error {
	_, err := p.expectKind(closeTagToken)
	return err
}

// refused are Jinja's statements that there are not here.
var refused = map[string]string{
	"include":    "templates stand alone here: include would read another one",
	"import":     "templates stand alone here: import would read another one",
	"from":       "templates stand alone here: from would read another one",
	"extends":    "templates stand alone here: extends would read another one",
	"block":      "templates stand alone here: there is nothing whose block could be replaced",
	"macro":      "macros are not understood, for they could call themselves: write out what it does",
	"call":       "macros are not understood, and so neither is call",
	"filter":     "a filter tag is not understood: use {% set x %}…{% endset %}{{ x | filter }}",
	"autoescape": "autoescape is not understood: nothing is escaped here",
	"trans":      "trans is not understood: there are no translations here",
	"print":      "print is not understood: write {{ … }}",
}

func (p *parser) statement(tag token) (node, error) {
	switch tag.text {
	case "if":
		return p.ifTag()
	case "for":
		return p.forTag(tag)
	case "set":
		return p.setTag()
	case "with":
		return p.withTag()
	case "do":
		x, err := p.tuple(true, "")
		if err != nil {
			return nil, err
		}
		return &doNode{x}, p.closed()
	case "break", "continue":
		if p.loops == 0 {
			return nil, failAt(tag.at, "%s stands in no loop", tag.text)
		}
		if tag.text == "break" {
			return flowNode(breaking), p.closed()
		}
		return flowNode(continuing), p.closed()
	}
	if why := refused[tag.text]; why != "" {
		return nil, failAt(tag.at, "%s", why)
	}
	if strings.HasPrefix(tag.text, "end") || tag.text == "else" || tag.text == "elif" {
		return nil, failAt(tag.at, "{%% %s %%} closes nothing", clip(tag.text))
	}
	return nil, failAt(tag.at, "there is no tag %q", clip(tag.text))
}

func (p *parser) ifTag() (node, error) {
	var n ifNode
	for {
		test, err := p.tuple(false, "")
		if err != nil {
			return nil, err
		}
		body, end, err := p.body("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		n = append(n, branch{test, body})
		switch end.text {
		case "elif":
			continue
		case "else":
			if body, _, err = p.body("endif"); err != nil {
				return nil, err
			}
			n = append(n, branch{nil, body})
		}
		return n, p.closed()
	}
}

// names reads the names that values are assigned to.
func (p *parser) names() (names []token, tuple bool, err error) {
	open := p.skip("(")
	for {
		t, err := p.name()
		if err != nil {
			return nil, false, err
		}
		if names = append(names, t); !p.skip(",") {
			break
		}
		tuple = true
		if p.peek().is("in") || p.peek().is("=") || p.peek().is(")") {
			break
		}
	}
	if open {
		err = p.expect(")")
	}
	for _, t := range names {
		switch t.text {
		case "true", "false", "none", "True", "False", "None":
			return nil, false, failAt(t.at, "%s cannot be set", t.text)
		}
	}
	return names, tuple, err
}

func (p *parser) target(names []token, tuple bool) target {
	to := target{pos: names[0].at, tuple: tuple}
	for _, t := range names {
		to.slots = append(to.slots, p.declare(t.text))
	}
	return to
}

func (p *parser) forTag(tag token) (node, error) {
	names, several, err := p.names()
	if err == nil {
		err = p.expect("in")
	}
	if err != nil {
		return nil, err
	}
	n := &forNode{pos: tag.at}
	if n.list, err = p.tuple(false, "recursive"); err != nil {
		return nil, err
	}
	p.open()
	n.to = p.target(names, several)
	if p.skip("if") {
		if n.test, err = p.expression(); err != nil {
			return nil, err
		}
	}
	if t := p.peek(); t.is("recursive") {
		return nil, failAt(t.at, "recursive loops are not understood")
	}
	inner := p.scope
	n.loop = p.declare("loop")
	p.loops++
	var end token
	n.body, end, err = p.body("else", "endfor")
	p.loops--
	p.close()
	n.slots = inner.slots
	if err == nil && end.text == "else" {
		p.open()
		n.orElse, _, err = p.body("endfor")
		p.close()
	}
	if err != nil {
		return nil, err
	}
	return n, p.closed()
}

func (p *parser) setTag() (node, error) {
	if p.peek().kind == nameToken && p.tokens[p.at+1].is(".") {
		return p.setAttr()
	}
	names, several, err := p.names()
	if err != nil {
		return nil, err
	}
	if p.skip("=") {
		x, err := p.tuple(true, "")
		if err != nil {
			return nil, err
		}
		return &setNode{p.target(names, several), x}, p.closed()
	}
	if several {
		return nil, failAt(names[0].at, "a text is assigned to one name")
	}
	n := &captureNode{}
	if p.peek().is("|") {
		n.captured = p.slots
		p.slots++
		var err error
		if n.filter, err = p.filters(&name{slots: []int{n.captured}}, names[0].at); err != nil {
			return nil, err
		}
	}
	p.open()
	inner := p.scope
	n.body, _, err = p.body("endset")
	p.close()
	if err != nil {
		return nil, err
	}
	n.slots = inner.slots
	n.to = p.target(names, false)
	return n, p.closed()
}

func (p *parser) setAttr() (node, error) {
	ns := p.next()
	p.next()
	attr, err := p.name()
	if err == nil {
		err = p.expect("=")
	}
	if err != nil {
		return nil, err
	}
	x, err := p.tuple(true, "")
	if err != nil {
		return nil, err
	}
	to := target{pos: ns.at, of: &name{name: ns.text, slots: p.find(ns.text)}, attr: attr.text}
	return &setNode{to, x}, p.closed()
}

func (p *parser) withTag() (node, error) {
	n := &withNode{}
	p.open()
	defer p.close()
	inner := p.scope
	for p.peek().kind != closeTagToken && !p.peek().is(":") {
		if len(n.sets) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		names, several, err := p.names()
		if err == nil {
			err = p.expect("=")
		}
		if err != nil {
			return nil, err
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		n.sets = append(n.sets, setNode{p.target(names, several), x})
	}
	var err error
	if n.body, _, err = p.body("endwith"); err != nil {
		return nil, err
	}
	n.slots = inner.slots
	return n, p.closed()
}
