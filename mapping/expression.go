package mapping

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"tidings/devices"
)

// Bounds of an expression. What remains of the language (see allowed) has no loop, so that these bound its time and
// memory, too.
const (
	maxSource = 1000 // bytes
	maxNodes  = 200
	maxMemory = 10_000 // elements the machine may allocate
)

// An expression is the condition of an alert: the language of expr-lang/expr without anything that loops, on points
// by their names. Compiling needs the kinds of those points and is left to whoever knows them.
type expression struct {
	source string // with every devices.NAME.POINT replaced by a variable of ours
	refs   []ref
}

// A ref is one thing an expression depends on.
type ref struct {
	variable string     // in expression.source
	device   devices.ID // empty: the device the alert is about
	point    string     // or "offline" or "online" when state is set
	state    bool
}

// parseExpression reads an expression as far as that can be done without knowing any device.
func parseExpression(source string) (*expression, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("longer than %d bytes", maxSource)
	}
	e := &expression{}
	if err := e.rewrite(source); err != nil {
		return nil, err
	}
	tree, err := parser.Parse(e.source)
	if err != nil {
		return nil, plainError(err)
	}
	w := walker{expression: e}
	ast.Walk(&tree.Node, &w)
	if w.err == nil && len(e.refs) == 0 {
		return nil, errors.New("it names no point, so nothing can ever change it")
	}
	return e, w.err
}

// foreignVariable is how variables that stand for devices.NAME.POINT are called. Points begin with a small letter.
var foreignVariable = regexp.MustCompile(`^D[0-9]+$`)

// foreign is the rest of a reference after the word devices.
var foreign = regexp.MustCompile(`^(?:\.([a-z0-9-]+)|\["([^"\\]+)"\])\.([a-z][a-z0-9_]*)`)

// rewrite replaces devices.NAME.POINT by variables: NAME may hold hyphens, which to the parser are minus signs.
func (e *expression) rewrite(source string) error {
	var out strings.Builder
	for i := 0; i < len(source); {
		c := source[i]
		switch {
		case c == '"' || c == '\'' || c == '`':
			end := i + 1
			for end < len(source) && source[end] != c {
				if source[end] == '\\' && c != '`' {
					end++
				}
				end++
			}
			end = min(end+1, len(source))
			out.WriteString(source[i:end])
			i = end
		case isWord(c):
			end := i
			for end < len(source) && isWord(source[end]) {
				end++
			}
			word := source[i:end]
			switch {
			case foreignVariable.MatchString(word):
				return fmt.Errorf("unknown name %q", word)
			case word == "devices" && (i == 0 || source[i-1] != '.'):
				m := foreign.FindStringSubmatch(source[end:])
				if m == nil {
					return errors.New("write another device's point as devices.NAME.POINT")
				}
				out.WriteString(e.foreign(devices.ID(m[1]+m[2]), m[3]))
				end += len(m[0])
			default:
				out.WriteString(word)
			}
			i = end
		default:
			out.WriteByte(c)
			i++
		}
	}
	e.source = out.String()
	return nil
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// foreign is the variable for a point of another device.
func (e *expression) foreign(id devices.ID, point string) string {
	for _, r := range e.refs {
		if r.device == id && r.point == point {
			return r.variable
		}
	}
	r := ref{variable: "D" + strconv.Itoa(len(e.refs)), device: id, point: point, state: isState(point)}
	e.refs = append(e.refs, r)
	return r.variable
}

// isState reports whether a name is one of the two words for the online state of a device.
func isState(name string) bool { return name == "offline" || name == "online" }

// allowed are the functions of expressions: arithmetic on numbers and what looks at a text.
var allowed = []string{"abs", "ceil", "floor", "round", "min", "max", "len", "lower", "upper", "trim"}

// operators are the operators of expressions. Missing are those that make lists.
var operators = []string{
	"+", "-", "*", "/", "%", "**", "^", "==", "!=", "<", "<=", ">", ">=", "and", "&&", "or", "||", "not", "!", "in",
	"contains", "startsWith", "endsWith", "matches",
}

// A walker finds the points an expression names and refuses what is not for conditions.
type walker struct {
	expression *expression
	err        error
}

// Visit is called by ast.Walk for every node.
func (w *walker) Visit(node *ast.Node) {
	err := w.expression.visit(*node)
	if w.err == nil {
		w.err = err
	}
}

func (e *expression) visit(node ast.Node) error {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		e.own(n.Value)
		return nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode, *ast.ConditionalNode, *ast.ConstantNode:
		return nil
	case *ast.ArrayNode:
		return nil // for: mode in ["heat", "cool"]
	case *ast.UnaryNode:
		return allowedOperator(n.Operator)
	case *ast.BinaryNode:
		if _, constant := n.Right.(*ast.StringNode); n.Operator == "matches" && !constant {
			return errors.New("what stands right of matches has to be a text in quotes")
		}
		return allowedOperator(n.Operator)
	case *ast.BuiltinNode:
		return allowedCall(n.Name, n.Arguments)
	case *ast.CallNode:
		if id, ok := n.Callee.(*ast.IdentifierNode); ok {
			return allowedCall(id.Value, n.Arguments)
		}
	case *ast.MemberNode:
		return errors.New("a point has no parts: another device's point is written devices.NAME.POINT")
	}
	return errors.New("only arithmetic, comparisons, and, or and not can stand in a condition")
}

