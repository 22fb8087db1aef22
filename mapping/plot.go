package mapping

import (
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"tidings/devices"
)

// A Plot is what a picture of an alert shows: a point, and what its condition compares it with.
type Plot struct {
	Device     devices.ID // empty: the one the alert is about
	Point      string
	Thresholds []Threshold // none where the point is compared with no constant
}

// A Threshold is one comparison of a point with a constant.
type Threshold struct {
	Value float64
	Above bool // the alert is above it, else below
}

// maxThresholds bounds the lines across a picture.
const maxThresholds = 4

// Plot says what there is to draw of an alert: the first point its condition compares with a number, with all it is compared
// with; else the first point it names. It reports false where there is none: the alert is about being online.
func (c *Config) Plot(alert string) (Plot, bool) {
	for i := range c.Alerts {
		if c.Alerts[i].Name == alert {
			return c.Alerts[i].when.plot()
		}
	}
	return Plot{}, false
}

func (e *expression) plot() (Plot, bool) {
	if tree, err := parser.Parse(e.source); err == nil {
		w := comparisons{e: e}
		ast.Walk(&tree.Node, &w)
		if w.found {
			return w.plot, true
		}
	}
	for _, r := range e.refs {
		if !r.state {
			return Plot{Device: r.device, Point: r.point}, true
		}
	}
	return Plot{}, false
}

// comparisons finds those of one point, the first one compared, with numbers.
type comparisons struct {
	e     *expression
	plot  Plot
	found bool
}

// Visit is called by ast.Walk for every node, a comparison's parts before it.
func (w *comparisons) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.BinaryNode)
	if !ok || !slices.Contains([]string{"<", "<=", ">", ">="}, n.Operator) {
		return
	}
	above := n.Operator[0] == '>'
	r, value, ok := w.sides(n.Left, n.Right)
	if !ok {
		r, value, ok = w.sides(n.Right, n.Left)
		above = !above
	}
	if !ok || w.found && (r.device != w.plot.Device || r.point != w.plot.Point) || len(w.plot.Thresholds) >= maxThresholds {
		return
	}
	w.plot.Device, w.plot.Point, w.found = r.device, r.point, true
	if t := (Threshold{Value: value, Above: above}); !slices.Contains(w.plot.Thresholds, t) {
		w.plot.Thresholds = append(w.plot.Thresholds, t)
	}
}

// sides reads a point on one side and a number on the other.
func (w *comparisons) sides(left, right ast.Node) (ref, float64, bool) {
	value, ok := constant(right)
	if !ok {
		return ref{}, 0, false
	}
	if id, ok := left.(*ast.IdentifierNode); ok {
		r := w.e.named(id.Value)
		return r, value, !r.state
	}
	if name, args, ok := call(left); ok { // the mean of a point is seen on the point
		r, folds, err := w.e.folded(name, args)
		return r, value, err == nil && folds && r.fold.windowed()
	}
	return ref{}, 0, false
}

// constant is the value of a number as it is written, with its sign.
func constant(node ast.Node) (float64, bool) {
	switch n := node.(type) {
	case *ast.IntegerNode:
		return float64(n.Value), true
	case *ast.FloatNode:
		return n.Value, true
	case *ast.UnaryNode:
		f, ok := constant(n.Node)
		switch n.Operator {
		case "-":
			return -f, ok
		case "+":
			return f, ok
		}
	}
	return 0, false
}
