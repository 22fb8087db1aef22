package stream

import (
	"iter"
	"strings"
)

// Namespaces of the stream itself.
const (
	// NS is how the content namespace of any stream reads, whatever the stream
	// declared: RFC 6120 §4.8.2 lets the same stanza travel in jabber:client,
	// jabber:server and, by XEP-0114, jabber:component:accept.
	NS = "jabber:client"
	// NSStream is the namespace of <stream:stream>, <stream:features> and
	// <stream:error>. Elements in it are written with the prefix "stream", which
	// every stream header declares.
	NSStream = "http://etherx.jabber.org/streams"
	// NSServer is the content namespace between servers.
	NSServer = "jabber:server"
	// NSComponent is the content namespace of a component's stream (XEP-0114).
	NSComponent = "jabber:component:accept"
	// NSXML is the namespace of the prefix "xml", as in xml:lang.
	NSXML = "http://www.w3.org/XML/1998/namespace"

	nsXMLNS = "http://www.w3.org/2000/xmlns/"
)

// Element is one XML element or, when Name is empty, one text node holding Text.
//
// Space is the namespace itself, never a prefix; "" means no namespace at all, which
// is not the namespace of the parent: a child is given its namespace even where it is its parent's.
// Elements that a Decoder returned share memory with the rest of their stanza: keep a part of one for
// long with Clone. Reading methods accept a nil Element and answer as an empty
// one would. An Element is not safe for concurrent use while it changes.
type Element struct {
	Space, Name string
	Attrs       []Attr
	Nodes       []*Element
	Text        string
}

// Attr is one attribute. Space is empty for the ordinary, un-namespaced kind.
type Attr struct {
	Space, Name, Value string
}

// New returns an element with the attributes given as pairs of name and value;
// an attribute with an empty value is left out, so that optional ones need no
// condition. The name "xml:lang" is understood.
func New(space, name string, attrs ...string) *Element {
	e := &Element{Space: space, Name: name}
	if len(attrs) > 1 {
		e.Attrs = make([]Attr, 0, len(attrs)/2)
	}
	for ; len(attrs) > 1; attrs = attrs[2:] {
		e.SetAttr(attrs[0], attrs[1])
	}
	return e
}

// Text returns a text node.
func Text(s string) *Element { return &Element{Text: s} }

// attrName splits the one prefixed name the accessors understand.
func attrName(name string) (space, local string) {
	if local, ok := strings.CutPrefix(name, "xml:"); ok {
		return NSXML, local
	}
	return "", name
}

// Is reports whether e is the element of this namespace and name.
func (e *Element) Is(space, name string) bool {
	return e != nil && e.Name == name && e.Space == space
}

// Attr returns the value of an attribute without namespace (or "xml:lang"), and
// "" when it is not there.
func (e *Element) Attr(name string) string {
	if e == nil {
		return ""
	}
	space, local := attrName(name)
	for i := range e.Attrs {
		if a := &e.Attrs[i]; a.Name == local && a.Space == space {
			return a.Value
		}
	}
	return ""
}

// SetAttr sets an attribute without namespace (or "xml:lang"), or removes it
// when the value is empty, and returns e.
func (e *Element) SetAttr(name, value string) *Element {
	space, local := attrName(name)
	for i := range e.Attrs {
		if a := &e.Attrs[i]; a.Name == local && a.Space == space {
			if value == "" {
				e.Attrs = append(e.Attrs[:i], e.Attrs[i+1:]...)
			} else {
				a.Value = value
			}
			return e
		}
	}
	if value != "" {
		e.Attrs = append(e.Attrs, Attr{Space: space, Name: local, Value: value})
	}
	return e
}

// Add appends children, leaving out nil ones, and returns e.
func (e *Element) Add(children ...*Element) *Element {
	for _, c := range children {
		if c != nil {
			e.Nodes = append(e.Nodes, c)
		}
	}
	return e
}

// AddText appends text, joining it to text that is already last, and returns e.
func (e *Element) AddText(s string) *Element {
	if s == "" {
		return e
	}
	if n := len(e.Nodes); n > 0 && e.Nodes[n-1].Name == "" {
		// A new node: the old one may be shared with the element it came from.
		e.Nodes[n-1] = Text(e.Nodes[n-1].Text + s)
		return e
	}
	e.Nodes = append(e.Nodes, Text(s))
	return e
}

// Child returns the first child element of this namespace ("" for any) and name,
// or nil.
func (e *Element) Child(space, name string) *Element {
	if e == nil {
		return nil
	}
	for _, c := range e.Nodes {
		if c.Name == name && name != "" && (space == "" || c.Space == space) {
			return c
		}
	}
	return nil
}

// Children yields the child elements in order, without the text between them.
func (e *Element) Children() iter.Seq[*Element] {
	return func(yield func(*Element) bool) {
		if e == nil {
			return
		}
		for _, c := range e.Nodes {
			if c.Name != "" && !yield(c) {
				return
			}
		}
	}
}

// First returns the first child element, or nil: the payload of an IQ.
func (e *Element) First() *Element {
	for c := range e.Children() {
		return c
	}
	return nil
}

// Content returns the element's own text: that of its text nodes, joined, without
// that of its child elements.
func (e *Element) Content() string {
	if e == nil {
		return ""
	}
	if e.Name == "" {
		return e.Text
	}
	var first string
	var all *strings.Builder
	for _, c := range e.Nodes {
		switch {
		case c.Name != "" || c.Text == "":
		case all != nil:
			all.WriteString(c.Text)
		case first == "":
			first = c.Text
		default:
			all = new(strings.Builder)
			all.WriteString(first)
			all.WriteString(c.Text)
		}
	}
	if all != nil {
		return all.String()
	}
	return first
}

// ChildText returns the content of the first child of this namespace ("" for
// any) and name, and "" when there is none.
func (e *Element) ChildText(space, name string) string {
	return e.Child(space, name).Content()
}

// Body returns the text of a message's first <body/>.
func (e *Element) Body() string { return e.ChildText(NS, "body") }

// Clone returns a copy that shares no memory with e.
func (e *Element) Clone() *Element {
	if e == nil {
		return nil
	}
	c := &Element{
		Space: strings.Clone(e.Space),
		Name:  strings.Clone(e.Name),
		Text:  strings.Clone(e.Text),
	}
	if len(e.Attrs) > 0 {
		c.Attrs = make([]Attr, len(e.Attrs))
		for i, a := range e.Attrs {
			c.Attrs[i] = Attr{strings.Clone(a.Space), strings.Clone(a.Name), strings.Clone(a.Value)}
		}
	}
	if len(e.Nodes) > 0 {
		c.Nodes = make([]*Element, len(e.Nodes))
		for i, n := range e.Nodes {
			c.Nodes[i] = n.Clone()
		}
	}
	return c
}

// String returns the element as XML, for logs and tests.
func (e *Element) String() string { return string(e.AppendXML(nil)) }
