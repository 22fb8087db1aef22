package schema

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Value is what stands behind one key: a string, int64, float64, bool, time.Time, []any (whose tables are *Table) or
// *Table, with its place in the file.
type Value struct {
	V    any
	File string
	Line int
}

// A Table is one table of the file: its keys with their places. The getters answer the default where a key is
// absent or of another kind (the mistake is already recorded by Check), so a reader never has to stop.
type Table struct {
	Path string // the key path, such as "devices.lamp.points.power"; empty for the whole file
	File string
	Line int // where its header stands or, without one, where it is first named

	values   map[string]Value
	problems *Problems
}

// NewTable makes an empty table whose mistakes go to ps, for loaders and tests.
func NewTable(path, file string, line int, ps *Problems) *Table {
	return &Table{Path: path, File: file, Line: line, values: map[string]Value{}, problems: ps}
}

// Problems is where the table's mistakes are collected.
func (t *Table) Problems() *Problems { return t.problems }

// Set puts a value behind a key, replacing what was there.
func (t *Table) Set(key string, v Value) { t.values[key] = v }

// Delete takes a key out.
func (t *Table) Delete(key string) { delete(t.values, key) }

// Get returns what stands behind key.
func (t *Table) Get(key string) (Value, bool) {
	if t == nil {
		return Value{}, false
	}
	v, ok := t.values[key]
	return v, ok
}

// Has reports whether the key is there.
func (t *Table) Has(key string) bool { _, ok := t.Get(key); return ok }

// Keys are the keys that are there, sorted by line and name.
func (t *Table) Keys() []string {
	if t == nil {
		return nil
	}
	keys := slices.Collect(maps.Keys(t.values))
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(t.values[a].Line, t.values[b].Line), strings.Compare(a, b))
	})
	return keys
}

// Table returns the sub-table behind key, or nil: every getter of a nil Table answers the default.
func (t *Table) Table(key string) *Table {
	v, _ := t.Get(key)
	sub, _ := v.V.(*Table)
	return sub
}

// Tables returns the sub-tables of t itself, in the order of the file: for a Named table.
func (t *Table) Tables() []*Table {
	var out []*Table
	for _, k := range t.Keys() {
		if sub := t.Table(k); sub != nil {
			out = append(out, sub)
		}
	}
	return out
}

// Name is the last part of the table's path: the name its user gave it.
func (t *Table) Name() string {
	name := t.Path[lastDot(t.Path)+1:]
	if unquoted, err := strconv.Unquote(name); err == nil {
		return unquoted
	}
	return name
}

// lastDot is the index of the last dot of a key path that is not inside a quoted key, or -1.
func lastDot(path string) int {
	last, quoted := -1, false
	for i := 0; i < len(path); i++ {
		switch {
		case quoted && path[i] == '\\':
			i++
		case path[i] == '"':
			quoted = !quoted
		case path[i] == '.' && !quoted:
			last = i
		}
	}
	return last
}

// Errorf records a mistake at key, or at the table itself when key is "" or absent.
func (t *Table) Errorf(key, format string, args ...any) {
	file, line, path := t.File, t.Line, t.Path
	if v, ok := t.Get(key); ok {
		file, line = v.File, v.Line
	}
	t.problems.Add(Problem{File: file, Line: line, Path: path, Key: key, Text: fmt.Sprintf(format, args...)})
}

// Check walks t against spec and records every unknown key, wrong type, missing required key and key of a later
// version. Sub-tables described by a Spec are walked too.
func (t *Table) Check(spec Spec) {
	for _, name := range t.Keys() {
		v, _ := t.Get(name)
		key := spec.find(name)
		switch {
		case key == nil:
			if near := spec.nearest(name); near != "" {
				t.Errorf(name, "unknown key %q: did you mean %q?", name, near)
			} else {
				t.Errorf(name, "unknown key %q", name)
			}
		case key.Later:
			t.Errorf(name, "not in this version: %s", name)
		default:
			t.checkKind(key, v)
		}
	}
	for _, key := range spec.Keys {
		if key.Required && !t.Has(key.Name) && !(key.Secret && t.Has(key.Name+"_file")) {
			t.Errorf(key.Name, "%s is missing: %s", key.Name, key.Help)
		}
	}
}

