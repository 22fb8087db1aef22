package mapping

import (
	"errors"
	"reflect"
	"regexp"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"tidings/devices"
)

// compile makes a program for points of these kinds, in the order of e.refs, that results in a value of one kind: a
// truth, a number, a text, or, with devices.None, anything.
func (e *expression) compile(kinds []devices.ValueKind, result devices.ValueKind) (*vm.Program, error) {
	env := make(map[string]any, len(e.refs))
	for i, r := range e.refs {
		switch kinds[i] {
		case devices.NumberKind:
			env[r.variable] = 0.0
		case devices.BoolKind:
			env[r.variable] = false
		default:
			env[r.variable] = ""
		}
	}
	options := []expr.Option{expr.Env(env), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins(), expr.Patch(patcher{e})}
	switch result {
	case devices.BoolKind:
		options = append(options, expr.AsBool())
	case devices.NumberKind:
		options = append(options, expr.AsFloat64(), expr.WarnOnAny())
	case devices.TextKind:
		options = append(options, expr.AsKind(reflect.String), expr.WarnOnAny())
	}
	for _, name := range allowed {
		options = append(options, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(e.source, options...)
	if err != nil {
		return nil, plainError(err)
	}
	return program, nil
}

// A patcher puts into an expression what the library does not know: functions over time become variables, conversions
// arithmetic.
type patcher struct{ expression *expression }

// Visit is called by ast.Walk for every node, its parts before it.
func (p patcher) Visit(node *ast.Node) {
	if n, ok := (*node).(*ast.ConditionalNode); ok { // pump ? 1 : 2.5 is a number
		withFraction(&n.Exp1)
		withFraction(&n.Exp2)
		return
	}
	name, args, ok := call(*node)
	if !ok {
		return
	}
	if r, folds, err := p.expression.folded(name, args); err == nil && folds {
		if i := p.expression.find(r); i >= 0 {
			ast.Patch(node, &ast.IdentifierNode{Value: p.expression.refs[i].variable})
		}
	} else if name == "convert" {
		if from, to, err := conversionOf(args); err == nil {
			scale, offset, _ := conversion(from, to)
			ast.Patch(node, &ast.BinaryNode{Operator: "+", Right: &ast.FloatNode{Value: offset},
				Left: &ast.BinaryNode{Operator: "*", Left: args[0], Right: &ast.FloatNode{Value: scale}}})
		}
	}
}

// withFraction makes numbers of one type of those that an arithmetic term is written with, which decide what it results in.
func withFraction(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IntegerNode:
		ast.Patch(node, &ast.FloatNode{Value: float64(n.Value)})
	case *ast.UnaryNode:
		withFraction(&n.Node)
	case *ast.BinaryNode:
		if n.Operator != "%" { // of whole numbers alone
			withFraction(&n.Left)
			withFraction(&n.Right)
		}
	}
}

// resultKinds are what an expression may result in, but for those no point holds.
var resultKinds = []devices.ValueKind{devices.BoolKind, devices.NumberKind, devices.TextKind}

// result is the kind of what e results in on points of these kinds.
func (e *expression) result(kinds []devices.ValueKind) (devices.ValueKind, error) {
	if _, err := e.compile(kinds, devices.None); err != nil {
		return devices.None, err
	}
	for _, kind := range resultKinds {
		if program, err := e.compile(kinds, kind); err == nil && isKind(program, kind) {
			return kind, nil
		}
	}
	return devices.None, errors.New("its value is not always of one kind: let both sides of ? and : be numbers, or both texts")
}

// isKind is for AsBool, which takes what may be anything for a truth.
func isKind(program *vm.Program, kind devices.ValueKind) bool {
	t := program.Node().Type()
	return kind != devices.BoolKind || t != nil && t.Kind() == reflect.Bool
}

// plainTypes puts the library's words into ours.
var plainTypes = regexp.MustCompile(`\b(float64|int|bool|string|interface \{\})\b`)

// plainError is what the library says of an expression, on one line and without its picture of the place, which shows
// variables nobody wrote.
func plainError(err error) error {
	text := err.Error()
	if at, ok := errors.AsType[*file.Error](err); ok {
		text = at.Message
	}
	text, _, _ = strings.Cut(text, "\n")
	return errors.New(plainTypes.ReplaceAllStringFunc(cutLine(text, 2*maxShownText), func(t string) string {
		switch t {
		case "bool":
			return "true or false"
		case "string":
			return "text"
		}
		return "number"
	}))
}

// valueKind is what a point of a kind holds in an expression; None for actions and pictures, which have no value.
func valueKind(k devices.PointKind) devices.ValueKind {
	switch k {
	case devices.KindNumber:
		return devices.NumberKind
	case devices.KindSwitch:
		return devices.BoolKind
	case devices.KindText, devices.KindChoice, devices.KindEvent, devices.KindColor, devices.KindTime:
		return devices.TextKind // a colour as "#ff8800", a time as RFC 3339 has it
	}
	return devices.None
}

// A compiled is a program, or why there is none.
type compiled struct {
	program *vm.Program
	err     error
}

// programs keeps what was compiled: devices that are alike share it. It belongs to one goroutine, as the machine does.
type programs struct {
	byKinds map[*expression]map[string]compiled
	machine vm.VM
	env     map[string]any
	kinds   []devices.ValueKind
}

// holds runs a condition on values that are all known, in the order of e.refs. It reports false when it cannot be run on
// values of these kinds or fails: then nothing is known.
func (ps *programs) holds(e *expression, values []devices.Value) (result, ok bool) {
	out, err := ps.evaluate(e, values, devices.BoolKind)
	result, ok = out.(bool)
	return result, ok && err == nil
}

// value runs an expression that is the value of a point. The error says why there is none.
func (ps *programs) value(e *expression, values []devices.Value, kind devices.ValueKind) (devices.Value, error) {
	out, err := ps.evaluate(e, values, kind)
	if err != nil {
		return devices.Value{}, err
	}
	switch v := out.(type) {
	case bool:
		return devices.Bool(v), nil
	case string:
		return devices.Text(v), nil
	case float64:
		if value := devices.Number(v); !value.IsZero() {
			return devices.Number(sum(v, 0)), nil
		}
		return devices.Value{}, errors.New("no number comes out of it: it divides by zero, or grows too large")
	}
	return devices.Value{}, errors.New("no value comes out of it")
}

// evaluate runs e on values that are all known, in the order of e.refs.
func (ps *programs) evaluate(e *expression, values []devices.Value, result devices.ValueKind) (any, error) {
	var buf [16]byte
	key := append(buf[:0], byte(result))
	for _, v := range values {
		key = append(key, byte(v.Kind()))
	}
	c := ps.of(e, key)
	if c.err != nil {
		return nil, c.err
	}
	if ps.env == nil {
		ps.env = map[string]any{}
		ps.machine.MemoryBudget = maxMemory
	}
	clear(ps.env)
	for i, v := range values {
		switch v.Kind() {
		case devices.NumberKind:
			ps.env[e.refs[i].variable], _ = v.Number()
		case devices.BoolKind:
			ps.env[e.refs[i].variable], _ = v.Bool()
		default:
			ps.env[e.refs[i].variable] = v.String()
		}
	}
	out, err := ps.machine.Run(c.program, ps.env)
	if err != nil {
		return nil, plainError(err)
	}
	return out, nil
}

// of is the program for a result and values of the kinds in key.
func (ps *programs) of(e *expression, key []byte) compiled {
	if c, found := ps.byKinds[e][string(key)]; found {
		return c
	}
	return ps.compile(e, key)
}

func (ps *programs) compile(e *expression, key []byte) compiled {
	ps.kinds = ps.kinds[:0]
	for _, k := range key[1:] {
		ps.kinds = append(ps.kinds, devices.ValueKind(k))
	}
	program, err := e.compile(ps.kinds, devices.ValueKind(key[0]))
	if ps.byKinds == nil {
		ps.byKinds = map[*expression]map[string]compiled{}
	}
	if ps.byKinds[e] == nil {
		ps.byKinds[e] = map[string]compiled{}
	}
	c := compiled{program, err} // the error is remembered, too, so that it is not tried at every reading
	ps.byKinds[e][string(key)] = c
	return c
}
