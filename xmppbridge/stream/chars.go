package stream

import "unicode/utf8"

// What a byte means to the scanner and the writer. Bytes from 0x80 on are part of
// a UTF-8 sequence and are judged as runes, once a whole token is there.
const (
	inText    = 1 << iota // stands for itself in incoming text
	inValue               // stands for itself in an incoming attribute value
	inName                // may stand in a name, the colon included
	startName             // may begin a name
	outText               // is written to text as it is
	outValue              // is written to an attribute value as it is
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= 0x80:
			t[c] = inText | inValue | inName | startName
		case c >= 0x20:
			t[c] = inText | inValue | outText | outValue
		}
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
			t[c] |= inName | startName
		case '0' <= c && c <= '9', c == '-', c == '.', c == ':':
			t[c] |= inName
		}
	}
	t['\t'] = inText | outText
	t['\n'] = inText | outText
	t['<'] = 0
	t['&'] = 0
	t['>'] = inValue               // "]]>" may not stand in text
	t['"'] &^= inValue             // may end a value
	t['\''] &^= inValue | outValue // ends the values we write
	return t
}()

// isChar is the Char production of XML 1.0.
func isChar(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n' || r == '\r'
	case r < 0xD800:
		return true
	case r < 0xE000:
		return false
	}
	return r != 0xFFFE && r != 0xFFFF && r <= utf8.MaxRune
}

// isNameStart is the NameStartChar production of XML 1.0 without the colon.
func isNameStart(r rune) bool {
	switch {
	case r < 0x80:
		return class[byte(r)]&startName != 0
	case r < 0xC0, r == 0xD7, r == 0xF7:
		return false
	case r < 0x300:
		return true
	case r < 0x370, r == 0x37E:
		return false
	case r < 0x2000:
		return true
	case r == 0x200C, r == 0x200D,
		0x2070 <= r && r <= 0x218F,
		0x2C00 <= r && r <= 0x2FEF,
		0x3001 <= r && r <= 0xD7FF,
		0xF900 <= r && r <= 0xFDCF,
		0xFDF0 <= r && r <= 0xFFFD,
		0x10000 <= r && r <= 0xEFFFF:
		return true
	}
	return false
}

// isNameChar is the NameChar production of XML 1.0 without the colon.
func isNameChar(r rune) bool {
	switch {
	case r < 0x80:
		return r != ':' && class[byte(r)]&inName != 0
	case r == 0xB7, 0x300 <= r && r <= 0x36F, r == 0x203F, r == 0x2040:
		return true
	}
	return isNameStart(r)
}

// checkChars judges a token that held bytes from 0x80 on.
func checkChars(b []byte) *Error {
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n < 2 {
			return fault(UnsupportedEncoding, "not UTF-8")
		}
		if !isChar(r) {
			return fault(NotWellFormed, "character not allowed in XML")
		}
		b = b[n:]
	}
	return nil
}
