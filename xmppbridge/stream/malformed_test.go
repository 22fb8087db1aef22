package stream

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestDecoderRefuses(t *testing.T) {
	t.Parallel()
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for _, c := range []struct{ name, xml, condition string }{
		{"comment", "<!-- -->", RestrictedXML},
		{"comment inside", "<a><!-- --></a>", RestrictedXML},
		{"document type", "<!DOCTYPE a []>", RestrictedXML},
		{"document type inside", "<a><!DOCTYPE a></a>", RestrictedXML},
		{"processing instruction", "<?php ?>", RestrictedXML},
		{"processing instruction inside", "<a><?php ?></a>", RestrictedXML},
		{"declaration in the stream", "<?xml version='1.0'?>", RestrictedXML},
		{"entity", "<a>&nbsp;</a>", RestrictedXML},
		{"entity in a value", "<a b='&lol;'/>", RestrictedXML},

		{"text between stanzas", "<a/>hello", BadFormat},
		{"CDATA between stanzas", "<![CDATA[ ]]>", RestrictedXML},

		{"crossed tags", "<a><b></a></b>", NotWellFormed},
		{"another prefix closes", "<p:a xmlns:p='x' xmlns:q='x'></q:a>", NotWellFormed},
		{"longer name closes", "<a></ab>", NotWellFormed},
		{"shorter name closes", "<ab></a>", NotWellFormed},
		{"another root closes", "</stream>", NotWellFormed},
		{"attribute in a closing tag", "<a></a b='c'>", NotWellFormed},
		{"no name", "<>", NotWellFormed},
		{"space before the name", "< a/>", NotWellFormed},
		{"digit first", "<1a/>", NotWellFormed},
		{"dash first", "<-a/>", NotWellFormed},
		{"local part begins with a digit", "<p:1 xmlns:p='x'/>", NotWellFormed},
		{"two colons", "<a:b:c xmlns:a='x'/>", NotWellFormed},
		{"colon first", "<:a/>", NotWellFormed},
		{"colon last", "<a:/>", NotWellFormed},
		{"multiplication sign in a name", "<a×/>", NotWellFormed},
		{"unquoted value", "<a b=c/>", NotWellFormed},
		{"no value", "<a b/>", NotWellFormed},
		{"attributes not apart", "<a b='1'c='2'/>", NotWellFormed},
		{"slash within a tag", "<a / b='1'>", NotWellFormed},
		{"less-than in a value", "<a b='<'/>", NotWellFormed},
		{"control character in a value", "<a b='\x01'/>", NotWellFormed},
		{"control character in text", "<a>\x00</a>", NotWellFormed},
		{"control character in CDATA", "<a><![CDATA[\x1f]]></a>", NotWellFormed},
		{"U+FFFE", "<a>\uFFFE</a>", NotWellFormed},
		{"U+FFFF in a value", "<a b='\uFFFF'/>", NotWellFormed},
		{"reference to NUL", "<a>&#0;</a>", NotWellFormed},
		{"reference to a surrogate", "<a>&#xD800;</a>", NotWellFormed},
		{"reference beyond Unicode", "<a>&#x110000;</a>", NotWellFormed},
		{"reference that overflows", "<a>&#99999999999999999999999;</a>", NotWellFormed},
		{"empty reference", "<a>&;</a>", NotWellFormed},
		{"empty character reference", "<a>&#;</a>", NotWellFormed},
		{"empty hexadecimal reference", "<a>&#x;</a>", NotWellFormed},
		{"hexadecimal digits without x", "<a>&#1F;</a>", NotWellFormed},
		{"capital X", "<a>&#X1F;</a>", NotWellFormed},
		{"bare ampersand", "<a>a & b</a>", NotWellFormed},
		{"reference without end", "<a>&amp </a>", NotWellFormed},
		{"end of CDATA in text", "<a>]]></a>", NotWellFormed},
		{"CDATA misspelt", "<a><![CData[]]></a>", NotWellFormed},

		{"attribute twice", "<a b='1' b='2'/>", NotWellFormed},
		{"attribute twice by two prefixes", "<a xmlns:p='x' xmlns:q='x' p:b='1' q:b='2'/>", NotWellFormed},
		{"namespace twice", "<a xmlns='x' xmlns='x'/>", NotWellFormed},
		{"prefix twice", "<a xmlns:p='x' xmlns:p='y'/>", NotWellFormed},
		{"prefix unbound", "<p:a/>", NotWellFormed},
		{"prefix of an attribute unbound", "<a p:b='1'/>", NotWellFormed},
		{"prefix out of scope", "<a><b xmlns:p='x'/><p:c/></a>", NotWellFormed},
		{"prefix bound to nothing", "<a xmlns:p=''/>", NotWellFormed},
		{"prefix xmlns for an element", "<xmlns:a/>", NotWellFormed},
		{"prefix xmlns declared", "<a xmlns:xmlns='x'/>", NotWellFormed},
		{"prefix xml bound to something else", "<a xmlns:xml='x'/>", NotWellFormed},
		{"namespace of xml by another prefix", "<a xmlns:p='" + NSXML + "'/>", NotWellFormed},
		{"namespace of xml as the default", "<a xmlns='" + NSXML + "'/>", NotWellFormed},
		{"namespace of xmlns", "<a xmlns='" + nsXMLNS + "'/>", NotWellFormed},

		{"invalid UTF-8 in text", "<a>\xff</a>", UnsupportedEncoding},
		{"invalid UTF-8 in a value", "<a b='\xc3\x28'/>", UnsupportedEncoding},
		{"invalid UTF-8 in a name", "<a\x80/>", UnsupportedEncoding},
		{"invalid UTF-8 in CDATA", "<a><![CDATA[\xfe]]></a>", UnsupportedEncoding},
		{"surrogate in UTF-8", "<a>\xed\xa0\x80</a>", UnsupportedEncoding},
		{"overlong UTF-8", "<a>\xc0\xbc</a>", UnsupportedEncoding},
		{"sequence cut by a tag", "<a>\xe2\x82</a>", UnsupportedEncoding},
		{"UTF-16", "\xff\xfe<\x00", UnsupportedEncoding},

		{"deep", strings.Repeat("<a>", 100), PolicyViolation},
		{"many attributes", "<a" + many(100, " b%d='1'") + "/>", PolicyViolation},
		{"many declarations", "<a" + many(100, " xmlns:b%d='1'") + "/>", PolicyViolation},
		{"many declarations in scope", strings.Repeat("<a"+many(10, " xmlns:b%d='1'")+">", 20), PolicyViolation},
		{"many elements", "<a>" + strings.Repeat("<b/>", 1000) + "</a>", PolicyViolation},
		{"much mixed content", "<a>" + strings.Repeat("<b/>x", 600) + "</a>", PolicyViolation},
		{"long text", "<a>" + strings.Repeat("x", 20000), PolicyViolation},
		{"long value", "<a b='" + strings.Repeat("x", 20000), PolicyViolation},
		{"long name", "<" + strings.Repeat("x", 20000), PolicyViolation},
		{"long gap in a tag", "<a" + strings.Repeat(" ", 20000), PolicyViolation},
		{"long reference", "<a>&#" + strings.Repeat("0", 20000), PolicyViolation},
		{"just too long", "<a>" + strings.Repeat("x", 10000-6) + "</a>", PolicyViolation},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range []io.Reader{
				strings.NewReader(c.xml),
				iotest.OneByteReader(strings.NewReader(c.xml)),
			} {
				d := NewDecoder(r, Limits{Bytes: 10000, Nodes: 1000})
				var err error
				for err == nil {
					_, err = d.Next()
				}
				var e *Error
				if !errors.As(err, &e) || e.Condition != c.condition || e.Remote {
					t.Errorf("got %v, want %s", err, c.condition)
				}
				if _, again := d.Next(); again != err {
					t.Errorf("then %v, want the same again", again)
				}
			}
		})
	}
}

