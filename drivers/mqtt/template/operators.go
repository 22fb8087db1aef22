package template

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// describe is a value for an error.
func describe(v Value) string {
	switch v.kind {
	case text:
		return "the text " + strconv.Quote(clip(v.str))
	case boolean:
		if v.num != 0 {
			return "True"
		}
		return "False"
	case integer:
		return strconv.FormatInt(v.num, 10)
	case float:
		return string(appendFloat(nil, v.float()))
	}
	return v.kind.String()
}

func tooLarge() error { return failf("the number is beyond 64 bits") }

// arithmetic is a op b, as Python has it.
func (m *machine) arithmetic(op string, a, b Value) (Value, error) {
	if a.kind == float && b.kind == float || a.numeric() && b.numeric() && (a.kind == float || b.kind == float) {
		return floats(op, a.real(), b.real())
	}
	if a.numeric() && b.numeric() {
		return integers(op, a.num, b.num)
	}
	if a.isUndefined() {
		return Value{}, undefinedError(a)
	}
	if op == "%" && a.kind == text {
		return m.percent(a.str, b)
	}
	if b.isUndefined() {
		return Value{}, undefinedError(b)
	}
	switch {
	case op == "+" && a.kind == text && b.kind == text:
		if err := m.alloc(len(a.str) + len(b.str)); err != nil {
			return Value{}, err
		}
		return String(a.str + b.str), nil
	case op == "+" && a.kind == b.kind && (a.kind == list || a.kind == tuple):
		n := len(a.obj.items)
		if err := m.allocList(n + len(b.obj.items)); err != nil {
			return Value{}, err
		}
		items := append(append(make([]Value, 0, n+len(b.obj.items)), a.obj.items...), b.obj.items...)
		return Value{kind: a.kind, obj: &object{items: items}}, nil
	case op == "*" && (b.kind == integer || b.kind == boolean):
		if v, ok, err := m.repeat(a, b.num); ok {
			return v, err
		}
	case op == "*" && (a.kind == integer || a.kind == boolean):
		if v, ok, err := m.repeat(b, a.num); ok {
			return v, err
		}
	}
	if v, ok, err := times(op, a, b); ok {
		return v, err
	}
	return Value{}, failf("%s cannot stand between %s and %s", op, describe(a), describe(b))
}

// repeat is v * n for what can be repeated.
func (m *machine) repeat(v Value, n int64) (Value, bool, error) {
	n = max(n, 0)
	switch v.kind {
	case text:
		if int64(len(v.str)) > 0 && n > maxBytes/int64(len(v.str)) {
			return Value{}, true, m.alloc(math.MaxInt)
		}
		if err := m.alloc(len(v.str) * int(n)); err != nil {
			return Value{}, true, err
		}
		return String(strings.Repeat(v.str, int(min(n, maxBytes)))), true, nil
	case list, tuple:
		if len(v.obj.items) == 0 {
			return v, true, nil
		}
		if n > maxBytes/int64(len(v.obj.items)) {
			return Value{}, true, m.alloc(math.MaxInt)
		}
		if err := m.allocList(len(v.obj.items) * int(n)); err != nil {
			return Value{}, true, err
		}
		var items []Value
		for range n {
			items = append(items, v.obj.items...)
		}
		return Value{kind: v.kind, obj: &object{items: items}}, true, nil
	}
	return Value{}, false, nil
}

func integers(op string, a, b int64) (Value, error) {
	switch op {
	case "+":
		if c := a + b; (c > a) == (b > 0) {
			return Int(c), nil
		}
		return Value{}, tooLarge()
	case "-":
		if c := a - b; (c < a) == (b > 0) {
			return Int(c), nil
		}
		return Value{}, tooLarge()
	case "*":
		if c, ok := multiply(a, b); ok {
			return Int(c), nil
		}
		return Value{}, tooLarge()
	case "/":
		if b == 0 {
			return Value{}, byZero()
		}
		return Float(float64(a) / float64(b)), nil
	case "//", "%":
		if b == 0 {
			return Value{}, byZero()
		}
		if b == -1 {
			if op == "%" {
				return Int(0), nil
			}
			return integers("-", 0, a)
		}
		q, r := a/b, a%b
		if r != 0 && (r < 0) != (b < 0) {
			q, r = q-1, r+b
		}
		if op == "//" {
			return Int(q), nil
		}
		return Int(r), nil
	}
	if b < 0 {
		return floats(op, float64(a), float64(b))
	}
	return power(a, b)
}

func byZero() error { return failf("division by zero") }

