package template

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Vars are the variables of a template, by name.
type Vars interface {
	// Lookup reports false for a variable that there is not.
	Lookup(name string) (Value, bool)
}

// Map is a set of variables, as those of a command template: value, or brightness, red and effect. Nil has none.
type Map map[string]Value

// Lookup is a variable of the map.
func (m Map) Lookup(name string) (Value, bool) {
	v, ok := m[name]
	return v, ok
}

// A Payload is one message as value templates see it: value is its text, value_json what it is decoded as JSON. It is
// decoded when a template first asks, once for all templates; value_json is undefined if it is no JSON. The fields may
// not change once it is in use, and it may not be copied; it is safe for concurrent use.
type Payload struct {
	Text string
	Time time.Time // when the message came, which now() is; its zone is the local one. Zero is the present.
	More Vars      // further variables, such as this; may be nil

	once  sync.Once
	json  Value
	err   error
	steps atomic.Int64
}

// Steps are how much work the templates were that read the payload: each of at most 50,000.
func (p *Payload) Steps() int { return int(p.steps.Load()) }

// Lookup is value, value_json, or a further variable.
func (p *Payload) Lookup(name string) (Value, bool) {
	switch name {
	case "value":
		return String(p.Text), true
	case "value_json":
		if _, err := p.JSON(); err != nil {
			return Value{}, false
		}
		return p.json, true
	}
	if p.More != nil {
		return p.More.Lookup(name)
	}
	return Value{}, false
}

// JSON is the payload decoded, or says why it is no JSON.
func (p *Payload) JSON() (Value, error) {
	p.once.Do(func() { p.json, p.err = JSON(p.Text) })
	return p.json, p.err
}

// Now is the time of the message.
func (p *Payload) Now() time.Time {
	if p.Time.IsZero() {
		return time.Now()
	}
	return p.Time
}

// Output is what a template made.
type Output struct {
	// Text is without white space at its ends. Home Assistant takes "None" as a value that is not known, and ignores an
	// empty one.
	Text string
	// Undefined is an expression that was printed although there is no such thing, as value_json.humidity; empty if there
	// was none. What it printed is nothing.
	Undefined string
}

// None reports whether the value is said to be unknown.
func (o Output) None() bool { return o.Text == "None" }

// A Template is a compiled template. It is safe for concurrent use.
type Template struct {
	source string
	static bool
	body   block
	slots  int
}

// MaxSource is how long a template may be, in bytes.
const MaxSource = 4 << 10

// Parse compiles a template. Its errors are of type *Error.
func Parse(source string) (*Template, error) {
	source = strings.TrimSpace(source)
	if len(source) > MaxSource {
		return nil, &Error{Text: "the template is longer than 4 KiB"}
	}
	t := &Template{source: source}
	if !strings.Contains(source, "{{") && !strings.Contains(source, "{%") && !strings.Contains(source, "{#") {
		t.static = true
		return t, nil
	}
	p, err := newParser(source)
	if err == nil {
		t.body, err = p.template()
	}
	if err != nil {
		return nil, locate(err, source)
	}
	t.slots = p.slots
	return t, nil
}

// String is the source.
func (t *Template) String() string { return t.source }

// Execute runs the template with variables; nil has none. Its errors are of type *Error.
func (t *Template) Execute(vars Vars) (Output, error) {
	if t.static {
		return Output{Text: t.source}, nil
	}
	m := machines.Get().(*machine)
	m.start(vars, t.slots)
	err := t.body.run(m)
	var o Output
	if err == nil {
		o = Output{Text: strings.TrimSpace(string(m.out)), Undefined: m.missing}
	}
	if p, ok := vars.(*Payload); ok {
		p.steps.Add(int64(maxSteps - max(m.steps, 0)))
	}
	m.release()
	if err != nil {
		return Output{}, locate(err, t.source)
	}
	return o, nil
}
