package mapping

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/ast"

	"tidings/devices"
)

// A unitReader finds the unit of what an expression results in, and what is added or compared in it though it is not in one
// unit. What it does not know for certain it lets pass: a product, a unit that is in no table.
type unitReader struct {
	e    *expression
	unit func(*ref) string // of a point; empty: not known, or none
}

// read returns the unit; empty where there is none, or it is not known.
func (u *unitReader) read() (string, error) { return u.of(u.e.root) }

// sameUnits are the operators and functions whose operands have to be in one unit.
var sameUnits = []string{"+", "-", "<", "<=", ">", ">=", "==", "!=", "min", "max"}

func (u *unitReader) of(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		r := u.e.named(n.Value)
		return u.unit(&r), nil
	case *ast.UnaryNode:
		return u.of(n.Node)
	case *ast.BinaryNode:
		unit, err := u.same(n.Operator, n.Left, n.Right)
		if n.Operator != "+" && n.Operator != "-" {
			unit = "" // a truth, or something times something
		}
		return unit, err
	case *ast.ConditionalNode:
		if _, err := u.of(n.Cond); err != nil {
			return "", err
		}
		return u.same("+", n.Exp1, n.Exp2)
	}
	name, args, ok := call(node)
	if !ok {
		return "", nil
	}
	if r, folds, err := u.e.folded(name, args); err == nil && folds {
		return u.folded(&r), nil
	}
	if name == "convert" {
		return u.converted(args)
	}
	unit, err := u.same(name, args...)
	if name == "len" {
		unit = ""
	}
	return unit, err
}

// same is the unit of several parts, which have to be in one where an operator takes them so.
func (u *unitReader) same(op string, parts ...ast.Node) (string, error) {
	unit := ""
	for _, part := range parts {
		is, err := u.of(part)
		if err != nil {
			return "", err
		}
		if unit == "" || is == "" || is == unit || !slices.Contains(sameUnits, op) {
			unit = orUnit(unit, is)
			continue
		}
		a, b := units[unit], units[is]
		switch {
		case a.of == "" || b.of == "": // a share of something, or what we do not know
		case a.of != b.of:
			return "", fmt.Errorf("%s and %s cannot be added or compared: one is a unit of %s, the other of %s", unit, is, a.of, b.of)
		default:
			return "", fmt.Errorf("%s and %s cannot be added or compared as they are: write convert(…, %q, %q) around one of them", unit, is, is, unit)
		}
	}
	return unit, nil
}

func orUnit(unit, other string) string {
	if unit == "" {
		return other
	}
	return unit
}

func (u *unitReader) folded(r *ref) string {
	point := *r
	point.fold, point.span = present, 0
	unit := u.unit(&point)
	switch {
	case r.fold.windowed():
		return unit
	case r.fold == runTime:
		return "h"
	case r.fold == energyOf:
		return "kWh"
	case r.fold == integralOf && r.span == timeUnits["h"] && units[unit].of == "power":
		return unit + "h"
	}
	return ""
}

func (u *unitReader) converted(args []ast.Node) (string, error) {
	from, to, err := conversionOf(args)
	if err != nil {
		return "", err
	}
	is, err := u.of(args[0])
	if err == nil && is != "" && is != from && units[is].of != "" {
		err = fmt.Errorf("convert says %s, and what it converts is in %s", from, is)
	}
	return to, err
}

// likelyResult is the kind of what e results in by how it is written alone; None where that does not say it.
func (e *expression) likelyResult() devices.ValueKind { return e.likely(e.root) }

func (e *expression) likely(node ast.Node) devices.ValueKind {
	switch n := node.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return devices.NumberKind
	case *ast.StringNode:
		return devices.TextKind
	case *ast.BoolNode:
		return devices.BoolKind
	case *ast.UnaryNode:
		if n.Operator == "-" || n.Operator == "+" {
			return devices.NumberKind
		}
		return devices.BoolKind
	case *ast.ConditionalNode:
		if k := e.likely(n.Exp1); k != devices.None {
			return k
		}
		return e.likely(n.Exp2)
	case *ast.BinaryNode:
		switch n.Operator {
		case "+": // texts, too, can be put together
			if k := e.likely(n.Left); k != devices.None {
				return k
			}
			return e.likely(n.Right)
		case "-", "*", "/", "%", "**", "^":
			return devices.NumberKind
		}
		return devices.BoolKind
	}
	name, _, ok := call(node)
	switch {
	case !ok:
		return devices.None
	case slices.Contains([]string{"lower", "upper", "trim"}, name):
		return devices.TextKind
	}
	return devices.NumberKind
}