func (t *Table) checkKind(key *Key, v Value) {
	sub, isTable := v.V.(*Table)
	switch {
	case isTable && key.Kind == SubTable, isTable && key.Kind == Roles:
		if key.Spec != nil {
			sub.Check(*key.Spec)
		}
		return
	case isTable && key.Kind == Named:
		for _, name := range sub.Keys() {
			each := sub.Table(name)
			if each == nil {
				sub.Errorf(name, "%s is %s: a table [%s] belongs here", name, describe(sub.values[name].V), JoinPath(sub.Path, name))
			} else if key.Spec != nil {
				each.Check(*key.Spec)
			}
		}
		return
	}
	if !fits(key.Kind, v.V) {
		if key.Secret {
			t.Errorf(key.Name, "%s takes %s", key.Name, key.Kind)
			return
		}
		t.Errorf(key.Name, "%s is %s, but takes %s", key.Name, describe(v.V), key.Kind)
		return
	}
	s, isString := v.V.(string)
	if isString && slices.Contains(key.LaterChoices, s) {
		t.Errorf(key.Name, "not in this version: %s = %q", key.Name, s)
		return
	}
	var err error
	switch {
	case key.Kind == Duration:
		_, err = ParseDuration(s)
	case key.Kind == Size && isString:
		_, err = ParseSize(s)
	case len(key.Choices) > 0 && isString && !slices.Contains(key.Choices, s):
		err = fmt.Errorf("%q is none of %s", s, strings.Join(key.Choices, ", "))
		if near := Nearest(s, key.Choices); near != "" {
			err = fmt.Errorf("%q is none of %s: did you mean %q?", s, strings.Join(key.Choices, ", "), near)
		}
	}
	if err != nil {
		t.Errorf(key.Name, "%s: %v", key.Name, err)
	}
}

func fits(kind Kind, v any) bool {
	switch kind {
	case String, Duration, Roles:
		_, ok := v.(string)
		return ok
	case Int:
		_, ok := v.(int64)
		return ok
	case Float:
		_, ok := number(v)
		return ok
	case Bool:
		_, ok := v.(bool)
		return ok
	case Size:
		if n, ok := v.(int64); ok {
			return n >= 0
		}
		_, ok := v.(string)
		return ok
	case Strings, Floats:
		list, ok := v.([]any)
		if !ok {
			return false
		}
		for _, e := range list {
			if kind == Strings && !fits(String, e) || kind == Floats && !fits(Float, e) {
				return false
			}
		}
		return true
	case Scalar:
		return fits(String, v) || fits(Float, v) || fits(Bool, v)
	}
	return false
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

func describe(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("the string %q", v)
	case int64, float64, bool:
		return fmt.Sprint(v)
	case []any:
		if len(v) > 0 {
			if _, ok := v[0].(*Table); ok {
				return "an array of tables"
			}
		}
		return "an array"
	case *Table:
		return "a table"
	case time.Time:
		return "a date"
	}
	return fmt.Sprintf("%v", v)
}

// String returns the string behind key, or "".
func (t *Table) String(key string) string { return t.StringOr(key, "") }

// StringOr returns the string behind key, or def.
func (t *Table) StringOr(key, def string) string {
	v, _ := t.Get(key)
	if s, ok := v.V.(string); ok {
		return s
	}
	return def
}

// Int returns the whole number behind key, or def.
func (t *Table) Int(key string, def int) int {
	v, _ := t.Get(key)
	if n, ok := v.V.(int64); ok {
		return int(n)
	}
	return def
}

// Float returns the number behind key, or def.
func (t *Table) Float(key string, def float64) float64 {
	v, _ := t.Get(key)
	if n, ok := number(v.V); ok {
		return n
	}
	return def
}

// Bool returns the boolean behind key, or def.
func (t *Table) Bool(key string, def bool) bool {
	v, _ := t.Get(key)
	if b, ok := v.V.(bool); ok {
		return b
	}
	return def
}

// Duration returns the duration behind key, or def.
func (t *Table) Duration(key string, def time.Duration) time.Duration {
	if d, err := ParseDuration(t.String(key)); err == nil {
		return d
	}
	return def
}

// Size returns the number of bytes behind key, or def.
func (t *Table) Size(key string, def int64) int64 {
	v, _ := t.Get(key)
	switch n := v.V.(type) {
	case int64:
		return n
	case string:
		if size, err := ParseSize(n); err == nil {
			return size
		}
	}
	return def
}

// Strings returns the array of strings behind key, or nil.
func (t *Table) Strings(key string) []string {
	v, _ := t.Get(key)
	list, _ := v.V.([]any)
	var out []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Floats returns the array of numbers behind key, or nil.
func (t *Table) Floats(key string) []float64 {
	v, _ := t.Get(key)
	list, _ := v.V.([]any)
	var out []float64
	for _, e := range list {
		if n, ok := number(e); ok {
			out = append(out, n)
		}
	}
	return out
}

// AppendCanonical appends a text that is the same for equal contents, whatever the order and the places in the
// file: two tables with the same text configure the same thing. Reload compares these.
func (t *Table) AppendCanonical(dst []byte) []byte {
	dst = append(dst, '{')
	for _, k := range slices.Sorted(maps.Keys(t.values)) {
		dst = strconv.AppendQuote(dst, k)
		dst = append(dst, '=')
		dst = appendCanonical(dst, t.values[k].V)
		dst = append(dst, ';')
	}
	return append(dst, '}')
}

func appendCanonical(dst []byte, v any) []byte {
	switch v := v.(type) {
	case *Table:
		return v.AppendCanonical(dst)
	case []any:
		dst = append(dst, '[')
		for _, e := range v {
			dst = append(appendCanonical(dst, e), ',')
		}
		return append(dst, ']')
	case string:
		return strconv.AppendQuote(dst, v)
	}
	return fmt.Appendf(dst, "%T(%v)", v, v)
}
