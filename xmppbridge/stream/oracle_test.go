package stream

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// oracle reads one element with encoding/xml and writes what it says in a plain
// form, to compare with plain.
func oracle(b []byte) (string, error) {
	d := xml.NewDecoder(io.MultiReader(
		strings.NewReader("<stream:stream xmlns='jabber:client' xmlns:stream='"+NSStream+"'>"), bytes.NewReader(b)))
	var out strings.Builder
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			out.WriteString("[" + text.String() + "]")
			text.Reset()
		}
	}
	for depth := 0; ; {
		tok, err := d.Token()
		if err != nil {
			return "", err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if depth++; depth == 1 {
				continue
			}
			flush()
			out.WriteString("(" + known(tok.Name.Space) + "|" + tok.Name.Local)
			for _, a := range tok.Attr {
				if a.Name.Space == "xmlns" || a.Name == (xml.Name{Local: "xmlns"}) {
					continue
				}
				out.WriteString(" " + known(a.Name.Space) + "|" + a.Name.Local + "=" + a.Value + ";")
			}
		case xml.EndElement:
			flush()
			out.WriteString(")")
			if depth--; depth == 1 {
				return out.String(), nil
			}
		case xml.CharData:
			if depth > 1 {
				text.Write(tok)
			}
		}
	}
}

// known makes up for encoding/xml, which leaves the prefix xml as it is.
func known(space string) string {
	if space == "xml" {
		return NSXML
	}
	return space
}

// plain writes a tree as oracle does.
func plain(out *strings.Builder, e *Element) string {
	if e.Name == "" {
		out.WriteString("[" + e.Text + "]")
		return ""
	}
	out.WriteString("(" + known(e.Space) + "|" + e.Name)
	for _, a := range e.Attrs {
		out.WriteString(" " + known(a.Space) + "|" + a.Name + "=" + a.Value + ";")
	}
	for _, n := range e.Nodes {
		plain(out, n)
	}
	out.WriteString(")")
	return out.String()
}

// corpus is stanzas as servers and clients send them, and XML at its edges.
var corpus = []string{
	sample,
	"<a/>", "<a></a>", "<a  b = '1'\n\tc=\"2'3\" />", "<a xml:lang='de'/>", "<a>]]&gt;</a>", "<a>\r\n\r\t</a>", "<a b='&#10;&#x9;'/>",
	"<p:a xmlns:p='urn:p' p:b='c'><p:d xmlns:p='urn:q' p:e=''/></p:a>",
	"<a xmlns='urn:a'><b xmlns=''><c/></b></a>",
	"<a><![CDATA[ <&]] ]]]]><![CDATA[>]]></a>",
	"<été naïve='ü'>Ω</été>",
	"<iq type='result' id='a' xmlns='jabber:client'><query xmlns='http://jabber.org/protocol/disco#info'>" +
		"<identity category='client' type='bot' name='x &amp; y'/><feature var='urn:xmpp:ping'/></query></iq>",
	"<message type='groupchat' xml:lang='en'><body>a&#x1F600;b</body><html xmlns='http://jabber.org/protocol/xhtml-im'>" +
		"<body xmlns='http://www.w3.org/1999/xhtml'><p>x<em>y</em>z<br/></p></body></html></message>",
	"<message><result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>" +
		"<message xmlns='jabber:client' from='a@b'><body>hi</body></message></forwarded></result></message>",
	"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>",
	"<iq><x xmlns='jabber:x:data' type='submit'><field var='a'><value>1</value></field></x></iq>",
}

