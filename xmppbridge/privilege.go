package xmppbridge

import (
	"context"
	"errors"
	"strings"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/local"
	"tidings/xmppbridge/stream"
)

// Privileged entities (XEP-0356): a server that trusts the component lets it read and write the contact lists of its accounts,
// and says so in a message when the component's stream is up. Of what there is to be granted only that is used.

// nsPrivileges are the versions of the protocol that servers speak: Prosody the second, ejabberd of its time the first.
var nsPrivileges = []string{"urn:xmpp:privilege:2", "urn:xmpp:privilege:1"}

const (
	// maxGranted bounds the servers whose word is kept.
	maxGranted = 100
	// rosterTimeout bounds one request for somebody's contact list.
	rosterTimeout = 30 * time.Second
)

// deliver takes a message in which a server says what it grants, and reports whether it was one. Only the domain itself can say
// it, and only of its own accounts.
func (l *contactLists) deliver(st *stream.Element) bool {
	var granted *stream.Element
	for _, space := range nsPrivileges {
		if p := st.Child(space, "privilege"); p != nil {
			granted = p
		}
	}
	if granted == nil {
		return false
	}
	from, err := jid.Parse(st.Attr("from"))
	if l.b.o.Audience != Subscribers || err != nil || from.String() != from.Domainpart() {
		return true
	}
	may := false
	for perm := range granted.Children() {
		if perm.Name == "perm" && perm.Attr("access") == "roster" {
			may = perm.Attr("type") == "both"
		}
	}
	l.grant(from.String(), may)
	return true
}

// A listItem is one contact in somebody's list, as their server has it.
type listItem struct {
	name         string
	groups       []string
	subscription string
}

// list asks for somebody's contact list.
func (l *contactLists) list(ctx context.Context, person string) (map[string]listItem, error) {
	answer, err := l.request(ctx, "get", person, stream.New(nsRoster, "query"))
	if err != nil {
		return nil, err
	}
	out := map[string]listItem{}
	for item := range answer.Child(nsRoster, "query").Children() {
		if item.Name != "item" {
			continue
		}
		i := listItem{name: item.Attr("name"), subscription: item.Attr("subscription")}
		for group := range item.Children() {
			if group.Name == "group" {
				i.groups = append(i.groups, group.Content())
			}
		}
		out[item.Attr("jid")] = i
	}
	return out, nil
}

// set puts a contact into somebody's list, subscribed both ways: the server is the person's, the other side is ours.
func (l *contactLists) set(ctx context.Context, person string, c local.Contact) error {
	item := stream.New(nsRoster, "item", "jid", c.JID, "name", c.Name, "subscription", "both")
	for _, g := range c.Groups {
		item.Add(stream.New(nsRoster, "group").AddText(g))
	}
	_, err := l.request(ctx, "set", person, stream.New(nsRoster, "query").Add(item))
	return err
}

// unset takes a contact out of somebody's list.
func (l *contactLists) unset(ctx context.Context, person, target string) error {
	_, err := l.request(ctx, "set", person, stream.New(nsRoster, "query").
		Add(stream.New(nsRoster, "item", "jid", target, "subscription", "remove")))
	if e := (*stream.StanzaError)(nil); errors.As(err, &e) && e.Condition == stream.ItemNotFound {
		return nil
	}
	return err
}

func (l *contactLists) request(ctx context.Context, typ, person string, query *stream.Element) (*stream.Element, error) {
	ctx, cancel := context.WithTimeout(ctx, rosterTimeout)
	defer cancel()
	answer, err := l.b.o.Network.Request(ctx,
		stream.New(stream.NS, "iq", "type", typ, "from", l.b.addresses().Domain(), "to", person).Add(query))
	if e := (*stream.StanzaError)(nil); errors.As(err, &e) && e.Condition == stream.Forbidden {
		_, domain, _ := strings.Cut(person, "@")
		l.grant(domain, false) // it was taken back without a word
	}
	return answer, err
}
