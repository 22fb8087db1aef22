package stream

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

const clientHeader = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' " +
	"xmlns:stream='http://etherx.jabber.org/streams' to='example.org' from='a@example.org' " +
	"id='x1' version='1.0' xml:lang='en'>"

func TestDecoderReadsAStream(t *testing.T) {
	t.Parallel()
	const input = clientHeader + "\n <presence/> \r\n" +
		"<message to='b@example.org' xml:lang='de'><body>a &lt; b &amp; &#x1F600; <![CDATA[<c>]]>\r\nd</body>" +
		"<x:y xmlns:x='urn:x' x:z='1' z='2'><x:w/>tail</x:y></message>" +
		"<stream:features><bind xmlns='urn:bind'/></stream:features>" +
		"<r xmlns='urn:xmpp:sm:3'/></stream:stream>"
	want := []string{
		"<presence/>",
		"<message to='b@example.org' xml:lang='de'><body>a &lt; b &amp; 😀 &lt;c&gt;\nd</body>" +
			"<y xmlns='urn:x' xmlns:n0='urn:x' n0:z='1' z='2'><w/>tail</y></message>",
		"<stream:features><bind xmlns='urn:bind'/></stream:features>",
		"<r xmlns='urn:xmpp:sm:3'/>",
	}
	readers := map[string]io.Reader{
		"whole":  strings.NewReader(input),
		"bytes":  iotest.OneByteReader(strings.NewReader(input)),
		"eof":    iotest.DataErrReader(strings.NewReader(input)),
		"halves": iotest.HalfReader(strings.NewReader(input)),
	}
	for name, r := range readers {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(r, Limits{})
			h, err := d.Open()
			if err != nil {
				t.Fatal(err)
			}
			if want := (Header{To: "example.org", From: "a@example.org", ID: "x1", Version: "1.0", Lang: "en", NS: NS}); h != want {
				t.Errorf("header %+v, want %+v", h, want)
			}
			for _, w := range want {
				e, err := d.Next()
				if err != nil {
					t.Fatal(err)
				}
				if got := e.String(); got != w {
					t.Errorf("got  %s\nwant %s", got, w)
				}
			}
			for range 2 {
				if _, err := d.Next(); !errors.Is(err, io.EOF) {
					t.Fatalf("after the end: %v", err)
				}
			}
		})
	}
}

// TestDecoderSplitAnywhere delivers a stream in two reads, cut at every byte.
func TestDecoderSplitAnywhere(t *testing.T) {
	t.Parallel()
	const input = clientHeader + "<message to=\"b&#x40;c\"\r\n xml:lang='de' ><b\u00e9 xmlns = 'urn:x' >a &lt; \u20ac " +
		"&#128512;<![CDATA[<\u20ac>]]>\r\n</b\u00e9 ></message>\n<r/></stream:stream>"
	read := func(r io.Reader) string {
		d := NewDecoder(r, Limits{})
		h, err := d.Open()
		out := h.AppendXML(nil)
		for err == nil {
			var e *Element
			e, err = d.Next()
			out = e.AppendXML(out)
		}
		return string(out) + err.Error()
	}
	want := read(strings.NewReader(input))
	if !strings.HasSuffix(want, "<message to='b@c' xml:lang='de'><b\u00e9 xmlns='urn:x'>a &lt; \u20ac \U0001F600&lt;\u20ac&gt;\n</b\u00e9></message><r/>EOF") {
		t.Fatal(want)
	}
	for i := range len(input) {
		if got := read(io.MultiReader(strings.NewReader(input[:i]), strings.NewReader(input[i:]))); got != want {
			t.Fatalf("cut at %d:\ngot  %s\nwant %s", i, got, want)
		}
	}
}

func TestDecoderContentNamespaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, header, ns, stanza, want string }{
		{"component", "<stream:stream xmlns='jabber:component:accept' xmlns:stream='" + NSStream + "'>", NSComponent,
			"<iq><x xmlns='urn:x'><iq xmlns='jabber:client'/></x></iq>", "<iq><x xmlns='urn:x'><iq xmlns='jabber:client'/></x></iq>"},
		{"server", "<stream:stream xmlns='jabber:server' xmlns:stream='" + NSStream + "'>", NSServer, "<iq/>", "<iq/>"},
		{"prefix of the header", "<s:stream xmlns='jabber:client' xmlns:s='" + NSStream + "' xmlns:p='urn:p'>", NS,
			"<s:features><p:x/></s:features>", "<stream:features><x xmlns='urn:p'/></stream:features>"},
		{"stream as the default", "<stream xmlns='" + NSStream + "'>", "",
			"<message xmlns='jabber:client'><body/></message>", "<message><body/></message>"},
		{"content by prefix", "<stream:stream xmlns='jabber:client' xmlns:c='jabber:client' xmlns:stream='" + NSStream + "'>", NS,
			"<c:message><c:body/></c:message>", "<message><body/></message>"},
		{"no namespace inside", "<stream:stream xmlns='jabber:client' xmlns:stream='" + NSStream + "'>", NS,
			"<iq><x xmlns=''><y/><z xmlns='jabber:client'/></x></iq>", "<iq><x xmlns=''><y/><z xmlns='jabber:client'/></x></iq>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := NewDecoder(strings.NewReader(c.header+c.stanza), Limits{})
			h, err := d.Open()
			if err != nil || h.NS != c.ns {
				t.Fatalf("%+v, %v", h, err)
			}
			e, err := d.Next()
			if err != nil {
				t.Fatal(err)
			}
			if got := e.String(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestDecoderAssume(t *testing.T) {
	t.Parallel()
	d := NewDecoder(strings.NewReader("<message xmlns='jabber:component:accept'><body xmlns='jabber:client'/></message></stream:stream>"), Limits{})
	d.Assume(Header{NS: NSComponent})
	if e, err := d.Next(); err != nil || !e.Is(NS, "message") || e.Child(NS, "body") == nil {
		t.Errorf("%v, %v", e, err)
	}
	if _, err := d.Next(); err != io.EOF {
		t.Error(err)
	}
}

// TestDecoderRestarts goes through a server's negotiation: STARTTLS changes the
// layer, SASL only the stream.
func TestDecoderRestarts(t *testing.T) {
	t.Parallel()
	open := string(Header{To: "example.org", Version: "1.0"}.AppendXML(nil))
	plain := strings.NewReader(open + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	d := NewDecoder(plain, Limits{})
	if _, err := d.Open(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Next(); err != nil || d.Buffered() != 0 {
		t.Fatal(err, d.Buffered())
	}
	d.Reset(strings.NewReader(open + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>" + open + "<iq type='set'/>"))
	for _, want := range []string{"auth", "iq"} {
		if h, err := d.Open(); err != nil || h.To != "example.org" {
			t.Fatal(h, err)
		}
		if e, err := d.Next(); err != nil || e.Name != want {
			t.Fatal(e, err)
		}
	}
}

func TestDecoderShowsInjectedBytes(t *testing.T) {
	t.Parallel()
	injected := "<iq type='set'/>"
	d := NewDecoder(strings.NewReader(clientHeader+"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"+injected), Limits{})
	if _, err := d.Open(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Next(); err != nil {
		t.Fatal(err)
	}
	if n := d.Buffered(); n != len(injected) {
		t.Errorf("Buffered %d, want %d", n, len(injected))
	}
}

func TestDecoderLimits(t *testing.T) {
	t.Parallel()
	fits := "<a>" + strings.Repeat("x", 10000-7) + "</a>"
	d := NewDecoder(strings.NewReader(strings.Repeat(fits, 3)+strings.Repeat(" \n", 50000)+"<a/>"+fits), Limits{Bytes: 10000})
	for range 4 { // the last after more white space than a stanza may be long
		if _, err := d.Next(); err != nil {
			t.Fatal(err)
		}
	}
	d.SetLimits(Limits{Bytes: 9999})
	if e, err := d.Next(); err == nil {
		t.Errorf("%d bytes accepted", len(e.String()))
	}
}

func TestDecoderEmptyStream(t *testing.T) {
	t.Parallel()
	d := NewDecoder(strings.NewReader("<stream:stream xmlns='jabber:client' id='1' xmlns:stream='"+NSStream+"'/>"), Limits{})
	if h, err := d.Open(); err != nil || h.ID != "1" {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := d.Next(); err != io.EOF {
		t.Error(err)
	}
}

// TestDecoderMemory feeds stanzas without end and measures what they cost: what is
// read, what is allocated in all, and what is kept.
func TestDecoderMemory(t *testing.T) {
	const limit = 64 << 10
	for _, c := range []struct{ name, start, endless string }{
		{"text", "<a>", "x"},
		{"references", "<a>", "&#x1F600;"},
		{"CDATA", "<a><![CDATA[", "]]"},
		{"value", "<a b='", "x"},
		{"name", "<a", "x"},
		{"namespace", "<a xmlns='", "x"},
		{"elements", "<a>", "<b/>"},
		{"names", "<a>", "<b" + strings.Repeat("x", 70) + "/>"},
		{"depth", "<a>", "<b xmlns='urn:b'>"},
		{"attributes", "<a>", "<c d='' e='' f='' g=''/>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := &counted{r: io.MultiReader(strings.NewReader(c.start), &repeat{b: []byte(c.endless)})}
			d := NewDecoder(src, Limits{Bytes: limit, Nodes: 2000})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := d.Next()
			runtime.ReadMemStats(&after)
			var e *Error
			if !errors.As(err, &e) || e.Condition != PolicyViolation {
				t.Error(err)
			}
			if src.n > limit+readSize {
				t.Errorf("%d bytes read", src.n)
			}
			// Growing by doubling makes up to four times what is held in the end.
			if n := after.TotalAlloc - before.TotalAlloc; n > 4*(limit+2000*150) {
				t.Errorf("%d bytes allocated", n)
			}
			if cap(d.text) > keepText || cap(d.nodes) > keepNode || cap(d.attrs) > keepNode || cap(d.name) > keepText {
				t.Errorf("scratch of %d, %d, %d, %d kept", cap(d.text), cap(d.nodes), cap(d.attrs), cap(d.name))
			}
		})
	}
}

type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}
