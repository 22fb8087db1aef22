package stream_test

import (
	"context"
	"fmt"
	"net"

	"tidings/xmppbridge/stream"
)

// Two ends of a connection: one asks, the other answers.
func Example() {
	near, far := net.Pipe()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)

	var server *stream.Stream
	server = stream.NewStream(far, stream.NewDecoder(far, stream.Limits{}), stream.Options{
		Handle: func(e *stream.Element) {
			if e.Child("urn:xmpp:ping", "ping") != nil {
				_ = server.Send(stream.Result(e))
				return
			}
			_ = server.Send(stream.ErrorReply(e, stream.NewStanzaError(stream.ServiceUnavailable, "")))
		},
	})
	client := stream.NewStream(near, stream.NewDecoder(near, stream.Limits{}), stream.Options{JID: "me@example.org/home"})
	go func() { ended <- server.Run(ctx) }()
	go func() { ended <- client.Run(ctx) }()

	answer, err := client.Request(ctx, stream.New(stream.NS, "iq", "type", "get", "to", "example.org", "id", "1").
		Add(stream.New("urn:xmpp:ping", "ping")))
	fmt.Println(answer, err)
	_, err = client.Request(ctx, stream.New(stream.NS, "iq", "type", "get", "to", "example.org", "id", "2").
		Add(stream.New("jabber:iq:version", "query")))
	fmt.Println(err)

	stop()
	fmt.Println(<-ended, <-ended)
	// Output:
	// <iq type='result' from='example.org' id='1'/> <nil>
	// service-unavailable
	// <nil> <nil>
}

func ExampleElement_AppendXML() {
	e := stream.New(stream.NS, "presence", "from", "lamp@things.example.org/lamp", "to", "").
		Add(
			stream.New(stream.NS, "status").AddText("21.4 °C & rising"),
			stream.New("http://jabber.org/protocol/caps", "c", "hash", "sha-1"),
		)
	fmt.Printf("%s\n", e.AppendXML(nil))
	// Output:
	// <presence from='lamp@things.example.org/lamp'><status>21.4 °C &amp; rising</status><c xmlns='http://jabber.org/protocol/caps' hash='sha-1'/></presence>
}