func allowedOperator(op string) error {
	if !slices.Contains(operators, op) {
		return fmt.Errorf("%s cannot stand in a condition", op)
	}
	return nil
}

func allowedCall(name string, args []ast.Node) error {
	window := slices.ContainsFunc(args, func(a ast.Node) bool { _, ok := a.(*ast.StringNode); return ok })
	if name == "mean" || window && (name == "min" || name == "max") {
		return fmt.Errorf("not in this version: %s", name)
	}
	if !slices.Contains(allowed, name) {
		return fmt.Errorf("there is no function %s: there are %s", name, listed(allowed, "and"))
	}
	return nil
}

// own notes a point of the device itself, or one of the variables rewrite made.
func (e *expression) own(name string) {
	if slices.ContainsFunc(e.refs, func(r ref) bool { return r.variable == name }) {
		return
	}
	e.refs = append(e.refs, ref{variable: name, point: name, state: isState(name)})
}

// compile makes a program for points of these kinds, in the order of e.refs.
func (e *expression) compile(kinds []devices.ValueKind) (*vm.Program, error) {
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
	options := []expr.Option{expr.Env(env), expr.AsBool(), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins()}
	for _, name := range allowed {
		options = append(options, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(e.source, options...)
	if err != nil {
		return nil, plainError(err)
	}
	return program, nil
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

// valueKind is what a point of a kind holds; None for actions, which have no value.
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

// programs keeps what was compiled: devices that are alike share it. It belongs to one goroutine, as the machine does.
type programs struct {
	byKinds map[*expression]map[string]*vm.Program
	machine vm.VM
	env     map[string]any
	kinds   []devices.ValueKind
}

// evaluate runs e on values that are all known, in the order of e.refs. It reports false when it cannot be run on
// values of these kinds or fails: then nothing is known.
func (ps *programs) evaluate(e *expression, values []devices.Value) (result, ok bool) {
	var buf [16]byte
	key := buf[:0]
	for _, v := range values {
		key = append(key, byte(v.Kind()))
	}
	program, found := ps.byKinds[e][string(key)]
	if !found {
		program = ps.compile(e, key)
	}
	if program == nil {
		return false, false
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
	out, err := ps.machine.Run(program, ps.env)
	if err != nil {
		return false, false
	}
	result, ok = out.(bool)
	return result, ok
}

func (ps *programs) compile(e *expression, key []byte) *vm.Program {
	ps.kinds = ps.kinds[:0]
	for _, k := range key {
		ps.kinds = append(ps.kinds, devices.ValueKind(k))
	}
	program, err := e.compile(ps.kinds)
	if err != nil {
		program = nil // remembered, so that it is not tried at every reading
	}
	if ps.byKinds == nil {
		ps.byKinds = map[*expression]map[string]*vm.Program{}
	}
	if ps.byKinds[e] == nil {
		ps.byKinds[e] = map[string]*vm.Program{}
	}
	ps.byKinds[e][string(key)] = program
	return program
}