func TestDecoderRefusesHeaders(t *testing.T) {
	t.Parallel()
	const open = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>"
	for _, c := range []struct{ name, xml, condition string }{
		{"no stream namespace", "<stream xmlns='jabber:client'>", InvalidNamespace},
		{"wrong stream namespace", "<stream:stream xmlns:stream='urn:x' xmlns='jabber:client'>", InvalidNamespace},
		{"wrong content namespace", "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='urn:x'>", InvalidNamespace},
		{"another element", "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>", InvalidNamespace},
		{"unbound prefix", "<stream:stream xmlns='jabber:client'>", NotWellFormed},
		{"plain HTTP", "GET / HTTP/1.1\r\n", BadFormat},
		{"TLS", "\x16\x03\x01", BadFormat},
		{"other encoding", "<?xml version='1.0' encoding='ISO-8859-1'?>" + open, UnsupportedEncoding},
		{"UTF-16", "\xfe\xff\x00<", UnsupportedEncoding},
		{"XML 2", "<?xml version='2.0'?>" + open, NotWellFormed},
		{"declaration without version", "<?xml encoding='UTF-8'?>" + open, NotWellFormed},
		{"empty declaration", "<?xml?>" + open, NotWellFormed},
		{"declaration out of order", "<?xml version='1.0' standalone='yes' encoding='UTF-8'?>" + open, NotWellFormed},
		{"declaration with more", "<?xml version='1.0' x='y'?>" + open, NotWellFormed},
		{"declaration twice", "<?xml version='1.0'?><?xml version='1.0'?>" + open, RestrictedXML},
		{"style sheet", "<?xml-stylesheet href='x'?>" + open, RestrictedXML},
		{"document type", "<!DOCTYPE x [<!ENTITY a 'b'>]>" + open, RestrictedXML},
		{"comment", "<!-- x -->" + open, RestrictedXML},
		{"closing tag", "</stream:stream>", NotWellFormed},
		{"long", "<stream:stream to='" + strings.Repeat("x", 20000), PolicyViolation},
		{"long declaration", "<?xml " + strings.Repeat(" ", 20000), PolicyViolation},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := NewDecoder(strings.NewReader(c.xml), Limits{Bytes: 10000})
			_, err := d.Open()
			var e *Error
			if !errors.As(err, &e) || e.Condition != c.condition {
				t.Errorf("got %v, want %s", err, c.condition)
			}
		})
	}
}

func TestDecoderOnConnectionsThatEnd(t *testing.T) {
	t.Parallel()
	const whole = clientHeader + "<message to='a'><body>x&amp;y</body><![CDATA[z]]></message>"
	for i := range len(whole) {
		d := NewDecoder(strings.NewReader(whole[:i]), Limits{})
		_, err := d.Open()
		for err == nil {
			_, err = d.Next()
		}
		if err != io.ErrUnexpectedEOF {
			t.Fatalf("after %q: %v", whole[:i], err)
		}
	}
	broken := errors.New("broken")
	d := NewDecoder(iotest.ErrReader(broken), Limits{})
	if _, err := d.Next(); !errors.Is(err, broken) {
		t.Errorf("reader's error: %v", err)
	}
	d = NewDecoder(silent{}, Limits{})
	if _, err := d.Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("reader that brings nothing: %v", err)
	}
}

type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }
