package template

import (
	"math"
	"strconv"
	"strings"
)

// constants are variables that are always there.
var constants = map[string]Value{"pi": Float(math.Pi), "e": Float(math.E), "tau": Float(2 * math.Pi)}

// toFloat is Python's float of v; false if there is none.
func toFloat(v Value) (float64, bool, error) {
	switch v.kind {
	case absent, undefined:
		return 0, false, undefinedError(v)
	case float:
		return v.float(), true, nil
	case integer, boolean:
		return float64(v.num), true, nil
	case text:
		f, ok := parseFloat(v.str)
		return f, ok, nil
	}
	return 0, false, nil
}

// orDefault is what is given if v is not fit for what it was given to.
func orDefault(c *call, v, otherwise Value) (Value, error) {
	if otherwise.kind != absent {
		return otherwise, nil
	}
	return Value{}, failf("%s cannot use %s, and has no default: write %s(default=0), for example", c.name, describe(v), c.name)
}

func floatOf(m *machine, c *call, a []Value) (Value, error) {
	if a[0].kind == float {
		return a[0], nil
	}
	f, ok, err := toFloat(a[0])
	if err != nil {
		return Value{}, err
	}
	if !ok {
		return orDefault(c, a[0], a[1])
	}
	return Float(f), m.look(len(a[0].str))
}

func intOf(m *machine, c *call, a []Value) (Value, error) {
	v := a[0]
	if err := m.look(len(v.str)); err != nil {
		return Value{}, err
	}
	switch v.kind {
	case absent, undefined:
		return Value{}, undefinedError(v)
	case integer, boolean:
		return Int(v.num), nil
	case text:
		base := int64(10)
		if a[2].kind == integer {
			base = a[2].num
		}
		if base < 0 || base == 1 || base > 36 {
			return Value{}, failf("the base of int is from 2 to 36")
		}
		if i, ok := parseInt(v.str, int(base)); ok {
			return Int(i), nil
		}
	}
	f, ok, err := toFloat(v)
	if err != nil {
		return Value{}, err
	}
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return orDefault(c, v, a[1])
	}
	return truncate(f)
}

// truncate is f without what is behind the point.
func truncate(f float64) (Value, error) {
	if math.IsNaN(f) || math.Abs(f) >= 1<<63 {
		return Value{}, tooLarge()
	}
	return Int(int64(f)), nil
}

func boolOf(m *machine, c *call, a []Value) (Value, error) {
	switch v := a[0]; v.kind {
	case boolean:
		return v, nil
	case integer, float:
		return Bool(v.truth()), nil
	case text:
		switch strings.ToLower(strings.TrimSpace(v.str)) {
		case "1", "true", "yes", "on", "enable":
			return Bool(true), nil
		case "0", "false", "no", "off", "disable":
			return Bool(false), nil
		}
	}
	return orDefault(c, a[0], a[1])
}

func looksNumeric(m *machine, c *call, a []Value) (Value, error) {
	f, ok, err := toFloat(a[0])
	if err != nil {
		return Value{}, err
	}
	return Bool(ok && !math.IsNaN(f) && !math.IsInf(f, 0)), nil
}

// round is Home Assistant's: an integer without precision.
func round(m *machine, c *call, a []Value) (Value, error) {
	precision, err := intArg(a[1], 0, -400, 400)
	if err != nil {
		return Value{}, err
	}
	f, ok, err := toFloat(a[0])
	if err != nil {
		return Value{}, err
	}
	if !ok || precision == 0 && math.IsNaN(f) {
		return orDefault(c, a[0], a[3])
	}
	switch a[2].str {
	case "ceil", "floor":
		scale := math.Pow(10, float64(precision))
		if math.IsInf(f, 0) || math.IsNaN(f) || scale == 0 || math.IsInf(scale, 0) {
			return orDefault(c, a[0], a[3])
		}
		whole := math.Floor(f * scale)
		if a[2].str == "ceil" {
			whole = math.Ceil(f * scale)
		}
		f = whole/scale + 0 // not -0
	case "half":
		f = math.RoundToEven(f*2)/2 + 0
	default:
		f = roundTo(f, precision)
	}
	if precision == 0 {
		return truncate(f)
	}
	return Float(f), nil
}

// roundTo rounds to digits behind the point, a half to the even digit, as Python's round does: what counts is the exact
// value of the float.
func roundTo(f float64, digits int) float64 {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0) || f == 0 || digits > 22 && math.Abs(f) >= 1:
		return f
	case digits == 0:
		return math.RoundToEven(f)
	case digits < 0:
		scale := math.Pow(10, float64(-digits))
		if math.IsInf(scale, 0) {
			return math.Copysign(0, f)
		}
		return math.RoundToEven(f/scale) * scale
	}
	var b [512]byte
	rounded, err := strconv.ParseFloat(string(strconv.AppendFloat(b[:0], f, 'f', digits, 64)), 64)
	if err != nil {
		return f
	}
	return rounded
}

// intArg is an integer argument, or otherwise if it was left out, held between bounds.
func intArg(v Value, otherwise, low, high int) (int, error) {
	switch v.kind {
	case absent, none:
		return otherwise, nil
	case integer, boolean:
		return int(max(int64(low), min(v.num, int64(high)))), nil
	case undefined:
		return 0, undefinedError(v)
	}
	return 0, failf("an integer is expected, not %s", describe(v))
}

