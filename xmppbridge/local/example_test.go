package local_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"tidings/xmppbridge/local"
	"tidings/xmppbridge/stream"
)

// home is a house with a lamp, where alice lives.
type home struct{ server *local.Server }

func (h *home) Account(name string) bool { return name == "alice" }

func (h *home) Contacts(string) []local.Contact {
	return []local.Contact{{JID: "lamp@home.example", Name: "Lamp", Groups: []string{"Hall"}}}
}

func (h *home) Resources(string) []string { return []string{"lamp@home.example/lamp"} }

func (h *home) Available(full string, _ *stream.Element, initial bool) {
	if initial {
		h.server.Send(stream.New(stream.NS, "presence", "from", "lamp@home.example/lamp", "to", full).
			Add(stream.New(stream.NS, "status").AddText("on")))
	}
}

func (h *home) Unavailable(string) {}

func (h *home) Deliver(st *stream.Element) {
	if refusal := stream.ErrorReply(st, stream.NewStanzaError(stream.ServiceUnavailable, "")); refusal != nil {
		h.server.Send(refusal)
	}
}

// accounts remembers one password and no edits.
type accounts struct{ alice local.Credentials }

func (a accounts) Credentials(_ context.Context, name string) (local.Credentials, error) {
	if name != "alice" {
		return local.Credentials{}, local.ErrNoAccount
	}
	return a.alice, nil
}

func (accounts) Items(context.Context, string) ([]local.Item, error) { return nil, nil }
func (accounts) PutItem(context.Context, string, local.Item) error   { return nil }
func (accounts) DeleteItem(context.Context, string, string) error    { return nil }

// It keeps no messages either, and nobody is blocked.
func (accounts) Archive(local.Archived) {}
func (accounts) Archived(context.Context, string, local.ArchiveQuery) (local.ArchivePage, error) {
	return local.ArchivePage{}, nil
}
func (accounts) PruneArchive(context.Context, time.Time, int, int) error      { return nil }
func (accounts) PutOffline(context.Context, string, []byte, int, int) error   { return local.ErrFull }
func (accounts) TakeOffline(context.Context, string) ([][]byte, error)        { return nil, nil }
func (accounts) Blocked(context.Context, string) ([]string, error)            { return nil, nil }
func (accounts) SetBlocked(context.Context, string, []string, []string) error { return nil }

// Nor does it keep what people publish.
func (accounts) Nodes(context.Context, string) (map[string][]byte, error) { return nil, nil }
func (accounts) PutNode(context.Context, string, string, []byte) error    { return local.ErrFull }
func (accounts) DeleteNode(context.Context, string, string) error         { return nil }

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	cert, _, err := local.Certificate(dir, "home.example")
	if err != nil {
		fmt.Println(err)
		return
	}
	credentials, err := local.NewCredentials("correct horse battery staple")
	if err != nil {
		fmt.Println(err)
		return
	}
	house := new(home)
	house.server, err = local.New(local.Options{
		Domain: "home.example", Listen: []string{"127.0.0.1:0"},
		Certificate: cert, Backend: house, Store: accounts{credentials},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- house.server.Run(ctx) }()
	fmt.Println("addresses:", len(house.server.Addrs(ctx)))
	fmt.Println("alice:", house.server.Send(stream.New(stream.NS, "message", "to", "alice@home.example")))
	cancel()
	fmt.Println("end:", <-done)
	// Output:
	// addresses: 1
	// alice: xmpp server: send to alice@home.example: nobody is there
	// end: <nil>
}
