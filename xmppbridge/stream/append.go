package stream

import (
	"strconv"
	"unicode/utf8"
)

const closeTag = "</stream:stream>"

// AppendXML appends the element as it stands at the top of a stream, whatever
// the stream's content namespace: xmlns is written only where the namespace
// changes, and never for NS at the top. Attributes in a foreign
// namespace get a generated prefix. What XML cannot carry never reaches the
// wire: such characters and invalid UTF-8 in text and values become U+FFFD, in
// names "_"; attributes named xmlns are left out, Space says it.
func (e *Element) AppendXML(dst []byte) []byte {
	if e == nil {
		return dst
	}
	return e.append(dst, NS)
}

// append writes e where outer is the default namespace.
func (e *Element) append(dst []byte, outer string) []byte {
	if e.Name == "" {
		return appendText(dst, e.Text)
	}
	inner, prefix := outer, ""
	switch e.Space {
	case outer:
	case NSStream:
		prefix = "stream:"
	case NSXML:
		prefix = "xml:"
	default:
		inner = e.Space
	}
	dst = append(dst, '<')
	name := len(dst)
	dst = append(dst, prefix...)
	dst = appendName(dst, e.Name)
	end := len(dst)
	if inner != outer {
		dst = append(dst, " xmlns='"...)
		dst = appendValue(dst, e.Space)
		dst = append(dst, '\'')
	}
	for i := range e.Attrs {
		dst = e.appendAttr(dst, i)
	}
	if len(e.Nodes) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, n := range e.Nodes {
		dst = n.append(dst, inner)
	}
	dst = append(dst, "</"...)
	dst = append(dst, dst[name:end]...)
	return append(dst, '>')
}

func (e *Element) appendAttr(dst []byte, i int) []byte {
	a := &e.Attrs[i]
	switch a.Space {
	case "":
		if a.Name == "xmlns" || a.Name == "" {
			return dst
		}
		dst = append(dst, ' ')
	case nsXMLNS:
		return dst
	case NSXML:
		dst = append(dst, " xml:"...)
	default:
		// The prefix is declared by the first attribute that needs it. It may
		// hide the same prefix of an ancestor, which nothing inside relies on:
		// every element declares its own.
		first := i
		for j := range e.Attrs[:i] {
			if e.Attrs[j].Space == a.Space {
				first = j
				break
			}
		}
		if first == i {
			dst = append(dst, " xmlns:n"...)
			dst = strconv.AppendInt(dst, int64(i), 10)
			dst = append(dst, "='"...)
			dst = appendValue(dst, a.Space)
			dst = append(dst, '\'')
		}
		dst = append(dst, " n"...)
		dst = strconv.AppendInt(dst, int64(first), 10)
		dst = append(dst, ':')
	}
	dst = appendName(dst, a.Name)
	dst = append(dst, "='"...)
	dst = appendValue(dst, a.Value)
	return append(dst, '\'')
}

func appendName(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; class[c]&(inName|outText) != inName|outText || c == ':' || i == 0 && class[c]&startName == 0 {
			return appendOddName(dst, s)
		}
	}
	return append(dst, s...)
}

func appendOddName(dst []byte, s string) []byte {
	for i, r := range s {
		switch {
		case i == 0 && !isNameStart(r), !isNameChar(r):
			dst = append(dst, '_')
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

func appendText(dst []byte, s string) []byte  { return appendEscaped(dst, s, outText) }
func appendValue(dst []byte, s string) []byte { return appendEscaped(dst, s, outValue) }

// appendEscaped writes runs of plain bytes at once and the rest one by one.
func appendEscaped(dst []byte, s string, plain uint8) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if class[c]&plain != 0 {
			i++
			continue
		}
		n, escape := 1, ""
		switch c {
		case '&':
			escape = "&amp;"
		case '<':
			escape = "&lt;"
		case '>':
			escape = "&gt;"
		case '\'':
			escape = "&apos;"
		case '\t':
			escape = "&#9;"
		case '\n':
			escape = "&#10;"
		case '\r':
			escape = "&#13;"
		default:
			var r rune
			r, n = utf8.DecodeRuneInString(s[i:])
			if isChar(r) && (r != utf8.RuneError || n > 1) {
				i += n
				continue
			}
			escape = "\uFFFD"
		}
		dst = append(dst, s[start:i]...)
		dst = append(dst, escape...)
		i += n
		start = i
	}
	return append(dst, s[start:]...)
}
