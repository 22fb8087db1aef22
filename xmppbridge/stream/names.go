package stream

import "unicode/utf8"

// qname reads a name with at most one colon and returns it from the table of known ones.
func (d *Decoder) qname() (qname, error) {
	var b []byte
	i := d.pos
	for i < d.end && class[d.buf[i]]&inName != 0 {
		i++
	}
	if i < d.end {
		b, d.pos = d.buf[d.pos:i], i
	} else { // reaches the end of the buffer: gather it
		d.name = d.name[:0]
		for {
			c, err := d.peek()
			if err != nil {
				return qname{}, err
			}
			if class[c]&inName == 0 {
				break
			}
			d.name = append(d.name, c)
			d.pos++
		}
		b = d.name
	}
	if len(b) == 0 {
		return qname{}, fault(NotWellFormed, "name expected")
	}
	h := hash(b)
	slot, other := &d.names[h], &d.names[h^1] // so that two names may share a hash
	if slot.raw == string(b) {
		return *slot, nil
	}
	if other.raw == string(b) {
		return *other, nil
	}
	colon, err := checkName(b)
	if err != nil {
		return qname{}, err
	}
	q := qname{string(b), colon}
	if len(b) <= 64 {
		*slot, *other = q, *slot
	}
	return q, nil
}

// checkName returns where the colon is, or -1.
func checkName(b []byte) (int, error) {
	colon, start := -1, true
	for i := 0; i < len(b); {
		r, n := rune(b[i]), 1
		if r >= utf8.RuneSelf {
			if r, n = utf8.DecodeRune(b[i:]); r == utf8.RuneError && n < 2 {
				return 0, fault(UnsupportedEncoding, "not UTF-8")
			}
		}
		switch {
		case r == ':':
			if colon >= 0 || start {
				return 0, fault(NotWellFormed, "malformed name")
			}
			colon, start = i, true
		case start && !isNameStart(r), !isNameChar(r):
			return 0, fault(NotWellFormed, "malformed name")
		default:
			start = false
		}
		i += n
	}
	if start {
		return 0, fault(NotWellFormed, "malformed name")
	}
	return colon, nil
}

// hash spreads over 7 bits.
func hash(b []byte) uint32 {
	n := len(b)
	h := uint32(n)<<24 ^ uint32(b[0])<<16 ^ uint32(b[n/2])<<8 ^ uint32(b[n-1])
	return h * 0x9E3779B1 >> 25
}

// internSpace returns the namespace as a string, from the table where it is known.
func (d *Decoder) internSpace(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	h := hash(b) % uint32(len(d.spaces))
	slot, other := &d.spaces[h], &d.spaces[h^1]
	if *slot == string(b) {
		return *slot
	}
	if *other == string(b) {
		return *other
	}
	s := string(b)
	if len(b) <= 128 {
		*slot, *other = s, *slot
	}
	return s
}
