package stream

import (
	"errors"
	"io"
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
