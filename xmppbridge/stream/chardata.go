package stream

import (
	"strings"
	"unicode/utf8"
)

// chars reads text, references and CDATA sections up to a tag, whose "<" it uses
// up, into d.text. XML 1.0 §2.11: every line end becomes a line feed.
func (d *Decoder) chars() error {
	from := len(d.text)
	raw := from // where the present run of literal text begins
	var high byte
	for {
		i := d.pos
		for i < d.end {
			c := d.buf[i]
			if class[c]&inText == 0 {
				break
			}
			high |= c
			i++
		}
		d.text = append(d.text, d.buf[d.pos:i]...)
		d.pos = i
		c, err := d.peek()
		if err != nil {
			return err
		}
		if class[c]&inText != 0 {
			continue
		}
		d.pos++
		switch c {
		case '<':
			if c, err = d.peek(); err != nil {
				return err
			}
			if c == '!' {
				if high, err = d.cdata(high); err != nil {
					return err
				}
				raw = len(d.text)
				continue
			}
			if c == '?' {
				return restricted(c)
			}
			if high >= utf8.RuneSelf {
				if err := checkChars(d.text[from:]); err != nil {
					return err
				}
			}
			return nil
		case '&':
			if err := d.reference(); err != nil {
				return err
			}
			raw = len(d.text)
		case '>':
			if n := len(d.text); n-raw >= 2 && d.text[n-1] == ']' && d.text[n-2] == ']' {
				return fault(NotWellFormed, `"]]>" in text`)
			}
			d.text = append(d.text, '>')
		case '\r':
			if err := d.lineEnd('\n'); err != nil {
				return err
			}
		default:
			return fault(NotWellFormed, "character not allowed in XML")
		}
	}
}

// lineEnd writes what stands for a carriage return, passing over the line feed
// that may follow it.
func (d *Decoder) lineEnd(as byte) error {
	d.text = append(d.text, as)
	c, err := d.peek()
	if err == nil && c == '\n' {
		d.pos++
	}
	return err
}

// cdata reads a CDATA section from its "!" on. Comments and document types begin
// the same way and are refused.
func (d *Decoder) cdata(high byte) (byte, error) {
	d.pos++
	c, err := d.peek()
	if err != nil {
		return 0, err
	}
	if c != '[' {
		return 0, restricted('!')
	}
	if err := d.expect("[CDATA["); err != nil {
		return 0, err
	}
	from := len(d.text)
	for {
		c, err := d.take()
		if err != nil {
			return 0, err
		}
		switch {
		case c == '>':
			if n := len(d.text); n-from >= 2 && d.text[n-1] == ']' && d.text[n-2] == ']' {
				d.text = d.text[:n-2]
				return high, nil
			}
			d.text = append(d.text, c)
		case c == '\r':
			if err := d.lineEnd('\n'); err != nil {
				return 0, err
			}
		case c < 0x20 && c != '\t' && c != '\n':
			return 0, fault(NotWellFormed, "character not allowed in XML")
		default:
			high |= c
			d.text = append(d.text, c)
		}
	}
}

// value reads a quoted attribute value into d.text. XML 1.0 §3.3.3: literal white
// space becomes a space, referenced white space stays.
func (d *Decoder) value() error {
	quote, err := d.take()
	if err != nil {
		return err
	}
	if quote != '\'' && quote != '"' {
		return fault(NotWellFormed, "quoted value expected")
	}
	from := len(d.text)
	var high byte
	for {
		i := d.pos
		for i < d.end {
			c := d.buf[i]
			if class[c]&inValue == 0 {
				break
			}
			high |= c
			i++
		}
		d.text = append(d.text, d.buf[d.pos:i]...)
		d.pos = i
		c, err := d.take()
		if err != nil {
			return err
		}
		switch {
		case class[c]&inValue != 0:
			d.pos-- // the first byte of a new buffer
		case c == quote:
			if high >= utf8.RuneSelf {
				if err := checkChars(d.text[from:]); err != nil {
					return err
				}
			}
			return nil
		case c == '"', c == '\'':
			d.text = append(d.text, c)
		case c == '&':
			if err := d.reference(); err != nil {
				return err
			}
		case c == '\t', c == '\n':
			d.text = append(d.text, ' ')
		case c == '\r':
			if err := d.lineEnd(' '); err != nil {
				return err
			}
		default:
			return fault(NotWellFormed, "character not allowed in a value")
		}
	}
}

