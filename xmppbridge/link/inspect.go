package link

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tidings/xmppbridge/stream"
)

const nsVCard = "vcard-temp"

// inspectTime bounds what is asked of an account once logged in.
const inspectTime = 20 * time.Second

// Inspect logs in to an account, as a resource of a name of its own, and looks whether it is a gateway's: an ErrPerson says that it
// is not. Resources that own accepts may be connected: they are the running gateway's. Those to whom the account shows its presence
// see one more resource of it come and go.
func Inspect(ctx context.Context, c ClientConfig, own func(resource string) bool) error {
	c.Resource = "tidings-check-" + strings.ToLower(rand.Text()[:8])
	conn, err := DialClient(ctx, c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	bare, _, _ := strings.Cut(conn.JID, "/")
	_, domain, _ := strings.Cut(bare, "@")
	var (
		mu      sync.Mutex
		foreign []string
	)
	decoder := stream.NewDecoder(conn, stream.Limits{})
	decoder.Assume(stream.Header{From: domain, ID: conn.StreamID, Version: "1.0", NS: conn.Namespace})
	s := stream.NewStream(conn, decoder, stream.Options{JID: conn.JID, Handle: func(e *stream.Element) {
		from, resource, _ := strings.Cut(e.Attr("from"), "/")
		if e.Name == "presence" && e.Attr("type") == "" && from == bare && resource != c.Resource && !own(resource) {
			mu.Lock()
			defer mu.Unlock()
			if len(foreign) < 10 {
				foreign = append(foreign, strings.Clone(resource))
			}
		}
	}})
	live, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(live) }()
	card, err := look(ctx, s, bare, domain)
	end()
	<-ended
	switch {
	case err != nil:
		return failf(nil, err, "%s: %s: logged in, and then: %v", "account "+bare, conn.Server, err)
	case len(foreign) > 0:
		slices.Sort(foreign)
		return failf(ErrPerson, nil, "account %s: somebody else is logged in to it (%s): use an account of the gateway's own, for it would answer for them and they for it",
			bare, strings.Join(foreign, ", "))
	case card != "":
		return failf(ErrPerson, nil, "account %s: it has a vCard (%s), so it is a person's: use an account of the gateway's own", bare, clip(card))
	}
	return nil
}

// look asks what only the account itself may ask: its vCard, of which it returns something by which people know it, and who else is
// logged in, which the server tells whoever comes.
func look(ctx context.Context, s *stream.Stream, bare, domain string) (card string, err error) {
	answer, err := s.Request(ctx, stream.New(stream.NS, "iq", "type", "get", "to", bare).Add(stream.New(nsVCard, "vCard")))
	refused := (*stream.StanzaError)(nil)
	if err != nil && !errors.As(err, &refused) { // there is none, or none are kept
		return "", fmt.Errorf("vCard: %w", err)
	}
	for field := range answer.Child(nsVCard, "vCard").Children() {
		if !filled(field) {
			continue // a server may make an empty name of none
		}
		if text := strings.TrimSpace(field.Content()); card == "" || field.Name == "FN" {
			card = field.Name
			if text != "" && len(text) < 100 {
				card += " " + text
			}
		}
	}
	for _, presence := range []*stream.Element{
		stream.New(stream.NS, "presence").Add(stream.New(stream.NS, "priority").AddText("-1"),
			stream.New(stream.NS, "status").AddText("checking the configuration")),
		stream.New(stream.NS, "presence", "type", "unavailable"),
	} {
		if err := s.Send(presence); err != nil {
			return "", err
		}
		// Behind it come the others', and then the answer.
		if _, err := s.Request(ctx, stream.New(stream.NS, "iq", "type", "get", "to", domain).Add(stream.New(nsPing, "ping"))); err != nil && !errors.As(err, &refused) {
			return "", err
		}
	}
	return card, nil
}

// filled reports whether there is any text in an element.
func filled(e *stream.Element) bool {
	if strings.TrimSpace(e.Content()) != "" {
		return true
	}
	for child := range e.Children() {
		if filled(child) {
			return true
		}
	}
	return false
}
