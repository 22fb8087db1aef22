package template

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	endToken      tokenKind = iota // end of the template
	dataToken                      // text between tags
	openToken                      // {{
	closeToken                     // }}
	openTagToken                   // {%
	closeTagToken                  // %}
	nameToken                      // a word
	literalToken                   // a number or a text
	operatorToken                  // anything else
)

type token struct {
	kind tokenKind
	at   int    // where it begins
	end  int    // where it ends
	text string // of data, a name or an operator
	lit  Value
}

// is reports whether t is an operator or a name.
func (t token) is(word string) bool {
	return (t.kind == operatorToken || t.kind == nameToken) && t.text == word
}

// String names a token in errors.
func (t token) String() string {
	switch t.kind {
	case endToken:
		return "the end of the template"
	case dataToken:
		return "text"
	case openToken:
		return "{{"
	case closeToken:
		return "}}"
	case openTagToken:
		return "{%"
	case closeTagToken:
		return "%}"
	case literalToken:
		if t.lit.kind == text {
			return strconv.Quote(clip(t.lit.str))
		}
		return "a number"
	}
	return strconv.Quote(clip(t.text))
}

type lexer struct {
	src    string
	pos    int
	tokens []token
	trim   bool   // what follows begins behind white space
	braces []byte // those not closed yet
}

func lex(src string) ([]token, error) {
	l := &lexer{src: src}
	for l.pos < len(l.src) {
		if err := l.outside(); err != nil {
			return nil, err
		}
	}
	l.add(token{kind: endToken, at: len(src), end: len(src)})
	return l.tokens, nil
}

func (l *lexer) add(t token) { l.tokens = append(l.tokens, t) }

// data adds the text from the present position to end, less what white space control takes.
func (l *lexer) data(end int, trimEnd bool) {
	s, at := l.src[l.pos:end], l.pos
	if l.trim {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	}
	if trimEnd {
		s = strings.TrimRightFunc(s, unicode.IsSpace)
	}
	if s != "" {
		l.add(token{kind: dataToken, at: at, end: end, text: normalNewlines(s)})
	}
	l.trim, l.pos = false, end
}

func normalNewlines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// outside reads text up to the next tag, and the tag.
func (l *lexer) outside() error {
	at := l.pos
	for ; ; at++ {
		i := strings.IndexByte(l.src[at:], '{')
		if i < 0 || at+i+1 >= len(l.src) {
			l.data(len(l.src), false)
			return nil
		}
		if at += i; strings.IndexByte("{%#", l.src[at+1]) >= 0 {
			break
		}
	}
	sign := byte(0)
	if at+2 < len(l.src) && (l.src[at+2] == '-' || l.src[at+2] == '+') {
		sign = l.src[at+2]
	}
	l.data(at, sign == '-')
	l.pos = at + 2
	if sign != 0 {
		l.pos++
	}
	switch l.src[at+1] {
	case '#':
		return l.comment(at)
	case '%':
		if rest, ok := l.rawTag(l.pos, "raw"); ok {
			return l.raw(at, rest)
		}
		l.add(token{kind: openTagToken, at: at, end: l.pos})
		return l.inside(at, "%}", closeTagToken)
	}
	l.add(token{kind: openToken, at: at, end: l.pos})
	return l.inside(at, "}}", closeToken)
}

func (l *lexer) comment(at int) error {
	i := strings.Index(l.src[l.pos:], "#}")
	if i < 0 {
		return failAt(at, "a comment is not closed with #}")
	}
	l.trim = i > 0 && l.src[l.pos+i-1] == '-'
	l.pos += i + 2
	return nil
}

// rawTag reads what is left of a tag of one word behind {%, and reports where it ends.
func (l *lexer) rawTag(pos int, word string) (int, bool) {
	s := strings.TrimLeftFunc(l.src[pos:], unicode.IsSpace)
	s, ok := strings.CutPrefix(s, word)
	if !ok {
		return 0, false
	}
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	l.trim = strings.HasPrefix(s, "-")
	s = strings.TrimLeft(s, "-+")
	if s, ok = strings.CutPrefix(s, "%}"); !ok {
		l.trim = false
		return 0, false
	}
	return len(l.src) - len(s), true
}

// raw reads text up to {% endraw %}.
func (l *lexer) raw(at, start int) error {
	trim := l.trim
	for pos := start; ; pos += 2 {
		i := strings.Index(l.src[pos:], "{%")
		if i < 0 {
			return failAt(at, "{%% raw %%} is not closed with {%% endraw %%}")
		}
		pos += i
		word := pos + 2
		cut := strings.HasPrefix(l.src[word:], "-")
		if cut || strings.HasPrefix(l.src[word:], "+") {
			word++
		}
		end, ok := l.rawTag(word, "endraw")
		if !ok {
			continue
		}
		after := l.trim
		l.pos, l.trim = start, trim
		l.data(pos, cut)
		l.pos, l.trim = end, after
		return nil
	}
}

const operators = "** // == != >= <= + - * / % ~ [ ] ( ) { } > < = . : | , ;"

var operatorList = strings.Fields(operators)

