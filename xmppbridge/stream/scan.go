package stream

import "io"

// The scanner: every function consumes what it is named after, asking the reader
// for more where the buffer ends. Nothing is kept of the markup; text and values
// go to d.text, names to d.name and from there to the table of known ones.

// fill replaces the used-up buffer. The size of the present element is checked
// here, before more of it is read.
func (d *Decoder) fill() error {
	if err := d.count(); err != nil {
		return err
	}
	d.pos, d.end, d.mark = 0, 0, 0
	if d.err == nil && d.buf == nil {
		d.buf = make([]byte, readSize)
	}
	for range 100 {
		if d.err != nil {
			if d.err == io.EOF {
				return io.ErrUnexpectedEOF
			}
			return d.err
		}
		var n int
		if n, d.err = d.r.Read(d.buf); n > 0 {
			d.end = n
			if d.onRead != nil {
				d.onRead()
			}
			return nil
		}
	}
	return io.ErrNoProgress
}

// count adds what was used since the last count to the present element.
func (d *Decoder) count() error {
	if !d.metered {
		return nil
	}
	d.spent += d.pos - d.mark
	d.mark = d.pos
	if d.spent > d.limits.Bytes {
		return fault(PolicyViolation, "stanza too big")
	}
	return nil
}

// settle ends the count of an element that is complete.
func (d *Decoder) settle() error {
	err := d.count()
	d.metered = false
	return err
}

// peek returns the next byte without using it.
func (d *Decoder) peek() (byte, error) {
	if d.pos == d.end {
		if err := d.fill(); err != nil {
			return 0, err
		}
	}
	return d.buf[d.pos], nil
}

// take uses up the next byte.
func (d *Decoder) take() (byte, error) {
	c, err := d.peek()
	if err == nil {
		d.pos++
	}
	return c, err
}

// expect uses up the bytes of s.
func (d *Decoder) expect(s string) error {
	for i := range len(s) {
		c, err := d.take()
		if err != nil {
			return err
		}
		if c != s[i] {
			return fault(NotWellFormed, "malformed markup")
		}
	}
	return nil
}

// space passes over white space, returning the byte that follows and whether
// there was any.
func (d *Decoder) space() (c byte, some bool, err error) {
	for {
		if c, err = d.peek(); err != nil {
			return 0, some, err
		}
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c, some, nil
		}
		some = true
		d.pos++
	}
}

// between finds the "<" of the next element and begins to count its bytes.
func (d *Decoder) between() error {
	c, _, err := d.space()
	if err != nil {
		return err
	}
	switch {
	case c == '<':
		d.metered, d.mark, d.spent = true, d.pos, 0
		d.pos++
		return nil
	case c == 0xFE, c == 0xFF: // of a UTF-16 byte order mark
		return fault(UnsupportedEncoding, "not UTF-8")
	}
	return fault(BadFormat, "text outside a stanza")
}

// restricted refuses markup that begins with "<!" or "<?".
func restricted(c byte) *Error {
	if c == '?' {
		return fault(RestrictedXML, "processing instruction")
	}
	return fault(RestrictedXML, "comment or document type")
}

// startTag reads a tag whose "<" is used up, and opens its element, unless it is
// an empty one.
func (d *Decoder) startTag() error {
	q, err := d.qname()
	if err != nil {
		return err
	}
	if len(d.open) >= d.limits.Depth {
		return fault(PolicyViolation, "elements too deep")
	}
	if err := d.room(); err != nil {
		return err
	}
	me := int32(len(d.nodes))
	parent := int32(-1)
	if n := len(d.open); n > 0 {
		parent = d.open[n-1].node
		d.nodes[parent].kids++
	}
	first, declared := len(d.attrs), len(d.bindings)
	d.nodes = append(d.nodes, node{attrs: int32(first), parent: parent})

	var c byte
	for {
		var gap bool
		if c, gap, err = d.space(); err != nil {
			return err
		}
		if c == '>' || c == '/' {
			d.pos++
			break
		}
		if !gap {
			return fault(NotWellFormed, "space expected between attributes")
		}
		if len(d.attrs)-first+len(d.bindings)-declared >= d.limits.Attrs {
			return fault(PolicyViolation, "too many attributes")
		}
		if err := d.attribute(declared); err != nil {
			return err
		}
	}
	if c == '/' {
		if err := d.expect(">"); err != nil {
			return err
		}
	}

	n := &d.nodes[me]
	if n.space, n.name, err = d.resolve(q, d.lookupDefault()); err != nil {
		return err
	}
	if n.space == d.content {
		n.space = NS
	}
	n.end = int32(len(d.attrs))
	if err := d.resolveAttrs(d.attrs[first:]); err != nil {
		return err
	}
	if c == '>' {
		d.open = append(d.open, frame{raw: q.raw, node: me, bindings: int32(declared)})
	} else if len(d.open) > 0 {
		d.bindings = d.bindings[:declared]
	}
	return nil
}

// room bounds the number of nodes.
func (d *Decoder) room() error {
	if len(d.nodes)+len(d.attrs) >= d.limits.Nodes {
		return fault(PolicyViolation, "too many elements")
	}
	return nil
}

