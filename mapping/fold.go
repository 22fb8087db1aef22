package mapping

import (
	"errors"
	"fmt"
	"time"

	"github.com/expr-lang/expr/ast"

	"tidings/devices"
	"tidings/devices/schema"
)

// A fold is what an expression makes of a point over time.
type fold uint8

const (
	present     fold = iota // its value now
	meanOver                // weighted with how long each value was
	lowestOver              // the lowest of a window
	highestOver             // the highest
	runTime                 // how long a switch was on, in hours
	starts                  // how often it was turned on
	integralOf              // the sum of value × time
	energyOf                // the integral of a power, in kWh
)

var foldWords = [...]string{meanOver: "mean", lowestOver: "min", highestOver: "max", runTime: "runtime", starts: "count", integralOf: "integral", energyOf: "energy"}

func (f fold) String() string { return foldWords[f] }

// foldNames are the functions over time.
func foldNames() []string { return foldWords[meanOver:] }

// windowed reports whether f looks at a time just past, and not at all that was.
func (f fold) windowed() bool { return f == meanOver || f == lowestOver || f == highestOver }

// input is the kind of value that f takes.
func (f fold) input() devices.ValueKind {
	if f == runTime || f == starts {
		return devices.BoolKind
	}
	return devices.NumberKind
}

// Bounds of a window.
const (
	shortestWindow = time.Second
	longestWindow  = 31 * 24 * time.Hour
)

// timeUnits are what an integral may be over: W by the hour are Wh.
var timeUnits = map[string]time.Duration{"s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// folded reads a call of a function over time. It reports false when it is none: min and max are those only with a window.
func (e *expression) folded(name string, args []ast.Node) (ref, bool, error) {
	f := present
	for i, word := range foldWords {
		if i > 0 && word == name {
			f = fold(i)
		}
	}
	texts := 0
	for _, a := range args {
		if _, ok := a.(*ast.StringNode); ok {
			texts++
		}
	}
	if f == present || texts == 0 && (f == lowestOver || f == highestOver) {
		return ref{}, false, nil
	}
	example := map[fold]string{runTime: "runtime(pump)", starts: "count(pump)", integralOf: `integral(flow, "min")`, energyOf: "energy(power)"}[f]
	if f.windowed() {
		example = f.String() + `(temperature, "10m")`
	}
	if takesTime := f.windowed() || f == integralOf; takesTime && (len(args) != 2 || texts != 1) || !takesTime && len(args) != 1 {
		return ref{}, false, fmt.Errorf("write %s as in %s", f, example)
	}
	id, ok := args[0].(*ast.IdentifierNode)
	if !ok {
		return ref{}, false, fmt.Errorf("%s is of one point, as in %s: make what you calculate a computed point, and take that", f, example)
	}
	r := e.named(id.Value)
	if r.state {
		return ref{}, false, fmt.Errorf("%s is of a point, and %s is none", f, r.point)
	}
	r.fold = f
	if len(args) == 1 {
		return r, true, nil
	}
	text, ok := args[1].(*ast.StringNode)
	if !ok {
		return ref{}, false, fmt.Errorf("write %s as in %s", f, example)
	}
	var err error
	r.span, err = f.spanOf(text.Value)
	return r, true, err
}

// spanOf reads the second argument.
func (f fold) spanOf(text string) (time.Duration, error) {
	if f == integralOf {
		unit, ok := timeUnits[text]
		if !ok {
			return 0, fmt.Errorf(`integral: %q is none of "s", "min", "h" and "d"`, text)
		}
		return unit, nil
	}
	span, err := schema.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: %w", f, err)
	case span < shortestWindow || span > longestWindow:
		return 0, fmt.Errorf("%s: a window is from %s to %s long", f, Duration(shortestWindow), Duration(longestWindow))
	}
	return span, nil
}

// conversionOf reads the arguments of convert(x, "°F", "°C").
func conversionOf(args []ast.Node) (from, to string, err error) {
	const example = `write convert as in convert(temperature, "°F", "°C")`
	if len(args) != 3 {
		return "", "", errors.New(example)
	}
	var names [2]string
	for i, a := range args[1:] {
		text, ok := a.(*ast.StringNode)
		if !ok {
			return "", "", errors.New(example)
		}
		names[i] = normalUnit(text.Value)
	}
	return names[0], names[1], convertible(names[0], names[1])
}

// phrase says what a point was over time inside a sentence: "mean temperature of 10 min is 33.1 °C".
func (ref *ref) phrase(p *Point, v devices.Value, known bool) string {
	shown := *p
	shown.short = true
	value := func(unit string) string {
		if !known {
			return "unknown"
		}
		shown.Kind, shown.Unit = devices.KindNumber, unit
		return shown.Format(v)
	}
	switch ref.fold {
	case meanOver:
		return "mean " + p.name() + " of " + Duration(ref.span) + " is " + value(p.Unit)
	case lowestOver:
		return "lowest " + p.name() + " of " + Duration(ref.span) + " is " + value(p.Unit)
	case highestOver:
		return "highest " + p.name() + " of " + Duration(ref.span) + " is " + value(p.Unit)
	case runTime:
		return p.name() + " was on for " + value("h")
	case starts:
		return p.name() + " was turned on " + value("") + " times"
	case energyOf:
		return "energy of " + p.name() + " is " + value("kWh")
	}
	return "sum of " + p.name() + " is " + value("")
}