// reference reads a character reference or one of the five entities from after
// its "&" on.
func (d *Decoder) reference() error {
	c, err := d.peek()
	if err != nil {
		return err
	}
	if c == '#' {
		d.pos++
		return d.charRef()
	}
	q, err := d.qname()
	if err != nil {
		return err
	}
	if err := d.expect(";"); err != nil {
		return err
	}
	switch q.raw {
	case "amp":
		d.text = append(d.text, '&')
	case "lt":
		d.text = append(d.text, '<')
	case "gt":
		d.text = append(d.text, '>')
	case "quot":
		d.text = append(d.text, '"')
	case "apos":
		d.text = append(d.text, '\'')
	default:
		return fault(RestrictedXML, "entity reference")
	}
	return nil
}

// charRef reads a character reference from after its "#" on: decimal, or "x" and
// hexadecimal digits.
func (d *Decoder) charRef() error {
	base, digits := rune(10), 0
	if c, err := d.peek(); err != nil {
		return err
	} else if c == 'x' {
		d.pos++
		base = 16
	}
	r := rune(0)
	for ; ; digits++ {
		c, err := d.take()
		if err != nil {
			return err
		}
		v := rune(99)
		switch {
		case c == ';':
			if digits == 0 || !isChar(r) {
				return fault(NotWellFormed, "malformed character reference")
			}
			d.text = utf8.AppendRune(d.text, r)
			return nil
		case '0' <= c && c <= '9':
			v = rune(c - '0')
		case 'a' <= c && c <= 'f':
			v = rune(c-'a') + 10
		case 'A' <= c && c <= 'F':
			v = rune(c-'A') + 10
		}
		if r = r*base + v; v >= base || r > utf8.MaxRune {
			return fault(NotWellFormed, "malformed character reference")
		}
	}
}

// declaration reads the XML declaration from its "?" on. Any other processing
// instruction is refused.
func (d *Decoder) declaration() error {
	d.pos++
	q, err := d.qname()
	if err != nil {
		return err
	}
	if q.raw != "xml" {
		return restricted('?')
	}
	order := 0
	for {
		c, gap, err := d.space()
		if err != nil {
			return err
		}
		if c == '?' {
			if order == 0 {
				return fault(NotWellFormed, "XML declaration without version")
			}
			return d.expect("?>")
		}
		if !gap {
			return fault(NotWellFormed, "malformed XML declaration")
		}
		if order, err = d.pseudo(order); err != nil {
			return err
		}
	}
}

// pseudo reads one pseudo-attribute of the XML declaration; they come in a fixed
// order, of which order is the place of the last one.
func (d *Decoder) pseudo(order int) (int, error) {
	from := len(d.text)
	q, err := d.assignment()
	if err != nil {
		return 0, err
	}
	value := string(d.text[from:])
	d.text = d.text[:from]
	switch {
	case q.raw == "version" && order == 0 && strings.HasPrefix(value, "1."):
		return 1, nil
	case q.raw == "encoding" && order == 1:
		if !strings.EqualFold(value, "utf-8") {
			return 0, fault(UnsupportedEncoding, "only UTF-8")
		}
		return 2, nil
	case q.raw == "standalone" && (order == 1 || order == 2) && (value == "yes" || value == "no"):
		return 3, nil
	}
	return 0, fault(NotWellFormed, "malformed XML declaration")
}
