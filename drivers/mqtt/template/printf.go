package template

import "strings"

// percentFilter is the filter format: "%.1f" | format(x).
func percentFilter(m *machine, c *call, a []Value) (Value, error) {
	s, err := m.str(a[0])
	if err != nil {
		return Value{}, err
	}
	plain, named := c.named(a[1:])
	if len(named) == 0 {
		return m.percent(s, newTuple(plain...))
	}
	if len(plain) > 0 {
		return Value{}, failf("format takes arguments with names or without, not both")
	}
	var b dictBuilder
	for i, v := range named {
		b.put(String(c.names[i]), v)
	}
	return m.percent(s, b.value())
}

// percent is s % args.
func (m *machine) percent(s string, args Value) (Value, error) {
	if err := m.look(len(s)); err != nil {
		return Value{}, err
	}
	values := []Value{args}
	if args.kind == tuple {
		values = args.obj.items
	}
	used := 0
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		f := spec{fill: ' ', precision: -1}
		name, named := "", false
		i++
		if i < len(s) && s[i] == '(' {
			end := strings.IndexByte(s[i:], ')')
			if end < 0 {
				return Value{}, failf("%%( is not closed in a format")
			}
			name, named = s[i+1:i+end], true
			i += end + 1
		}
		for ; i < len(s) && strings.IndexByte("-+ 0#", s[i]) >= 0; i++ {
			switch s[i] {
			case '-':
				f.align = '<'
			case '0':
				f.fill = '0'
			case '#':
				f.alternate = true
			default:
				if f.sign != '+' {
					f.sign = s[i]
				}
			}
		}
		var err error
		if i, err = f.sizes(s, i); err != nil {
			return Value{}, err
		}
		for i < len(s) && strings.IndexByte("hlL", s[i]) >= 0 {
			i++
		}
		if i == len(s) {
			return Value{}, failf("a format ends within %%")
		}
		if f.verb = s[i]; f.verb == '%' {
			b = append(b, '%')
			continue
		}
		if strings.IndexByte("srdiufFeEgGxXoc", f.verb) < 0 {
			return Value{}, failf("%%%c is not understood in a format", f.verb)
		}
		var v Value
		switch {
		case named:
			if args.kind != dict {
				return Value{}, failf("%%(%s) needs values with names", clip(name))
			}
			found, ok := args.obj.get(key{kind: text, str: name})
			if !ok {
				return Value{}, failf("the format has %%(%s), and no such value is given", clip(name))
			}
			v = found
		case used == len(values):
			return Value{}, failf("the format has more values than the %d that are given", len(values))
		default:
			v = values[used]
			used++
		}
		if f.fill == '0' && (f.align == '<' || f.verb == 's' || f.verb == 'r' || f.verb == 'c') {
			f.fill = ' '
		}
		if f.fill == '0' {
			f.align = '='
		} else if f.align == 0 {
			f.align = '>'
		}
		if b, err = m.percentValue(b, f, v); err != nil {
			return Value{}, err
		}
	}
	if used < len(values) && args.kind != list && args.kind != dict {
		return Value{}, failf("the format uses %d of the %d values that are given", used, len(values))
	}
	return String(string(b)), m.alloc(len(b))
}

// percentValue formats v for printf, where %d takes floats too and %s all.
func (m *machine) percentValue(b []byte, f spec, v Value) ([]byte, error) {
	if err := m.step(1 + f.width/32); err != nil {
		return b, err
	}
	switch f.verb {
	case 's', 'r', 'c':
		var s string
		var err error
		switch {
		case f.verb == 'r':
			var raw []byte
			raw, err = m.appendRepr(nil, v, 0)
			s = string(raw)
		case f.verb == 'c' && v.kind == integer:
			s = string(rune(v.num))
		default:
			s, err = m.str(v)
		}
		if err != nil {
			return b, err
		}
		return f.pad(b, f.cutText(s)), m.look(len(s))
	}
	switch {
	case v.isUndefined():
		return b, undefinedError(v)
	case !v.numeric():
		return b, failf("%%%c needs a number, not %s", f.verb, describe(v))
	}
	switch f.verb {
	case 'd', 'i', 'u':
		f.verb = 'd'
		if v.kind == float {
			var err error
			if v, err = truncate(v.float()); err != nil {
				return b, err
			}
		}
		if f.precision >= 0 {
			return b, failf("%%d with a precision is not understood")
		}
	case 'x', 'X', 'o':
		if v.kind == float {
			return b, failf("%%%c needs an integer, not %s", f.verb, describe(v))
		}
	}
	return f.number(b, v)
}