func abs(m *machine, c *call, a []Value) (Value, error) {
	switch v := a[0]; v.kind {
	case float:
		return Float(math.Abs(v.float())), nil
	case integer, boolean:
		if v.num < 0 {
			return integers("-", 0, v.num)
		}
		return Int(v.num), nil
	case span:
		return Value{kind: span, num: max(v.num, -v.num)}, nil
	case absent, undefined:
		return Value{}, undefinedError(v)
	}
	return Value{}, failf("abs cannot use %s", describe(a[0]))
}

// amount is the filters add and multiply: the value as a float, and what is added to it or multiplied with it.
func amount(op string) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		f, ok, err := toFloat(a[0])
		if err != nil {
			return Value{}, err
		}
		if a[1].isUndefined() {
			return Value{}, undefinedError(a[1])
		}
		if !ok || !a[1].numeric() {
			return orDefault(c, a[0], a[2])
		}
		return floats(op, f, a[1].real())
	}
}

// real functions of one number.
func realFunction(f func(float64) float64) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		x, ok, err := toFloat(a[0])
		if err != nil {
			return Value{}, err
		}
		y := f(x)
		if !ok || math.IsNaN(y) && !math.IsNaN(x) || math.IsInf(y, 0) && !math.IsInf(x, 0) {
			return orDefault(c, a[0], a[1])
		}
		return Float(y), nil
	}
}

func logarithm(m *machine, c *call, a []Value) (Value, error) {
	x, ok, err := toFloat(a[0])
	if err != nil {
		return Value{}, err
	}
	if a[1].kind == absent {
		a[1] = Float(math.E)
	}
	base, baseOK, err := toFloat(a[1])
	if err != nil {
		return Value{}, err
	}
	if !ok || !baseOK || x <= 0 || base <= 0 {
		return orDefault(c, a[0], a[2])
	}
	if base == 1 {
		return Value{}, byZero()
	}
	if a[1].kind == float && base == math.E {
		return Float(math.Log(x) / math.Log(math.E)), nil
	}
	return Float(math.Log(x) / math.Log(base)), nil
}

// bitwise is an operation on integers.
func bitwise(op func(a, b int64) int64) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		for _, v := range a {
			if v.isUndefined() {
				return Value{}, undefinedError(v)
			}
			if v.kind != integer && v.kind != boolean {
				return Value{}, failf("%s needs integers, not %s", c.name, describe(v))
			}
		}
		v := op(a[0].num, a[1].num)
		if a[0].kind == boolean && a[1].kind == boolean {
			return Bool(v != 0), nil
		}
		return Int(v), nil
	}
}

// clamp holds a number between bounds.
func clamp(m *machine, c *call, a []Value) (Value, error) {
	var f [3]float64
	for i := range f {
		x, ok, err := toFloat(a[i])
		if err != nil {
			return Value{}, err
		}
		if !ok {
			return orDefault(c, a[i], Value{})
		}
		f[i] = x
	}
	return Float(max(f[1], min(f[2], f[0]))), nil
}

// means are average and median: of a list, or of several arguments.
func mean(m *machine, c *call, a []Value) (Value, error) {
	numbers, otherwise, err := m.sample(c, a)
	if err != nil {
		return Value{}, err
	}
	sum := 0.0
	for _, v := range numbers {
		f, ok, err := toFloat(v)
		if err != nil {
			return Value{}, err
		}
		if !ok || v.kind == text {
			return orDefault(c, v, otherwise)
		}
		sum += f
	}
	if len(numbers) == 0 {
		return orDefault(c, a[0], otherwise)
	}
	return Float(sum / float64(len(numbers))), nil
}

func median(m *machine, c *call, a []Value) (Value, error) {
	numbers, otherwise, err := m.sample(c, a)
	if err != nil {
		return Value{}, err
	}
	for _, v := range numbers {
		if !v.numeric() {
			return orDefault(c, v, otherwise)
		}
	}
	n := len(numbers)
	if n == 0 {
		return orDefault(c, a[0], otherwise)
	}
	sorted, err := m.sorted(numbers, numbers, false)
	if err != nil {
		return Value{}, err
	}
	if n%2 == 1 {
		return sorted[n/2], nil
	}
	both, err := m.arithmetic("+", sorted[n/2-1], sorted[n/2])
	if err != nil {
		return Value{}, err
	}
	return m.arithmetic("/", both, Int(2))
}

// sample are the numbers given to average and median, and the default.
func (m *machine) sample(c *call, a []Value) (numbers []Value, otherwise Value, err error) {
	plain, named := c.named(a)
	for i, n := range c.names {
		if n != "default" {
			return nil, Value{}, failf("%s has no argument %q", c.name, clip(n))
		}
		otherwise = named[i]
	}
	if len(plain) == 0 {
		return nil, Value{}, failf("%s needs a list", c.name)
	}
	switch plain[0].kind {
	case list, tuple, dict, absent, undefined:
		if len(plain) > 1 && otherwise.kind == absent {
			otherwise = plain[1]
		}
		numbers, err = m.items(plain[0])
		return numbers, otherwise, err
	}
	if len(plain) == 1 {
		return nil, Value{}, failf("%s needs a list, not %s", c.name, describe(plain[0]))
	}
	return plain, otherwise, m.step(len(plain))
}
