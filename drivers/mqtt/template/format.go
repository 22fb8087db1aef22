package template

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxWidth is how wide a formatted value may be made.
const maxWidth = 1000

// spec says how a value is formatted: what stands behind a colon in str.format, or behind % in printf.
type spec struct {
	fill      rune
	align     byte // < > = ^, 0 for what is usual
	sign      byte // + or space, 0 for minus only
	alternate bool
	width     int
	group     byte // , or _
	precision int  // -1 if it is not given
	verb      byte // 0 if it is not given
}

// sizes reads width and precision at i.
func (f *spec) sizes(s string, i int) (int, error) {
	number := func() (int, bool) {
		start, n := i, 0
		for ; i < len(s) && isDigit(s[i]); i++ {
			n = min(10*n+int(s[i]-'0'), maxWidth+1)
		}
		return n, i > start
	}
	f.width, _ = number()
	if f.group == 0 && i < len(s) && (s[i] == ',' || s[i] == '_') {
		f.group = s[i]
		i++
	}
	if i < len(s) && s[i] == '.' {
		i++
		f.precision, _ = number()
	}
	if f.width > maxWidth || f.precision > maxWidth {
		return i, &Error{Text: "a format is wider than 1000", cause: ErrLimit}
	}
	return i, nil
}

func (f spec) cutText(s string) string {
	if f.precision >= 0 {
		if n := runes(s); n > f.precision {
			return cut(s, n, 0, f.precision)
		}
	}
	return s
}

// pad appends s in the width of f.
func (f spec) pad(b []byte, s string) []byte {
	n := f.width - runes(s)
	if n <= 0 {
		return append(b, s...)
	}
	left := 0
	switch f.align {
	case '>':
		left = n
	case '^':
		left = n / 2
	}
	fill := string(f.fill)
	b = append(b, strings.Repeat(fill, left)...)
	b = append(b, s...)
	return append(b, strings.Repeat(fill, n-left)...)
}

// number appends a number as its verb says: d x X o b n for integers, f e g % for all.
func (f spec) number(b []byte, v Value) ([]byte, error) {
	var digits, prefix string
	negative := false
	switch f.verb {
	case 'd', 'x', 'X', 'o', 'b':
		negative = v.num < 0
		base := map[byte]int{'d': 10, 'x': 16, 'X': 16, 'o': 8, 'b': 2}[f.verb]
		digits = strconv.FormatUint(magnitude(v.num), base)
		if f.alternate && f.verb != 'd' {
			prefix = "0" + string(f.verb)
		}
		if f.verb == 'X' {
			digits = strings.ToUpper(digits)
		}
	default:
		x := v.real()
		negative = math.Signbit(x) && !math.IsNaN(x)
		digits = f.float(math.Abs(x))
	}
	if f.group != 0 {
		digits = grouped(digits, f.group)
	}
	mark := prefix
	switch {
	case negative:
		mark = "-" + prefix
	case f.sign != 0:
		mark = string(f.sign) + prefix
	}
	if n := f.width - len(mark) - len(digits); f.align == '=' && n > 0 {
		return append(append(append(b, mark...), strings.Repeat(string(f.fill), n)...), digits...), nil
	}
	return f.pad(b, mark+digits), nil
}

// float is a number that is not negative.
func (f spec) float(x float64) string {
	if math.IsInf(x, 0) {
		return "inf"
	}
	if math.IsNaN(x) {
		return "nan"
	}
	precision := f.precision
	if precision < 0 {
		precision = 6
	}
	switch f.verb {
	case 0: // as str, but with the precision that is asked for
		if f.precision < 0 {
			return string(appendFloat(nil, x))
		}
		s := strconv.FormatFloat(x, 'g', max(precision, 1), 64)
		if exponent := strings.IndexByte(s, 'e'); exponent < 0 && strings.IndexByte(s, '.') < 0 {
			s += ".0"
		}
		return s
	case '%':
		return strconv.FormatFloat(x*100, 'f', precision, 64) + "%"
	case 'g', 'G', 'n':
		s := strconv.FormatFloat(x, 'g', max(precision, 1), 64)
		if f.verb == 'G' {
			s = strings.ToUpper(s)
		}
		return s
	case 'e':
		return strconv.FormatFloat(x, 'e', precision, 64)
	case 'E':
		return strconv.FormatFloat(x, 'E', precision, 64)
	}
	return strconv.FormatFloat(x, 'f', precision, 64)
}

// grouped puts a mark between thousands.
func grouped(digits string, mark byte) string {
	end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(digits)
	}
	var b []byte
	for i := range end {
		if i > 0 && (end-i)%3 == 0 {
			b = append(b, mark)
		}
		b = append(b, digits[i])
	}
	return string(b) + digits[end:]
}

