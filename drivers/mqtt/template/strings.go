package template

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// textFilter is a filter that makes a text of a text of about the same length.
func textFilter(f func(string) string) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		s, err := m.str(a[0])
		if err == nil {
			err = m.alloc(len(s))
		}
		if err != nil {
			return Value{}, err
		}
		return String(f(s)), nil
	}
}

func lower(s string) string { return strings.ToLower(s) }

// upper makes two letters of ß, which Go leaves.
func upper(s string) string { return strings.ReplaceAll(strings.ToUpper(s), "ß", "SS") }

func capitalize(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToTitle(r)) + strings.ToLower(s[size:])
}

// title is Jinja's filter: words begin behind white space and some marks.
func title(s string) string {
	return titled(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("-({[<", r) })
}

// titleMethod is Python's str.title: words begin behind all that is no letter.
func titleMethod(s string) string {
	return titled(s, func(r rune) bool { return !unicode.IsLetter(r) })
}

func titled(s string, between func(rune) bool) string {
	start := true
	return strings.Map(func(r rune) rune {
		was := start
		start = between(r)
		if was {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}

// trim cuts white space, or the characters of a second argument, off the ends that sides names: l, r or both.
func trim(sides string) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		s, err := m.str(a[0])
		if err != nil {
			return Value{}, err
		}
		cut := unicode.IsSpace
		if a[1].kind == text {
			if err := m.look(len(s) * min(len(a[1].str), 1<<10)); err != nil {
				return Value{}, err
			}
			cut = func(r rune) bool { return strings.ContainsRune(a[1].str, r) }
		}
		if strings.Contains(sides, "l") {
			s = strings.TrimLeftFunc(s, cut)
		}
		if strings.Contains(sides, "r") {
			s = strings.TrimRightFunc(s, cut)
		}
		return String(s), nil
	}
}

// textArg is an argument that has to be a text.
func textArg(v Value, what string) (string, error) {
	switch v.kind {
	case text:
		return v.str, nil
	case absent, undefined:
		return "", undefinedError(v)
	}
	return "", failf("%s is a text, not %s", what, describe(v))
}

func replace(m *machine, c *call, a []Value) (Value, error) {
	s, err := m.str(a[0])
	if err != nil {
		return Value{}, err
	}
	var parts [2]string
	for i := range parts {
		if c.name == "replace" && a[i+1].kind != text {
			// As Jinja's filter, which takes anything that can be printed.
			parts[i], err = m.str(a[i+1])
		} else {
			parts[i] = a[i+1].str
		}
		if err != nil {
			return Value{}, err
		}
	}
	most, err := intArg(a[3], -1, -1, maxBytes)
	if err != nil {
		return Value{}, err
	}
	n := strings.Count(s, parts[0])
	if most >= 0 {
		n = min(n, most)
	}
	if err := m.look(len(s)); err != nil {
		return Value{}, err
	}
	if len(parts[1]) > 0 && n > maxBytes/len(parts[1]) {
		n = maxBytes
	} else {
		n *= len(parts[1])
	}
	if err := m.alloc(len(s) + n); err != nil {
		return Value{}, err
	}
	return String(strings.Replace(s, parts[0], parts[1], most)), nil
}

// shorten is Jinja's filter truncate.
func shorten(m *machine, c *call, a []Value) (Value, error) {
	s, err := m.str(a[0])
	if err != nil {
		return Value{}, err
	}
	length, err := intArg(a[1], 255, 0, maxBytes)
	if err != nil {
		return Value{}, err
	}
	leeway, err := intArg(a[4], 5, 0, maxBytes)
	if err != nil {
		return Value{}, err
	}
	end := "..."
	if a[3].kind == text {
		end = a[3].str
	}
	n := runes(s)
	if n <= length+leeway {
		return String(s), nil
	}
	keep := length - runes(end)
	if keep < 0 {
		return Value{}, failf("truncate needs a length of %d at least", runes(end))
	}
	if err := m.alloc(len(s) + len(end)); err != nil {
		return Value{}, err
	}
	s = cut(s, n, 0, keep)
	if !a[2].truth() {
		if i := strings.LastIndexByte(s, ' '); i >= 0 {
			s = s[:i]
		}
	}
	return String(s + end), nil
}

// slugify makes a text an id: letters and digits in lower case with a separator between.
func slugify(m *machine, c *call, a []Value) (Value, error) {
	s, err := m.str(a[0])
	if err != nil {
		return Value{}, err
	}
	separator := "_"
	if a[1].kind == text {
		separator = a[1].str
	}
	if err := m.alloc(len(s) * (1 + min(len(separator), 1<<10))); err != nil {
		return Value{}, err
	}
	var b strings.Builder
	gap := false
	for _, r := range s {
		r = unicode.ToLower(r)
		plain, ok := letters[r]
		switch {
		case r < utf8.RuneSelf && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9'):
			plain = string(r)
		case !ok:
			gap = b.Len() > 0 && r != '\'' || gap
			continue
		}
		if gap {
			b.WriteString(separator)
			gap = false
		}
		b.WriteString(plain)
	}
	if b.Len() == 0 && s != "" {
		return String("unknown"), nil
	}
	return String(b.String()), nil
}

// letters are some that are written with marks, or are others, without them.
var letters = map[rune]string{'ä': "a", 'ö': "o", 'ü': "u", 'ß': "ss", 'à': "a", 'á': "a", 'â': "a", 'ã': "a", 'å': "a", 'æ': "ae",
	'ç': "c", 'č': "c", 'ć': "c", 'ď': "d", 'đ': "d", 'è': "e", 'é': "e", 'ê': "e", 'ë': "e", 'ě': "e", 'ę': "e", 'ğ': "g", 'ì': "i",
	'í': "i", 'î': "i", 'ï': "i", 'ı': "i", 'ł': "l", 'ñ': "n", 'ň': "n", 'ń': "n", 'ò': "o", 'ó': "o", 'ô': "o", 'õ': "o", 'ø': "o",
	'ő': "o", 'œ': "oe", 'ř': "r", 'š': "s", 'ś': "s", 'ş': "s", 'ť': "t", 'ù': "u", 'ú': "u", 'û': "u", 'ů': "u", 'ű': "u", 'ý': "y",
	'ÿ': "y", 'ž': "z", 'ź': "z", 'ż': "z", 'ą': "a", 'ă': "a"}

func ordinal(m *machine, c *call, a []Value) (Value, error) {
	s, err := textArg(a[0], "what ord is applied to")
	if err != nil {
		return Value{}, err
	}
	if r, size := utf8.DecodeRuneInString(s); size == len(s) && size > 0 {
		return Int(int64(r)), nil
	}
	return Value{}, failf("ord needs one character, not %s", describe(a[0]))
}

func decodeBase64(m *machine, c *call, a []Value) (Value, error) {
	s, err := textArg(a[0], "what is decoded")
	if err == nil {
		err = m.alloc(len(s))
	}
	if err != nil {
		return Value{}, err
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || !utf8.Valid(b) {
		return Value{}, failf("%s is no text in base64", describe(a[0]))
	}
	return String(string(b)), nil
}

func encodeBase64(m *machine, c *call, a []Value) (Value, error) {
	s, err := textArg(a[0], "what is encoded")
	if err == nil {
		err = m.alloc(2 * len(s))
	}
	if err != nil {
		return Value{}, err
	}
	return String(base64.StdEncoding.EncodeToString([]byte(s))), nil
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", ">", "&gt;", "<", "&lt;", "'", "&#39;", `"`, "&#34;").Replace(s)
}

// split is str.split.
func split(m *machine, c *call, a []Value) (Value, error) {
	s := a[0].str
	most, err := intArg(a[2], -1, -1, maxBytes)
	if err != nil {
		return Value{}, err
	}
	if a[1].kind == absent || a[1].kind == none {
		n := 0
		for i := range len(s) {
			if s[i] <= ' ' || s[i] >= utf8.RuneSelf {
				n++
			}
		}
		if err := m.allocList(n + len(s)/64); err != nil {
			return Value{}, err
		}
		return texts(fields(s, most)), nil
	}
	sep, err := textArg(a[1], "what is split at")
	if err != nil {
		return Value{}, err
	}
	if sep == "" {
		return Value{}, failf("what is split at is empty")
	}
	n := strings.Count(s, sep)
	if err := m.allocList(n + len(s)/64); err != nil {
		return Value{}, err
	}
	if most >= 0 {
		return texts(strings.SplitN(s, sep, most+1)), nil
	}
	return texts(strings.Split(s, sep)), nil
}

// fields splits at white space, at most times; -1 is everywhere.
func fields(s string, most int) []string {
	var out []string
	for s = strings.TrimLeftFunc(s, unicode.IsSpace); s != ""; s = strings.TrimLeftFunc(s, unicode.IsSpace) {
		end := strings.IndexFunc(s, unicode.IsSpace)
		if end < 0 || most == len(out) {
			return append(out, strings.TrimRightFunc(s, unicode.IsSpace))
		}
		out = append(out, s[:end])
		s = s[end:]
	}
	return out
}

// rsplit is str.rsplit with a separator.
func rsplit(m *machine, c *call, a []Value) (Value, error) {
	most, err := intArg(a[2], -1, -1, maxBytes)
	if err != nil {
		return Value{}, err
	}
	if a[1].kind != text || most < 0 {
		return split(m, c, a)
	}
	s, sep := a[0].str, a[1].str
	if sep == "" {
		return Value{}, failf("what is split at is empty")
	}
	if err := m.allocList(strings.Count(s, sep) + len(s)/64); err != nil {
		return Value{}, err
	}
	parts := strings.Split(s, sep)
	if n := len(parts) - most; n > 1 {
		parts = append([]string{strings.Join(parts[:n], sep)}, parts[n:]...)
	}
	return texts(parts), nil
}

func texts(parts []string) Value {
	items := make([]Value, len(parts))
	for i, p := range parts {
		items[i] = String(p)
	}
	return List(items...)
}

// affix is str.startswith or str.endswith, with one text or a tuple of them.
func affix(has func(s, affix string) bool) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		options := a[1:2]
		if a[1].kind == tuple {
			options = a[1].obj.items
		}
		for _, o := range options {
			s, err := textArg(o, "what "+c.name+" looks for")
			if err == nil {
				err = m.look(len(s))
			}
			if err != nil {
				return Value{}, err
			}
			if has(a[0].str, s) {
				return Bool(true), nil
			}
		}
		return Bool(false), nil
	}
}

// find is str.find; index and rindex fail where find is -1.
func find(last, fails bool) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		sub, err := textArg(a[1], "what "+c.name+" looks for")
		if err == nil {
			err = m.look(len(a[0].str))
		}
		if err != nil {
			return Value{}, err
		}
		i := strings.Index(a[0].str, sub)
		if last {
			i = strings.LastIndex(a[0].str, sub)
		}
		if i < 0 && fails {
			return Value{}, failf("%q is not in %s", clip(sub), describe(a[0]))
		}
		if i > 0 {
			i = runes(a[0].str[:i])
		}
		return Int(int64(i)), nil
	}
}

// every is a method like isdigit.
func every(is func(rune) bool) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		if err := m.look(len(a[0].str)); err != nil {
			return Value{}, err
		}
		return Bool(a[0].str != "" && strings.IndexFunc(a[0].str, func(r rune) bool { return !is(r) }) < 0), nil
	}
}

// cased is islower or isupper: some letters, and all of them of the one case.
func cased(yes, no func(rune) bool) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		s, err := m.str(a[0])
		if err != nil {
			return Value{}, err
		}
		return Bool(strings.IndexFunc(s, yes) >= 0 && strings.IndexFunc(s, no) < 0), nil
	}
}