func TestDecoderAgreesWithEncodingXML(t *testing.T) {
	t.Parallel()
	for _, in := range corpus {
		e, err := Parse([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		want, err := oracle([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := plain(new(strings.Builder), e); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", in, got, want)
		}
	}
}

// FuzzDecoder checks what holds for any input: no panic, an error or a tree that
// survives being written and read, and no other reading than encoding/xml's.
func FuzzDecoder(f *testing.F) {
	for _, in := range corpus {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := Parse(in)
		if err != nil {
			var bad *Error
			if !errors.As(err, &bad) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%q: unexpected error %v", in, err)
			}
			return
		}
		out := e.AppendXML(nil)
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("%q was written as %q: %v", in, out, err)
		}
		if a, b := plain(new(strings.Builder), e), plain(new(strings.Builder), again); a != b {
			t.Fatalf("%q was written as %q\nread  %s\nagain %s", in, out, a, b)
		}
		want, err := oracle(out)
		var syntax *xml.SyntaxError
		if errors.As(err, &syntax) && strings.HasPrefix(syntax.Msg, "invalid XML name") {
			return // it knows the names of XML's fourth edition, which are fewer
		}
		if err != nil {
			t.Fatalf("%q was written as %q, of which encoding/xml says %v", in, out, err)
		}
		if got := plain(new(strings.Builder), e); got != want {
			t.Fatalf("%q was written as %q\ngot  %s\nwant %s", in, out, got, want)
		}
	})
}

// FuzzStream feeds whole streams, headers included, in one piece and byte by byte.
func FuzzStream(f *testing.F) {
	for _, in := range corpus {
		f.Add([]byte(clientHeader + in + "</stream:stream>"))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		read := func(r io.Reader) string {
			d := NewDecoder(r, Limits{Depth: 8, Attrs: 8, Nodes: 100})
			h, err := d.Open()
			out := h.AppendXML(nil)
			for err == nil {
				var e *Element
				e, err = d.Next()
				out = e.AppendXML(out)
			}
			return string(out) + err.Error()
		}
		if a, b := read(bytes.NewReader(in)), read(&trickle{in}); a != b {
			t.Fatalf("whole %s\nbytes %s", a, b)
		}
	})
}

// trickle brings a byte a read.
type trickle struct{ b []byte }

func (r *trickle) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	p[0] = r.b[0]
	r.b = r.b[1:]
	return 1, nil
}

// TestTreesSurviveTheWire writes and reads random trees of anything a caller
// might put in.
func TestTreesSurviveTheWire(t *testing.T) {
	t.Parallel()
	space := rapid.SampledFrom([]string{NS, NSStream, NSXML, "", "urn:a", "urn:b&<'"})
	name := rapid.SampledFrom([]string{"a", "body", "été", "x-y.z_1"})
	text := rapid.OneOf(rapid.StringMatching(`[a-z<>&'"\]\r\n\t ]{1,12}`), rapid.String())
	var tree func(depth int) *rapid.Generator[*Element]
	tree = func(depth int) *rapid.Generator[*Element] {
		return rapid.Custom(func(t *rapid.T) *Element {
			e := New(space.Draw(t, "space"), name.Draw(t, "name"))
			used := map[Attr]bool{}
			for range rapid.IntRange(0, 4).Draw(t, "attrs") {
				a := Attr{Space: space.Draw(t, "space"), Name: name.Draw(t, "name")}
				if !used[a] {
					used[a] = true
					a.Value = text.Draw(t, "value")
					e.Attrs = append(e.Attrs, a)
				}
			}
			if depth == 0 {
				return e
			}
			for range rapid.IntRange(0, 4).Draw(t, "nodes") {
				if rapid.Bool().Draw(t, "is text") {
					e.AddText(text.Draw(t, "text"))
				} else {
					e.Add(tree(depth-1).Draw(t, "child"))
				}
			}
			return e
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		e := tree(3).Draw(t, "tree")
		out := e.AppendXML(nil)
		got, err := Parse(out)
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if again := got.AppendXML(nil); !bytes.Equal(again, out) {
			t.Fatalf("written %s\nagain   %s", out, again)
		}
		clean := e.Clone()
		sanitise(clean)
		if a, b := plain(new(strings.Builder), got), plain(new(strings.Builder), clean); a != b {
			t.Fatalf("%s\ngot  %s\nwant %s", out, a, b)
		}
	})
}

// sanitise does to a tree what writing does to characters that XML cannot carry.
func sanitise(e *Element) {
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			if !isChar(r) {
				return '\uFFFD'
			}
			return r
		}, s)
	}
	e.Text = clean(e.Text)
	for i := range e.Attrs {
		e.Attrs[i].Value = clean(e.Attrs[i].Value)
	}
	for _, n := range e.Nodes {
		sanitise(n)
	}
}