// formatMethod is str.format.
func formatMethod(m *machine, c *call, a []Value) (Value, error) {
	plain, named := c.named(a)
	s, plain := plain[0].str, plain[1:]
	if err := m.look(len(s)); err != nil {
		return Value{}, err
	}
	var b []byte
	next := 0
	for i := 0; i < len(s); i++ {
		if s[i] != '{' && s[i] != '}' {
			b = append(b, s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == s[i] {
			b = append(b, s[i])
			i++
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if s[i] == '}' || end < 0 {
			return Value{}, failf("a format has a brace without its other")
		}
		field := s[i+1 : i+end]
		i += end
		what, how, _ := strings.Cut(field, ":")
		what, conversion, _ := strings.Cut(what, "!")
		if what == "" {
			what = strconv.Itoa(next)
			next++
		}
		var v Value
		if at, ok := parseInt(what, 10); ok {
			if at < 0 || at >= int64(len(plain)) {
				return Value{}, failf("the format has more values than the %d that are given", len(plain))
			}
			v = plain[at]
		} else {
			v.kind = absent
			for i, n := range c.names {
				if n == what {
					v = named[i]
				}
			}
			if v.kind == absent {
				return Value{}, failf("the format has {%s}, and no such value is given: attributes are not understood there", clip(what))
			}
		}
		var err error
		if conversion == "r" {
			var raw []byte
			if raw, err = m.appendRepr(nil, v, 0); err == nil {
				v = String(string(raw))
			}
		} else if conversion != "" {
			v2, strErr := m.str(v)
			v, err = String(v2), strErr
		}
		if err == nil {
			b, err = m.formatValue(b, how, v)
		}
		if err != nil {
			return Value{}, err
		}
	}
	return String(string(b)), m.alloc(len(b))
}

// formatValue appends v as a specification says.
func (m *machine) formatValue(b []byte, how string, v Value) ([]byte, error) {
	if how == "" {
		return m.appendStr(b, v)
	}
	if v.kind == moment {
		if err := m.alloc(8 * len(how)); err != nil {
			return b, err
		}
		return appendTime(b, v, how)
	}
	f, err := parseSpec(how)
	if err == nil {
		err = m.step(1 + f.width/32)
	}
	if err != nil {
		return b, err
	}
	whole := f.verb == 'd' || f.verb == 'x' || f.verb == 'X' || f.verb == 'o' || f.verb == 'b'
	switch {
	case v.kind == text:
		if f.verb != 0 && f.verb != 's' || f.align == '=' || f.sign != 0 || f.group != 0 {
			return b, failf("the format %q is not for a text", clip(how))
		}
		return f.pad(b, f.cutText(v.str)), m.look(len(v.str))
	case v.isUndefined():
		return b, undefinedError(v)
	case !v.numeric() || f.verb == 's' || whole && v.kind == float:
		return b, failf("the format %q is not for %s", clip(how), describe(v))
	case whole && f.precision >= 0:
		return b, failf("the format %q has a precision for an integer", clip(how))
	}
	if f.align == 0 {
		f.align = '>'
	}
	if v.kind != float && (f.verb == 0 || f.verb == 'n') {
		if f.precision >= 0 {
			return b, failf("the format %q has a precision for an integer", clip(how))
		}
		f.verb = 'd'
	}
	return f.number(b, v)
}

// parseSpec reads [[fill]align][sign][#][0][width][,][.precision][verb].
func parseSpec(s string) (spec, error) {
	f := spec{fill: ' ', precision: -1}
	i := 0
	if fill, size := utf8.DecodeRuneInString(s); size < len(s) && strings.IndexByte("<>=^", s[size]) >= 0 {
		f.fill, f.align = fill, s[size]
		i = size + 1
	}
	if f.align == 0 && s != "" && strings.IndexByte("<>=^", s[0]) >= 0 {
		f.align = s[0]
		i = 1
	}
	if i < len(s) && strings.IndexByte("+- ", s[i]) >= 0 {
		if s[i] != '-' {
			f.sign = s[i]
		}
		i++
	}
	if i < len(s) && s[i] == '#' {
		f.alternate = true
		i++
	}
	if i < len(s) && s[i] == '0' {
		if f.align == 0 {
			f.fill, f.align = '0', '='
		}
		i++
	}
	i, err := f.sizes(s, i)
	if err != nil {
		return f, err
	}
	if i < len(s) {
		f.verb = s[i]
		i++
	}
	if i < len(s) || f.verb != 0 && strings.IndexByte("sdxXobnfFeEgG%", f.verb) < 0 {
		return f, failf("the format %q is not understood", clip(s))
	}
	return f, nil
}