func multiply(a, b int64) (int64, bool) {
	if a == 0 || b == 0 {
		return 0, true
	}
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	if high != 0 || low > 1<<63 || low == 1<<63 && (a < 0) == (b < 0) {
		return 0, false
	}
	return a * b, true
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// power is a to the b, which is not negative.
func power(a, b int64) (Value, error) {
	switch {
	case a == 0 && b > 0:
		return Int(0), nil
	case a == 1 || b == 0:
		return Int(1), nil
	case a == -1:
		return Int(1 - 2*(b&1)), nil
	case b > 63:
		return Value{}, tooLarge()
	}
	c, ok := int64(1), true
	for range b {
		if c, ok = multiply(c, a); !ok {
			return Value{}, tooLarge()
		}
	}
	return Int(c), nil
}

func floats(op string, a, b float64) (Value, error) {
	switch op {
	case "+":
		return Float(a + b), nil
	case "-":
		return Float(a - b), nil
	case "*":
		return Float(a * b), nil
	case "**":
		c := math.Pow(a, b)
		switch {
		case a == 0 && b < 0:
			return Value{}, byZero()
		case math.IsNaN(c) && !math.IsNaN(a) && !math.IsNaN(b):
			return Value{}, failf("a negative number has no such power")
		case math.IsInf(c, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0):
			return Value{}, failf("the number is too large for a float")
		}
		return Float(c), nil
	}
	if b == 0 {
		return Value{}, byZero()
	}
	if op == "/" {
		return Float(a / b), nil
	}
	r := math.Mod(a, b)
	if r != 0 && (r < 0) != (b < 0) {
		r += b
	} else if r == 0 {
		r = math.Copysign(0, b)
	}
	if op == "%" {
		return Float(r), nil
	}
	q := math.Round((a - r) / b)
	if q == 0 {
		q = math.Copysign(0, a/b)
	}
	return Float(q), nil
}

// compare is a op b.
func (m *machine) compare(op string, a, b Value) (bool, error) {
	switch op {
	case "==", "!=":
		same, err := m.equal(a, b, 0)
		return same == (op == "=="), err
	case "in", "not in":
		found, err := m.contains(b, a)
		return found == (op == "in"), err
	}
	if a.isUndefined() {
		return false, undefinedError(a)
	}
	if b.isUndefined() {
		return false, undefinedError(b)
	}
	if a.numeric() && b.numeric() && (isNaN(a) || isNaN(b)) {
		return false, nil
	}
	c, ok, err := m.order(a, b, 0)
	if err != nil {
		return false, err
	}
	if !ok {
		return false, failf("%s and %s cannot be compared with %s", describe(a), describe(b), op)
	}
	switch op {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

func isNaN(v Value) bool { return v.kind == float && math.IsNaN(v.float()) }

func (m *machine) equal(a, b Value, depth int) (bool, error) {
	if depth > maxDepth {
		return false, tooDeep()
	}
	if m.steps--; m.steps < 0 {
		return false, tooLong()
	}
	switch {
	case a.numeric() && b.numeric():
		if a.kind == float || b.kind == float {
			return a.real() == b.real(), nil
		}
		return a.num == b.num, nil
	case a.isUndefined() && b.isUndefined():
		return true, nil
	case a.kind != b.kind:
		return false, nil
	}
	switch a.kind {
	case text:
		if len(a.str) != len(b.str) {
			return false, nil
		}
		return a.str == b.str, m.look(len(a.str))
	case list, tuple:
		return m.equalItems(a.obj.items, b.obj.items, depth)
	case dict:
		return m.equalDicts(a.obj, b.obj, depth)
	case moment:
		return a.num == b.num && (a.obj.zone == nil) == (b.obj.zone == nil), nil
	case span, cycle:
		return a.num == b.num, nil
	case space:
		return a.obj == b.obj, nil
	}
	return true, nil // None
}

func (m *machine) equalItems(a, b []Value, depth int) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if same, err := m.equal(a[i], b[i], depth+1); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (m *machine) equalDicts(a, b *object, depth int) (bool, error) {
	if len(a.items) != len(b.items) {
		return false, nil
	}
	for i := 0; i < len(a.items); i += 2 {
		if err := m.step(indexed); err != nil {
			return false, err
		}
		k, _ := keyOf(a.items[i])
		v, ok := b.get(k)
		if !ok {
			return false, nil
		}
		if same, err := m.equal(a.items[i+1], v, depth+1); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// order compares; it reports false for what has no order.
func (m *machine) order(a, b Value, depth int) (int, bool, error) {
	if depth > maxDepth {
		return 0, false, tooDeep()
	}
	if m.steps--; m.steps < 0 {
		return 0, false, tooLong()
	}
	switch {
	case a.numeric() && b.numeric():
		if a.kind != float && b.kind != float {
			return sign3(a.num, b.num), true, nil
		}
		return sign3(a.real(), b.real()), true, nil
	case a.kind != b.kind:
		return 0, false, nil
	}
	switch a.kind {
	case text:
		return strings.Compare(a.str, b.str), true, m.look(min(len(a.str), len(b.str)))
	case span:
		return sign3(a.num, b.num), true, nil
	case moment:
		return sign3(a.num, b.num), (a.obj.zone == nil) == (b.obj.zone == nil), nil
	case list, tuple:
		x, y := a.obj.items, b.obj.items
		for i := range min(len(x), len(y)) {
			if same, err := m.equal(x[i], y[i], depth+1); err != nil {
				return 0, false, err
			} else if !same {
				return m.order(x[i], y[i], depth+1)
			}
		}
		return sign3(len(x), len(y)), true, nil
	}
	return 0, false, nil
}

func sign3[T int | int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// contains is v in c.
func (m *machine) contains(c, v Value) (bool, error) {
	switch c.kind {
	case text:
		if v.kind != text {
			return false, failf("only a text can be in a text, not %s", describe(v))
		}
		return strings.Contains(c.str, v.str), m.look(len(c.str))
	case dict:
		k, ok := keyOf(v)
		if !ok {
			return false, failf("%s cannot be a key", v.kind)
		}
		_, found := c.obj.get(k)
		return found, m.step(1)
	}
	items, err := m.items(c)
	if err != nil {
		return false, err
	}
	for _, item := range items {
		if same, err := m.equal(item, v, 0); same || err != nil {
			return same, err
		}
	}
	return false, nil
}
