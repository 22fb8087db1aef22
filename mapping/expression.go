package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"tidings/devices"
)

// Bounds of an expression. What remains of the language (see allowed) has no loop, so that these bound its time and
// memory, too.
const (
	maxSource = 1000 // bytes
	maxNodes  = 200
	maxMemory = 10_000 // elements the machine may allocate
)

// An expression is the condition of an alert or the value of a computed point: the language of expr-lang/expr without
// anything that loops, on points by their names. Compiling needs the kinds of those points and is left to whoever knows
// them.
type expression struct {
	source string // with every devices.NAME.POINT replaced by a variable of ours
	refs   []ref
	root   ast.Node // of source; it is shared, and never changed
	others []ref    // what these variables stand for, whether or not they are in refs
}

// A ref is one thing an expression depends on.
type ref struct {
	variable string     // in expression.source
	device   devices.ID // empty: the device the expression belongs to
	point    string     // or "offline" or "online" when state is set
	state    bool
	fold     fold          // what is made of the point over time
	span     time.Duration // of a window; of an integral, its unit
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
	if err := e.visit(tree.Node); err != nil {
		return nil, err
	}
	e.root = tree.Node
	if len(e.refs) == 0 {
		return nil, errors.New("it names no point, so nothing can ever change it")
	}
	return e, nil
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
	for _, r := range e.others {
		if r.device == id && r.point == point {
			return r.variable
		}
	}
	r := ref{variable: "D" + strconv.Itoa(len(e.others)), device: id, point: point, state: isState(point)}
	e.others = append(e.others, r)
	return r.variable
}

// isState reports whether a name is one of the two words for the online state of a device.
func isState(name string) bool { return name == "offline" || name == "online" }

// allowed are the functions of expressions on present values that the library has: arithmetic on numbers and what looks at
// a text.
var allowed = []string{"abs", "ceil", "floor", "round", "min", "max", "len", "lower", "upper", "trim"}

// operators are the operators of expressions. Missing are those that make lists.
var operators = []string{
	"+", "-", "*", "/", "%", "**", "^", "==", "!=", "<", "<=", ">", ">=", "and", "&&", "or", "||", "not", "!", "in",
	"contains", "startsWith", "endsWith", "matches",
}

// visit finds the points an expression names and refuses what is not for one.
func (e *expression) visit(node ast.Node) error {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		e.depend(e.named(n.Value))
		return nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode, *ast.ConstantNode:
		return nil
	case *ast.ConditionalNode:
		return e.visitAll(n.Cond, n.Exp1, n.Exp2)
	case *ast.ArrayNode:
		return e.visitAll(n.Nodes...) // for: mode in ["heat", "cool"]
	case *ast.UnaryNode:
		return cmp.Or(e.visit(n.Node), allowedOperator(n.Operator))
	case *ast.BinaryNode:
		if _, constant := n.Right.(*ast.StringNode); n.Operator == "matches" && !constant {
			return errors.New("what stands right of matches has to be a text in quotes")
		}
		return cmp.Or(e.visitAll(n.Left, n.Right), allowedOperator(n.Operator))
	case *ast.BuiltinNode, *ast.CallNode:
		if name, args, ok := call(node); ok {
			return e.visitCall(name, args)
		}
	case *ast.MemberNode:
		return errors.New("a point has no parts: another device's point is written devices.NAME.POINT")
	}
	return errors.New("only arithmetic, comparisons, and, or and not can stand in an expression")
}

func (e *expression) visitAll(nodes ...ast.Node) error {
	for _, n := range nodes {
		if err := e.visit(n); err != nil {
			return err
		}
	}
	return nil
}

func allowedOperator(op string) error {
	if !slices.Contains(operators, op) {
		return fmt.Errorf("%s cannot stand in an expression", op)
	}
	return nil
}

// call takes a call of a function apart.
func call(node ast.Node) (name string, args []ast.Node, ok bool) {
	switch n := node.(type) {
	case *ast.BuiltinNode:
		return n.Name, n.Arguments, true
	case *ast.CallNode:
		if id, ok := n.Callee.(*ast.IdentifierNode); ok {
			return id.Value, n.Arguments, true
		}
	}
	return "", nil, false
}

func (e *expression) visitCall(name string, args []ast.Node) error {
	r, folds, err := e.folded(name, args)
	switch {
	case err != nil:
		return err
	case folds:
		r.variable = "D" + strconv.Itoa(len(e.others)+len(e.refs))
		e.depend(r)
		return nil
	case name == "convert":
		if _, _, err := conversionOf(args); err != nil {
			return err
		}
		return e.visit(args[0])
	case !slices.Contains(allowed, name):
		all := slices.Sorted(slices.Values(slices.Concat(allowed, foldNames(), []string{"convert"})))
		return fmt.Errorf("there is no function %s: there are %s", name, listed(slices.Compact(all), "and"))
	}
	return e.visitAll(args...)
}

// named is what a variable stands for: a point of another device, or one of the device itself.
func (e *expression) named(variable string) ref {
	for _, r := range e.others {
		if r.variable == variable {
			return r
		}
	}
	return ref{variable: variable, point: variable, state: isState(variable)}
}

// depend notes what the expression depends on.
func (e *expression) depend(r ref) {
	if e.find(r) < 0 {
		e.refs = append(e.refs, r)
	}
}

// find is the index in refs of what is the same but for its variable, or -1.
func (e *expression) find(r ref) int {
	return slices.IndexFunc(e.refs, func(other ref) bool {
		other.variable = r.variable
		return other == r
	})
}