// inside reads the tokens of a tag up to its end.
func (l *lexer) inside(at int, end string, kind tokenKind) error {
	l.braces = l.braces[:0]
	for {
		rest := strings.TrimLeftFunc(l.src[l.pos:], unicode.IsSpace)
		l.pos = len(l.src) - len(rest)
		if rest == "" {
			return failAt(at, "a tag is not closed with %s", end)
		}
		if len(l.braces) == 0 {
			if s, ok := strings.CutPrefix(rest, "-"+end); ok || strings.HasPrefix(rest, end) || kind == closeTagToken && strings.HasPrefix(rest, "+"+end) {
				if !ok {
					s = rest[strings.Index(rest, end)+len(end):]
				}
				l.trim = ok
				l.add(token{kind: kind, at: l.pos, end: len(l.src) - len(s)})
				l.pos = len(l.src) - len(s)
				return nil
			}
		}
		if err := l.token(rest); err != nil {
			return err
		}
	}
}

func isNameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= utf8.RuneSelf
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (l *lexer) token(rest string) error {
	at := l.pos
	switch c := rest[0]; {
	case isDigit(c):
		return l.number(rest)
	case isNameByte(c):
		n := 1
		for n < len(rest) && isNameByte(rest[n]) {
			n++
		}
		for _, r := range rest[:n] {
			if r >= utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				return failAt(at, "the character %q cannot stand here", r)
			}
		}
		l.pos += n
		l.add(token{kind: nameToken, at: at, end: l.pos, text: rest[:n]})
		return nil
	case c == '\'' || c == '"':
		return l.quoted(rest)
	}
	for _, op := range operatorList {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		if i := strings.Index("([{", op); i >= 0 {
			l.braces = append(l.braces, ")]}"[i])
		} else if strings.Contains(")]}", op) {
			if n := len(l.braces); n == 0 || l.braces[n-1] != op[0] {
				return failAt(at, "%q closes nothing", op)
			}
			l.braces = l.braces[:len(l.braces)-1]
		}
		l.pos += len(op)
		l.add(token{kind: operatorToken, at: at, end: l.pos, text: op})
		return nil
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return failAt(at, "the character %q cannot stand here", r)
}

// number reads an integer or a float.
func (l *lexer) number(rest string) error {
	at := l.pos
	digits := func(n int, hex bool) int {
		for n < len(rest) && (isDigit(rest[n]) || rest[n] == '_' || hex && isNameByte(rest[n])) {
			n++
		}
		return n
	}
	afterDot := len(l.tokens) > 0 && l.tokens[len(l.tokens)-1].is(".")
	named := len(rest) > 2 && rest[0] == '0' && strings.IndexByte("xXoObB", rest[1]) >= 0
	n := digits(0, false)
	isFloat := false
	if named {
		n = digits(2, true)
	} else if !afterDot {
		if n+1 < len(rest) && rest[n] == '.' && isDigit(rest[n+1]) {
			n, isFloat = digits(n+1, false), true
		}
		if n < len(rest) && rest[n]|0x20 == 'e' {
			sign := n + 1
			if sign < len(rest) && (rest[sign] == '+' || rest[sign] == '-') {
				sign++
			}
			if sign < len(rest) && isDigit(rest[sign]) {
				n, isFloat = digits(sign, false), true
			}
		}
	}
	t := token{kind: literalToken, at: at, end: at + n}
	if isFloat {
		f, ok := parseFloat(rest[:n])
		if !ok {
			return failAt(at, "%q is no number", clip(rest[:n]))
		}
		t.lit = Float(f)
	} else {
		i, ok := parseInt(rest[:n], 0)
		if !ok {
			return failAt(at, "%q is no number of up to 64 bits", clip(rest[:n]))
		}
		t.lit = Int(i)
	}
	l.pos += n
	l.add(t)
	return nil
}

// quoted reads a text.
func (l *lexer) quoted(rest string) error {
	pos, quote := l.pos, rest[0]
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case quote:
			s, err := unescape(normalNewlines(rest[1:i]))
			if err != nil {
				return at(pos, err)
			}
			l.pos += i + 1
			l.add(token{kind: literalToken, at: pos, end: l.pos, lit: String(s)})
			return nil
		}
	}
	return failAt(pos, "a text is not closed with %c", quote)
}

// unescape resolves the escapes of a text as Python does.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		i++
		if j := strings.IndexByte(`nrtabfv0\'"`, s[i]); j >= 0 && s[i] != '0' {
			b = append(b, "\n\r\t\a\b\f\v0\\'\""[j])
			continue
		}
		digits, base := 0, 16
		switch c := s[i]; {
		case c == '\n':
			continue
		case c == 'x':
			digits = 2
		case c == 'u':
			digits = 4
		case c == 'U':
			digits = 8
		case c >= '0' && c <= '7':
			digits, base = 1, 8
			for digits < 3 && i+digits < len(s) && s[i+digits] >= '0' && s[i+digits] <= '7' {
				digits++
			}
			i--
		case c == 'N':
			return "", failf(`\N is not understood: write the character itself`)
		default:
			b = append(b, '\\', c)
			continue
		}
		if i+digits >= len(s) {
			return "", failf("an escape in a text is cut off")
		}
		n, err := strconv.ParseUint(s[i+1:i+1+digits], base, 32)
		if err != nil || n > unicode.MaxRune {
			return "", failf("an escape in a text is no character")
		}
		b = utf8.AppendRune(b, rune(n))
		i += digits
	}
	return string(b), nil
}
