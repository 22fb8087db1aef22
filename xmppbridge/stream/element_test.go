package stream

import (
	"slices"
	"strings"
	"testing"
)

func TestElementAccessors(t *testing.T) {
	t.Parallel()
	e := New(NS, "message", "to", "a@b", "from", "", "xml:lang", "de", "odd").
		AddText("x").AddText("").AddText("y").
		Add(New("urn:x", "body"), nil, New(NS, "body").AddText("hello ").Add(New(NS, "b").AddText("not")).AddText("you")).
		AddText("z")
	if got, want := e.String(), "<message to='a@b' xml:lang='de'>xy<body xmlns='urn:x'/><body>hello <b>not</b>you</body>z</message>"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for got, want := range map[string]string{
		e.Attr("to"): "a@b", e.Attr("from"): "", e.Attr("xml:lang"): "de",
		e.Content(): "xyz", e.Body(): "hello you", e.ChildText("", "body"): "",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if c := e.Child("", "body"); !c.Is("urn:x", "body") || c != e.First() {
		t.Errorf("first child %v", c)
	}
	if e.Child("", "") != nil || e.Child("urn:y", "body") != nil {
		t.Error("a child that is not there")
	}
	if n := len(slices.Collect(e.Children())); n != 2 {
		t.Errorf("%d children", n)
	}
	e.SetAttr("to", "c@d").SetAttr("xml:lang", "").SetAttr("lang", "")
	if got := e.String(); !strings.HasPrefix(got, "<message to='c@d'>") {
		t.Error(got)
	}

	var none *Element
	if none.Attr("a") != "" || none.Child("", "a") != nil || none.Content() != "" || none.Body() != "" ||
		none.First() != nil || none.Clone() != nil || none.String() != "" || none.Is("", "") {
		t.Error("a nil element is not empty")
	}
}

func TestCloneIsIndependent(t *testing.T) {
	t.Parallel()
	const xml = "<iq id='1'><q xmlns='urn:q'><v>x</v>tail</q></iq>"
	e, err := Parse([]byte(xml))
	if err != nil {
		t.Fatal(err)
	}
	c := e.Clone()
	c.SetAttr("id", "2").First().AddText("!").First().AddText("?").Nodes[0].Text = "changed"
	if got := e.String(); got != xml {
		t.Errorf("the original is now %s", got)
	}
}

// TestDecodedElementsMayChange checks that siblings, which share memory, do not
// write over each other when they grow.
func TestDecodedElementsMayChange(t *testing.T) {
	t.Parallel()
	e, err := Parse([]byte("<a><b x='1'><c/></b><d y='1'><e/></d></a>"))
	if err != nil {
		t.Fatal(err)
	}
	b := e.First()
	b.SetAttr("z", "2").Add(New(NS, "f")).AddText("g")
	e.Add(New(NS, "h"))
	if got, want := e.String(), "<a><b x='1' z='2'><c/><f/>g</b><d y='1'><e/></d><h/></a>"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAppendXML(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		e    *Element
		want string
	}{
		{"inherited", New(NS, "iq").Add(New("urn:q", "q").Add(New("urn:q", "i"), New(NS, "i"))),
			"<iq><q xmlns='urn:q'><i/><i xmlns='jabber:client'/></q></iq>"},
		{"top of its own", New("urn:q", "r"), "<r xmlns='urn:q'/>"},
		{"stream prefix", New(NSStream, "features").Add(New("urn:b", "bind").Add(New(NSStream, "x"))),
			"<stream:features><bind xmlns='urn:b'><stream:x/></bind></stream:features>"},
		{"xml prefix", New(NSXML, "x"), "<xml:x/>"},
		{"no namespace", New(NS, "a").Add(New("", "b").Add(New("", "c"))), "<a><b xmlns=''><c/></b></a>"},
		{"escapes", New(NS, "a", "b", "<'\">&\t\n\r\u00e9").AddText("<'\">&\t\n\r\u00e9]]>"),
			"<a b='&lt;&apos;\"&gt;&amp;&#9;&#10;&#13;\u00e9'>&lt;'\"&gt;&amp;\t\n&#13;\u00e9]]&gt;</a>"},
		{"forbidden characters", New(NS, "a", "b", "\x00\xff").AddText("x\x01\xf0\x28\uFFFE\uFFFD\xed\xa0\x80"),
			"<a b='\uFFFD\uFFFD'>x\uFFFD\uFFFD(\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD</a>"},
		{"forbidden names", New(NS, "a b", "c='d", "e", "1f", "g", "é×", "h").Add(New(NS, "x:y"), New(NS, "-")),
			"<a_b c__d='e' _f='g' é_='h'><x_y/><_/></a_b>"},
		{"xmlns as an attribute", New(NS, "a", "xmlns", "urn:x"), "<a/>"},
		{"namespaced attributes", &Element{Space: NS, Name: "a", Attrs: []Attr{
			{"", "p", "1"}, {"urn:x", "q", "2"}, {"urn:y&", "q", "3"}, {"urn:x", "r", "4"}, {NSXML, "lang", "de"}, {nsXMLNS, "s", "5"}}},
			"<a p='1' xmlns:n1='urn:x' n1:q='2' xmlns:n2='urn:y&amp;' n2:q='3' n1:r='4' xml:lang='de'/>"},
		{"text", Text("a<b"), "a&lt;b"},
		{"empty text", New(NS, "a").Add(Text("")), "<a></a>"},
	} {
		if got := c.e.String(); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
	if got := string(New(NS, "b").AppendXML([]byte("<a/>"))); got != "<a/><b/>" {
		t.Error(got)
	}
}

func TestAppendXMLAllocatesNothing(t *testing.T) {
	e, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buf = e.AppendXML(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if string(buf) != sample {
		t.Errorf("got %s", buf)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	if e, err := Parse([]byte(" <a/>\n")); err != nil || !e.Is(NS, "a") {
		t.Errorf("%v, %v", e, err)
	}
	for _, bad := range []string{"", " ", "x", "<a/><b/>", "<a/>x", "<a/></stream:stream>", "</stream:stream>", "<a>", "<?xml version='1.0'?><a/>"} {
		if e, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%q read as %v", bad, e)
		}
	}
}
