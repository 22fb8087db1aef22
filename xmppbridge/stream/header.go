package stream

// Header is what the opening tag of a stream says (RFC 6120 §4.7).
type Header struct {
	To, From string
	ID       string
	Version  string
	Lang     string // xml:lang
	NS       string // content namespace as declared: NS, NSServer, NSComponent, or "" for none
}

// AppendXML appends the XML declaration and the opening tag of a stream. An empty
// content namespace is written as NS; other empty fields are left out.
func (h Header) AppendXML(dst []byte) []byte {
	space := h.NS
	if space == "" {
		space = NS
	}
	dst = append(dst, "<?xml version='1.0'?><stream:stream xmlns='"...)
	dst = appendValue(dst, space)
	dst = append(dst, "' xmlns:stream='"+NSStream+"'"...)
	for _, a := range [...][2]string{
		{" to='", h.To}, {" from='", h.From}, {" id='", h.ID},
		{" version='", h.Version}, {" xml:lang='", h.Lang},
	} {
		if a[1] != "" {
			dst = append(dst, a[0]...)
			dst = appendValue(dst, a[1])
			dst = append(dst, '\'')
		}
	}
	return append(dst, '>')
}
