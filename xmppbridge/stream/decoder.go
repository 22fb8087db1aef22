package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// Limits bound what one stanza may hold, and a stream header likewise. A field that is zero
// takes its default; there is no way to have none. They act while bytes
// arrive: a stanza that breaks one is never in memory whole.
type Limits struct {
	Bytes int // on the wire, markup included; 256 KiB
	Depth int // elements within elements, the stanza itself being the first; 64
	Attrs int // attributes and namespace declarations of one element; 64
	Nodes int // elements, attributes and text nodes together; 16384
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&l.Bytes, 256<<10)
	set(&l.Depth, 64)
	set(&l.Attrs, 64)
	set(&l.Nodes, 16384)
	// Offsets into a stanza are 32 bits wide.
	l.Bytes = min(l.Bytes, 1<<30)
	return l
}

const (
	readSize = 4096     // bytes asked of the reader at once
	keepText = 16 << 10 // scratch kept from one stanza to the next
	keepNode = 256
)

// Decoder reads the elements at the top of a stream. It takes bytes as they come,
// keeps none but those of the present element, and accepts only the XML that RFC
// 6120 §11 allows: UTF-8, no DTD, no comments, no processing instructions, no
// entities but the five.
//
// Its errors are those of the reader, or a *Error to send to the peer. The first
// one stays until Reset. A Decoder is for one goroutine.
type Decoder struct {
	r       io.Reader
	limits  Limits
	onRead  func() // called for every read that brought bytes
	err     error  // of the reader, once its last bytes are used up
	stuck   error  // what every further call answers
	opened  bool
	content string // the namespace that reads as NS
	root    string // the stream's opening tag as it was spelt, "" when another read it

	buf      []byte
	pos, end int
	metered  bool // inside an element: its bytes count
	mark     int  // where in buf the part not yet counted begins
	spent    int  // bytes counted

	// The present element, flat. A tree is made of it when it is complete.
	text     []byte
	name     []byte
	nodes    []node
	attrs    []attr
	open     []frame
	bindings []binding
	outer    int // bindings of the stream header

	names  [128]qname // spellings seen, so that a name costs no allocation
	spaces [64]string
}

type node struct {
	space, name string // name "" for text
	from, to    int32  // text
	attrs, end  int32  // range of attrs
	parent      int32
	kids        int32
}

type attr struct {
	space, name string
	prefix      string
	from, to    int32
}

// frame is an element not yet closed.
type frame struct {
	raw      string
	node     int32
	bindings int32
}

type binding struct{ prefix, space string }

// qname is a name as spelt; colon is the length of its prefix, or -1.
type qname struct {
	raw   string
	colon int
}

// NewDecoder returns a Decoder reading r. When the stream's header was read by
// someone else, call Assume, or Next at once for a stream of jabber:client.
func NewDecoder(r io.Reader, l Limits) *Decoder {
	return &Decoder{r: r, limits: l.withDefaults(), content: NS}
}

// SetLimits replaces the limits, from the next element on.
func (d *Decoder) SetLimits(l Limits) { d.limits = l.withDefaults() }

// Reset continues on another layer of the same connection, as after STARTTLS.
// It forgets everything, bytes read ahead included: check Buffered first.
func (d *Decoder) Reset(r io.Reader) {
	d.r, d.err, d.stuck = r, nil, nil
	d.pos, d.end = 0, 0
	d.restart()
	d.opened = false
}

// Buffered returns how many bytes were read and not used. Unless it is zero before
// a TLS handshake, someone put plain text where TLS has to begin.
func (d *Decoder) Buffered() int { return d.end - d.pos }

// Assume stands in for Open where someone else read the stream header.
func (d *Decoder) Assume(h Header) {
	d.restart()
	d.opened = true
	d.setContent(h.NS)
	d.bindings = append(d.bindings, binding{"stream", NSStream}, binding{"", h.NS})
	if h.NS == "" {
		d.bindings[1].space = NS
	}
	d.outer = len(d.bindings)
}

func (d *Decoder) setContent(space string) {
	if d.content = space; space == "" || space == NSStream {
		d.content = NS
	}
}

func (d *Decoder) restart() {
	d.bindings, d.outer = d.bindings[:0], 0
	d.content, d.root = NS, ""
	d.clear()
}

// clear forgets the element that was read, and memory beyond what the next
// ordinary one needs.
func (d *Decoder) clear() {
	d.metered = false
	d.text, d.nodes, d.attrs = d.text[:0], d.nodes[:0], d.attrs[:0]
	d.open, d.bindings = d.open[:0], d.bindings[:d.outer]
	if cap(d.text) > keepText {
		d.text = nil
	}
	if cap(d.name) > keepText {
		d.name = nil
	}
	if cap(d.nodes) > keepNode {
		d.nodes = nil
	}
	if cap(d.attrs) > keepNode {
		d.attrs = nil
	}
	if cap(d.bindings) > keepNode {
		d.bindings = slices.Clone(d.bindings)
	}
}

func (d *Decoder) fail(err error) error {
	d.stuck = err
	d.clear()
	return err
}

