package template

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// Bounds of a regular expression: its length, and the instructions that it becomes, roughly. Those that a template keeps
// compiled have no more together.
const (
	maxRegex     = 256
	maxRegexSize = 1000
)

// compileRegex compiles the expression of a regex filter or test at once if it is written out, as it nearly always is.
func (p *parser) compileRegex(c *call) error {
	switch c.name {
	case "match", "search":
	default:
		if !strings.HasPrefix(c.name, "regex_") {
			return nil
		}
	}
	flag := c.args[len(c.args)-1]
	pattern, ok := constantArg(c.args[1])
	ignoreCase, flagOK := constantArg(flag)
	if !ok || !flagOK || pattern.kind != text {
		return nil
	}
	re, size, err := compileRegex(pattern.str, ignoreCase.truth())
	if p.regexes += size; err == nil && p.regexes > maxRegexSize {
		err = &Error{Text: "the regular expressions are too many or repeat too much", cause: ErrLimit}
	}
	c.regex = re
	return at(c.pos, err)
}

func constantArg(x expr) (Value, bool) {
	if x == nil {
		return Value{}, true
	}
	c, ok := x.(constant)
	return c.v, ok
}

// compileRegex also says about how many instructions the expression has.
func compileRegex(pattern string, ignoreCase bool) (*regexp.Regexp, int, error) {
	if len(pattern) > maxRegex {
		return nil, 0, &Error{Text: "the regular expression is longer than 256 bytes", cause: ErrLimit}
	}
	// What Python writes otherwise.
	pattern = strings.ReplaceAll(pattern, `\Z`, `\z`)
	flags := syntax.Perl
	if ignoreCase {
		flags |= syntax.FoldCase
	}
	parsed, err := syntax.Parse(pattern, flags)
	if err != nil {
		for _, around := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
			if strings.Contains(pattern, around) {
				return nil, 0, failf("the regular expression looks around with %s, which is not understood", around)
			}
		}
		return nil, 0, failf("the regular expression %q is not understood: %s", clip(pattern), reason(err))
	}
	size := regexSize(parsed)
	if size > maxRegexSize {
		return nil, 0, &Error{Text: "the regular expression repeats too much", cause: ErrLimit}
	}
	if ignoreCase {
		pattern = "(?i)" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, 0, failf("the regular expression %q is not understood: %s", clip(pattern), reason(err))
	}
	return re, size, nil
}

// reason is what package regexp says without its preface.
func reason(err error) string { return clip(strings.TrimPrefix(err.Error(), "error parsing regexp: ")) }

// regexSize is about how many instructions an expression becomes.
func regexSize(re *syntax.Regexp) int {
	n := 1
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n = min(n+regexSize(sub), 1<<20)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return min(n, 1<<20)
}

// expression is the regular expression of a call, and the text it is for.
func (m *machine) expression(c *call, v, pattern, ignoreCase Value) (*regexp.Regexp, string, error) {
	s, err := m.str(v)
	if err != nil {
		return nil, "", err
	}
	re := c.regex
	if re == nil {
		p := ""
		if pattern.kind != absent {
			if p, err = textArg(pattern, "a regular expression"); err != nil {
				return nil, "", err
			}
		}
		// It is compiled each time.
		if err := m.step(1000); err != nil {
			return nil, "", err
		}
		if re, _, err = compileRegex(p, ignoreCase.truth()); err != nil {
			return nil, "", err
		}
	}
	return re, s, m.step(1 + len(s)/2)
}

func regexMatch(m *machine, c *call, a []Value) (Value, error) {
	re, s, err := m.expression(c, a[0], a[1], a[2])
	if err != nil {
		return Value{}, err
	}
	// Leftmost, so one that begins at the start is found first.
	at := re.FindStringIndex(s)
	return Bool(at != nil && at[0] == 0), nil
}

func regexSearch(m *machine, c *call, a []Value) (Value, error) {
	re, s, err := m.expression(c, a[0], a[1], a[2])
	if err != nil {
		return Value{}, err
	}
	return Bool(re.MatchString(s)), nil
}

