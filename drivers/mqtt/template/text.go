package template

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// str is v as a text, as Python's str makes it. What is a text already is not made again.
func (m *machine) str(v Value) (string, error) {
	switch v.kind {
	case text:
		return v.str, m.look(len(v.str))
	case absent, undefined:
		return "", nil
	}
	var short [64]byte
	b, err := m.appendStr(short[:0], v)
	if err != nil {
		return "", err
	}
	return string(b), m.alloc(len(b))
}

func (m *machine) appendStr(b []byte, v Value) ([]byte, error) {
	switch v.kind {
	case absent, undefined:
		return b, nil
	case text:
		if len(b)+len(v.str) > maxOutput+maxBytes {
			return b, m.alloc(math.MaxInt)
		}
		return append(b, v.str...), m.look(len(v.str))
	}
	return m.appendRepr(b, v, 0)
}

// appendRepr is Python's repr, at a depth within other values.
func (m *machine) appendRepr(b []byte, v Value, depth int) ([]byte, error) {
	if depth > maxDepth {
		return b, tooDeep()
	}
	if len(b) > maxOutput+maxBytes {
		return b, m.alloc(math.MaxInt)
	}
	if err := m.step(1); err != nil {
		return b, err
	}
	switch v.kind {
	case absent, undefined:
		return append(b, "Undefined"...), nil
	case none:
		return append(b, "None"...), nil
	case boolean:
		if v.num != 0 {
			return append(b, "True"...), nil
		}
		return append(b, "False"...), nil
	case integer:
		return strconv.AppendInt(b, v.num, 10), nil
	case float:
		return appendFloat(b, v.float()), nil
	case text:
		return appendQuoted(b, v.str), m.look(len(v.str))
	case list:
		return m.appendItems(b, '[', v.obj.items, ']', depth)
	case tuple:
		return m.appendItems(b, '(', v.obj.items, ')', depth)
	case dict:
		return m.appendItems(b, '{', v.obj.items, '}', depth)
	case moment:
		if depth > 0 {
			return append(b, "datetime.datetime(…)"...), nil
		}
		return appendMoment(b, v, ' '), nil
	case span:
		if depth > 0 {
			return append(b, "datetime.timedelta(…)"...), nil
		}
		return appendSpan(b, v.num), nil
	case space:
		return append(b, "<Namespace>"...), nil
	}
	return append(b, "<LoopContext>"...), nil
}

func (m *machine) appendItems(b []byte, open byte, items []Value, end byte, depth int) ([]byte, error) {
	b = append(b, open)
	for i, v := range items {
		switch {
		case i == 0:
		case open == '{' && i%2 == 1:
			b = append(b, ": "...)
		default:
			b = append(b, ", "...)
		}
		var err error
		if b, err = m.appendRepr(b, v, depth+1); err != nil {
			return b, err
		}
	}
	if open == '(' && len(items) == 1 {
		b = append(b, ',')
	}
	return append(b, end), nil
}

func tooDeep() error {
	return &Error{Text: "values are nested too deep: over 64 levels", cause: ErrLimit}
}

// appendFloat is a float as Python prints it.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "nan"...)
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	for _, c := range b[start:] {
		if c == '.' {
			return b
		}
	}
	return append(b, ".0"...)
}

// appendQuoted is a text in a list, as Python quotes it.
func appendQuoted(b []byte, s string) []byte {
	quote := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		quote = '"'
	}
	b = append(b, quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case unicode.IsPrint(r):
			b = utf8.AppendRune(b, r)
		case r < 0x100:
			b = appendHex(append(b, `\x`...), r, 2)
		case r < 0x10000:
			b = appendHex(append(b, `\u`...), r, 4)
		default:
			b = appendHex(append(b, `\U`...), r, 8)
		}
	}
	return append(b, quote)
}

func appendHex(b []byte, r rune, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[r>>shift&15])
	}
	return b
}

// parseFloat is Python's float of a text.
func parseFloat(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "_xXpP") {
		var ok bool
		if s, ok = plainDigits(s); !ok {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// plainDigits takes the underscores out of a number, which may stand between digits only. It reports false for other
// numbers that Go would read and Python does not.
func plainDigits(s string) (string, bool) {
	digit := func(i int) bool {
		return i >= 0 && i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'f' || s[i] >= 'A' && s[i] <= 'F')
	}
	for i := range len(s) {
		switch {
		case strings.IndexByte("xXpP", s[i]) >= 0:
			return "", false
		case s[i] == '_' && !(digit(i-1) && digit(i+1)):
			return "", false
		}
	}
	return strings.ReplaceAll(s, "_", ""), true
}

// parseInt is Python's int of a text in a base from 2 to 36, or 0 for one that the text names as 0x1f does.
func parseInt(s string, base int) (int64, bool) {
	s = strings.TrimSpace(s)
	negative := strings.HasPrefix(s, "-")
	digits := s
	if negative || strings.HasPrefix(s, "+") {
		digits = s[1:]
	}
	if len(digits) > 2 && digits[0] == '0' {
		named := 0
		switch digits[1] | 0x20 {
		case 'x':
			named = 16
		case 'o':
			named = 8
		case 'b':
			named = 2
		}
		if named != 0 && (base == named || base == 0) {
			digits, base = strings.TrimPrefix(digits[2:], "_"), named
		}
	}
	if base == 0 {
		base = 10
	}
	if strings.IndexByte(digits, '_') >= 0 {
		for i := range len(digits) {
			if digits[i] == '_' && (i == 0 || i == len(digits)-1 || digits[i-1] == '_') {
				return 0, false
			}
		}
		digits = strings.ReplaceAll(digits, "_", "")
	}
	if digits == "" || digits[0] == '+' || digits[0] == '-' {
		return 0, false
	}
	if negative {
		digits = "-" + digits
	}
	i, err := strconv.ParseInt(digits, base, 64)
	return i, err == nil
}

// runes is the length of a text in characters.
func runes(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return utf8.RuneCountInString(s)
		}
	}
	return len(s)
}