// Open reads the opening tag of a stream, with the XML declaration if there is one.
// It is called again when the stream restarts, as after SASL: bytes already
// read belong to the new stream.
func (d *Decoder) Open() (Header, error) {
	if d.stuck != nil {
		return Header{}, d.stuck
	}
	d.restart()
	h, err := d.header()
	if err != nil {
		return Header{}, d.fail(err)
	}
	d.opened = true
	return h, nil
}

func (d *Decoder) header() (Header, error) {
	if err := d.between(); err != nil {
		return Header{}, err
	}
	c, err := d.peek()
	if err != nil {
		return Header{}, err
	}
	if c == '?' {
		if err := d.declaration(); err != nil {
			return Header{}, err
		}
		d.metered = false
		if err := d.between(); err != nil {
			return Header{}, err
		}
		if c, err = d.peek(); err != nil {
			return Header{}, err
		}
	}
	if c == '!' || c == '?' {
		return Header{}, restricted(c)
	}
	if err := d.startTag(); err != nil {
		return Header{}, err
	}
	if err := d.settle(); err != nil {
		return Header{}, err
	}
	if !d.openedRoot() {
		return Header{}, fault(InvalidNamespace, "not a stream")
	}
	e := d.build()
	root := ""
	if len(d.open) == 0 { // <stream:stream/>
		d.stuck = io.EOF
	} else {
		root = d.open[0].raw
	}
	h := Header{
		To: e.Attr("to"), From: e.Attr("from"), ID: e.Attr("id"),
		Version: e.Attr("version"), Lang: e.Attr("xml:lang"),
		NS: d.lookupDefault(),
	}
	switch h.NS {
	case NS, NSServer, NSComponent:
	case "", NSStream:
		h.NS = "" // RFC 6120 §4.8.3: no content namespace, stanzas name theirs
	default:
		return Header{}, fault(InvalidNamespace, "unknown content namespace")
	}
	d.setContent(h.NS)
	d.outer = len(d.bindings)
	d.root = root
	d.clear()
	return h, nil
}

func (d *Decoder) openedRoot() bool {
	n := &d.nodes[0]
	return n.space == NSStream && n.name == "stream"
}

// Next returns the next element at the top of the stream: a stanza, a nonza, or a
// <stream:error/>. White space between them is passed over. It returns io.EOF
// when the peer closes the stream with </stream:stream>, and
// io.ErrUnexpectedEOF when the connection ends without.
func (d *Decoder) Next() (*Element, error) {
	if d.stuck != nil {
		return nil, d.stuck
	}
	if !d.opened {
		d.Assume(Header{})
	}
	e, err := d.element()
	if err != nil {
		return nil, d.fail(err)
	}
	d.clear()
	return e, nil
}

func (d *Decoder) element() (*Element, error) {
	if err := d.between(); err != nil {
		return nil, err
	}
	c, err := d.peek()
	if err != nil {
		return nil, err
	}
	switch c {
	case '/':
		return nil, d.endStream()
	case '!', '?':
		return nil, restricted(c)
	}
	if err := d.startTag(); err != nil {
		return nil, err
	}
	for len(d.open) > 0 {
		if err := d.inside(); err != nil {
			return nil, err
		}
	}
	if err := d.settle(); err != nil {
		return nil, err
	}
	return d.build(), nil
}

// build makes the tree: one allocation each for text, elements, links and
// attributes.
func (d *Decoder) build() *Element {
	text := string(d.text)
	els := make([]Element, len(d.nodes))
	links := make([]*Element, len(d.nodes)-1)
	var attrs []Attr
	if len(d.attrs) > 0 {
		attrs = make([]Attr, len(d.attrs))
	}
	for i := range d.attrs {
		a := &d.attrs[i]
		attrs[i] = Attr{Space: a.space, Name: a.name, Value: text[a.from:a.to]}
	}
	next := int32(0)
	for i := range d.nodes {
		n, e := &d.nodes[i], &els[i]
		if i > 0 {
			p := &els[n.parent]
			p.Nodes = append(p.Nodes, e) // within the room cut below
		}
		if n.name == "" {
			e.Text = text[n.from:n.to]
			continue
		}
		e.Space, e.Name = n.space, n.name
		if n.kids > 0 {
			e.Nodes = links[next : next : next+n.kids]
			next += n.kids
		}
		if n.attrs < n.end {
			e.Attrs = attrs[n.attrs:n.end:n.end]
		}
	}
	return &els[0]
}

var parsers = sync.Pool{New: func() any { return NewDecoder(nil, Limits{}) }}

// Parse reads one element, as it stands at the top of a stream of jabber:client, within the
// default Limits. Its errors are those of a Decoder.
func Parse(b []byte) (*Element, error) {
	d := parsers.Get().(*Decoder)
	defer parsers.Put(d)
	d.Reset(bytes.NewReader(b))
	defer d.Reset(nil)
	e, err := d.Next()
	if errors.Is(err, io.EOF) {
		err = fault(NotWellFormed, "end of a stream")
	}
	if err != nil {
		return nil, fmt.Errorf("stanza: parse: %w", err)
	}
	switch err := d.between(); {
	case err == nil:
		return nil, fmt.Errorf("stanza: parse: %w", fault(NotWellFormed, "more than one element"))
	case !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("stanza: parse: %w", err)
	}
	return e, nil
}
