package xmppbridge

import (
	"context"
	"slices"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// admit lets those in who see the device, and nobody else.
func (p *publisher) admit(ctx context.Context, name string, n *remoteNode, f changedField) error {
	want := p.members(f.device)
	if n.members != nil && slices.Equal(n.members, want) {
		return nil
	}
	have, err := p.admitted(ctx, name)
	if err != nil {
		return err
	}
	list := stream.New(nsPubsubOwner, "affiliations", "node", name)
	out := false
	for _, jid := range have {
		if !slices.Contains(want, jid) {
			out = true
			list.Add(stream.New(nsPubsubOwner, "affiliation", "jid", jid, "affiliation", "none"))
		}
	}
	for _, jid := range want {
		if !slices.Contains(have, jid) {
			list.Add(stream.New(nsPubsubOwner, "affiliation", "jid", jid, "affiliation", "member"))
		}
	}
	can, err := p.unsubscribe(ctx, name, want)
	if err == nil && out && !can {
		return p.remake(ctx, name, n, f)
	}
	if err == nil && list.First() != nil {
		_, err = p.request(ctx, p.service, "set", stream.New(nsPubsubOwner, "pubsub").Add(list))
	}
	if err == nil && out { // who came back in between
		_, err = p.unsubscribe(ctx, name, want)
	}
	if err == nil {
		n.members = want
	}
	return err
}

// remake makes a node anew, without those who may see it no longer: the service does not say who is subscribed, and may go on
// telling them (ejabberd does). The others have to subscribe again, as the notice of the deletion tells them.
func (p *publisher) remake(ctx context.Context, name string, n *remoteNode, f changedField) error {
	if _, err := p.request(ctx, p.service, "set", stream.New(nsPubsubOwner, "pubsub").
		Add(stream.New(nsPubsubOwner, "delete", "node", name))); err != nil {
		return err
	}
	*n = remoteNode{}
	if err := p.close(ctx, name, n); err != nil {
		return err
	}
	return p.admit(ctx, name, n, f)
}

// unsubscribe ends the subscriptions to a node of all but some: a service may go on telling those who are let in no more. It
// reports whether the service lets its owner do that.
func (p *publisher) unsubscribe(ctx context.Context, name string, but []string) (can bool, err error) {
	answer, err := p.request(ctx, p.service, "get", stream.New(nsPubsubOwner, "pubsub").
		Add(stream.New(nsPubsubOwner, "subscriptions", "node", name)))
	if e := refused(err); e != nil && (e.Condition == stream.FeatureNotImplemented || e.Condition == stream.ServiceUnavailable ||
		e.Condition == stream.BadRequest) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	list := stream.New(nsPubsubOwner, "subscriptions", "node", name)
	for s := range answer.Child(nsPubsubOwner, "pubsub").Child(nsPubsubOwner, "subscriptions").Children() {
		if jid := s.Attr("jid"); jid != "" && !slices.Contains(but, person(jid)) && !p.ours(jid) {
			list.Add(stream.New(nsPubsubOwner, "subscription", "jid", jid, "subid", s.Attr("subid"), "subscription", "none"))
		}
	}
	if list.First() == nil {
		return true, nil
	}
	_, err = p.request(ctx, p.service, "set", stream.New(nsPubsubOwner, "pubsub").Add(list))
	return true, err
}

// ours reports whether an address is the one that nodes are owned by.
func (p *publisher) ours(jid string) bool {
	hub, _ := p.b.addresses().Hub()
	return person(jid) == hub
}

// admitted are those a node lets in by name, its owners and publishers aside.
func (p *publisher) admitted(ctx context.Context, name string) ([]string, error) {
	answer, err := p.request(ctx, p.service, "get", stream.New(nsPubsubOwner, "pubsub").
		Add(stream.New(nsPubsubOwner, "affiliations", "node", name)))
	if err != nil {
		return nil, err
	}
	var out []string
	for a := range answer.Child(nsPubsubOwner, "pubsub").Child(nsPubsubOwner, "affiliations").Children() {
		if a.Attr("affiliation") == "member" {
			out = append(out, a.Attr("jid"))
		}
	}
	return out, nil
}

// members are the bare JIDs that may see a device, as far as they are known by name: from [access], and from the contacts of those
// who come with a domain. They are sorted, and never nil.
func (p *publisher) members(id devices.ID) []string {
	access := p.b.access()
	out := []string{}
	for _, bare := range access.People() {
		if access.CanSee(bare, id) {
			out = append(out, bare)
		}
	}
	for _, sub := range p.b.roster.all() {
		if sub.From && access.Role(sub.Watcher) != mapping.None && access.CanSee(sub.Watcher, id) {
			out = append(out, sub.Watcher)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