// regexFindall are all matches: each is a text, that of the group if there is one, a tuple of several groups.
func regexFindall(m *machine, c *call, a []Value) (Value, error) {
	re, s, err := m.expression(c, a[0], a[1], a[2])
	if err != nil {
		return Value{}, err
	}
	groups := re.NumSubexp()
	var out []Value
	most := m.bytes/(sizeOfValue*(groups+1)) + 1 // with more the bound is passed
	for _, found := range re.FindAllStringSubmatchIndex(s, most) {
		if err := m.allocList(1 + groups); err != nil {
			return Value{}, err
		}
		group := func(i int) Value {
			if found[2*i] < 0 {
				return String("")
			}
			return String(s[found[2*i]:found[2*i+1]])
		}
		switch groups {
		case 0, 1:
			out = append(out, group(groups))
		default:
			items := make([]Value, groups)
			for i := range items {
				items[i] = group(i + 1)
			}
			out = append(out, newTuple(items...))
		}
	}
	return List(out...), nil
}

func regexFindallIndex(m *machine, c *call, a []Value) (Value, error) {
	all, err := regexFindall(m, c, []Value{a[0], a[1], a[3]})
	if err != nil {
		return Value{}, err
	}
	i, err := intArg(a[2], 0, -1<<30, 1<<30)
	if err != nil {
		return Value{}, err
	}
	if i = place(int64(i), len(all.obj.items)); i < 0 {
		return Value{}, failf("%s has %d matches, and the one asked for is none of them", describe(a[0]), len(all.obj.items))
	}
	return all.obj.items[i], nil
}

func regexReplace(m *machine, c *call, a []Value) (Value, error) {
	re, s, err := m.expression(c, a[0], a[1], a[3])
	if err != nil {
		return Value{}, err
	}
	with := ""
	if a[2].kind != absent {
		if with, err = textArg(a[2], "what is put in its place"); err != nil {
			return Value{}, err
		}
	}
	if err := m.alloc(len(s)); err != nil {
		return Value{}, err
	}
	var b []byte
	end := 0
	for _, found := range re.FindAllStringSubmatchIndex(s, m.bytes/sizeOfValue+1) {
		if err := m.alloc(sizeOfValue); err != nil {
			return Value{}, err
		}
		was := len(b)
		b = append(b, s[end:found[0]]...)
		if b, err = expand(b, re, with, s, found); err != nil {
			return Value{}, err
		}
		if err := m.alloc(len(b) - was); err != nil {
			return Value{}, err
		}
		end = found[1]
	}
	return String(string(append(b, s[end:]...))), nil
}

// expand appends what replaces a match: \1 and \g<name> stand for groups.
func expand(b []byte, re *regexp.Regexp, with, s string, found []int) ([]byte, error) {
	for i := 0; i < len(with); i++ {
		if with[i] != '\\' || i+1 == len(with) {
			b = append(b, with[i])
			continue
		}
		i++
		group := -1
		switch c := with[i]; {
		case isDigit(c):
			group = int(c - '0')
			if i+1 < len(with) && isDigit(with[i+1]) && c != '0' {
				i++
				group = 10*group + int(with[i]-'0')
			}
		case c == 'g' && strings.HasPrefix(with[i+1:], "<") && strings.Contains(with[i:], ">"):
			name := with[i+2 : i+strings.IndexByte(with[i:], '>')]
			i += len(name) + 2
			if n, ok := parseInt(name, 10); ok && n >= 0 && n < 100 {
				group = int(n)
			} else {
				group = re.SubexpIndex(name)
			}
		case c == 'n':
			b = append(b, '\n')
			continue
		case c == 't':
			b = append(b, '\t')
			continue
		case c == '\\':
			b = append(b, '\\')
			continue
		default:
			b = append(b, '\\', c)
			continue
		}
		if group < 0 || group > re.NumSubexp() {
			return nil, failf("what replaces a match names a group that the regular expression does not have")
		}
		if found[2*group] >= 0 {
			b = append(b, s[found[2*group]:found[2*group+1]]...)
		}
	}
	return b, nil
}