// attribute reads one attribute or namespace declaration. Prefixes are resolved later:
// their declaration may follow.
func (d *Decoder) attribute(declared int) error {
	from := len(d.text)
	q, err := d.assignment()
	if err != nil {
		return err
	}
	prefix, local := "", q.raw
	if q.colon >= 0 {
		prefix, local = q.raw[:q.colon], q.raw[q.colon+1:]
	}
	switch {
	case q.raw == "xmlns":
		err = d.declare(declared, "", d.internSpace(d.text[from:]))
		d.text = d.text[:from]
	case prefix == "xmlns":
		err = d.declare(declared, local, d.internSpace(d.text[from:]))
		d.text = d.text[:from]
	default:
		if err = d.room(); err == nil {
			d.attrs = append(d.attrs, attr{
				name: local, prefix: prefix,
				from: int32(from), to: int32(len(d.text)),
			})
		}
	}
	return err
}

// assignment reads a name, "=" and a quoted value, which it leaves at the end of
// d.text.
func (d *Decoder) assignment() (qname, error) {
	q, err := d.qname()
	if err != nil {
		return q, err
	}
	if _, _, err := d.space(); err != nil {
		return q, err
	}
	if err := d.expect("="); err != nil {
		return q, err
	}
	if _, _, err := d.space(); err != nil {
		return q, err
	}
	return q, d.value()
}

// declare binds a prefix ("" the default namespace) as Namespaces in XML 1.0 §3 permits.
func (d *Decoder) declare(declared int, prefix, space string) error {
	bad := prefix == "xmlns" || space == nsXMLNS ||
		(prefix == "xml") != (space == NSXML) ||
		prefix != "" && space == ""
	for _, b := range d.bindings[declared:] {
		bad = bad || b.prefix == prefix
	}
	if bad {
		return fault(NotWellFormed, "namespace declaration not allowed")
	}
	// Every name looks through those in scope: their number is what a name costs.
	if len(d.bindings)-d.outer >= d.limits.Attrs+d.limits.Depth {
		return fault(PolicyViolation, "too many namespace declarations")
	}
	d.bindings = append(d.bindings, binding{prefix, space})
	return nil
}

func (d *Decoder) lookup(prefix string) (string, bool) {
	for i := len(d.bindings) - 1; i >= 0; i-- {
		if d.bindings[i].prefix == prefix {
			return d.bindings[i].space, true
		}
	}
	return NSXML, prefix == "xml"
}

func (d *Decoder) lookupDefault() string {
	if s, ok := d.lookup(""); ok {
		return s
	}
	return ""
}

func (d *Decoder) resolve(q qname, space string) (string, string, error) {
	if q.colon < 0 {
		return space, q.raw, nil
	}
	space, ok := d.lookup(q.raw[:q.colon])
	if !ok {
		return "", "", fault(NotWellFormed, "prefix not declared")
	}
	return space, q.raw[q.colon+1:], nil
}

func (d *Decoder) resolveAttrs(attrs []attr) error {
	for i := range attrs {
		a := &attrs[i]
		if a.prefix != "" {
			var ok bool
			if a.space, ok = d.lookup(a.prefix); !ok {
				return fault(NotWellFormed, "prefix not declared")
			}
		}
		for j := range attrs[:i] {
			if attrs[j].name == a.name && attrs[j].space == a.space {
				return fault(NotWellFormed, "attribute given twice")
			}
		}
	}
	return nil
}

// inside reads the text of the innermost open element up to the next tag, and
// that tag.
func (d *Decoder) inside() error {
	from := len(d.text)
	if err := d.chars(); err != nil {
		return err
	}
	if from < len(d.text) {
		if err := d.room(); err != nil {
			return err
		}
		top := d.open[len(d.open)-1].node
		d.nodes[top].kids++
		d.nodes = append(d.nodes, node{from: int32(from), to: int32(len(d.text)), parent: top})
	}
	c, err := d.peek()
	if err != nil {
		return err
	}
	if c == '/' {
		d.pos++
		return d.endTag()
	}
	return d.startTag()
}

// endTag reads a closing tag whose "</" is used up, and closes its element.
func (d *Decoder) endTag() error {
	top := d.open[len(d.open)-1]
	if n := d.pos + len(top.raw); n < d.end && d.buf[n] == '>' && string(d.buf[d.pos:n]) == top.raw {
		d.pos = n + 1
	} else if err := d.closes(top.raw); err != nil {
		return err
	}
	d.bindings = d.bindings[:top.bindings]
	d.open = d.open[:len(d.open)-1]
	return nil
}

func (d *Decoder) closes(raw string) error {
	q, err := d.qname()
	if err != nil {
		return err
	}
	if q.raw != raw {
		return fault(NotWellFormed, "closing tag does not match")
	}
	if _, _, err := d.space(); err != nil {
		return err
	}
	return d.expect(">")
}

// endStream reads </stream:stream> and returns io.EOF for it.
func (d *Decoder) endStream() error {
	d.pos++
	raw := d.root
	if raw == "" {
		raw = "stream:stream"
	}
	if err := d.closes(raw); err != nil {
		return err
	}
	return io.EOF
}
