package xmppbridge

import (
	"slices"

	"mellium.im/xmpp/jid"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// pubsubFeature answers XEP-0060 at each bare JID of ours: whoever sees a device may read the nodes of its points and
// subscribe to them. They are made and written by us alone.
func pubsubFeature(o *Options) feature {
	if !o.publishesItself() {
		return feature{}
	}
	f := feature{routes: map[routeKey]handler{
		{"get", nsPubsub, "pubsub"}:      answerPubsubGet,
		{"set", nsPubsub, "pubsub"}:      answerPubsubSet,
		{"get", nsPubsubOwner, "pubsub"}: refuseOwner,
		{"set", nsPubsubOwner, "pubsub"}: refuseOwner,
	}}
	for _, name := range []string{"", "#access-whitelist", "#filtered-notifications", "#item-ids", "#last-published", "#meta-data",
		"#persistent-items", "#retrieve-affiliations", "#retrieve-items", "#retrieve-subscriptions", "#subscribe"} {
		f.disco = append(f.disco, nsPubsub+name)
	}
	return f
}

// NodeSubscription is somebody's subscription to the node of a point.
type NodeSubscription struct {
	Device devices.ID
	Point  string
	JID    string // bare or full, as it was subscribed
}

// pubsubError is an error with a condition of XEP-0060.
func pubsubError(condition, typ, detail string, attrs ...string) error {
	e := stream.NewStanzaError(condition, "", stream.New(nsPubsubErrors, detail, attrs...))
	e.Type = typ
	return e
}

// unsupported says what of XEP-0060 there is not.
func unsupported(feature string) error {
	return pubsubError(stream.FeatureNotImplemented, stream.TypeCancel, "unsupported", "feature", feature)
}

// verb is the one thing that a request is about. Others beside it are given only to be refused.
func verb(r *request, beside ...string) (*stream.Element, error) {
	var first *stream.Element
	for c := range r.query.Children() {
		switch {
		case c.Space != r.query.Space:
			return nil, stream.NewStanzaError(stream.BadRequest, "")
		case first == nil:
			first = c
		case !slices.Contains(beside, c.Name):
			return nil, stream.NewStanzaError(stream.BadRequest, "one thing at a time")
		}
	}
	if first == nil {
		return nil, stream.NewStanzaError(stream.BadRequest, "there is nothing in it")
	}
	return first, nil
}

func answerPubsubGet(b *Bridge, r *request) (*stream.Element, error) {
	v, err := verb(r)
	if err != nil {
		return nil, err
	}
	switch v.Name {
	case "items":
		return b.answerItemsOf(r, v)
	case "subscriptions":
		return b.answerSubscriptions(r, v)
	case "affiliations":
		return b.answerAffiliations(r, v)
	case "options":
		return nil, unsupported("subscription-options")
	case "default":
		return nil, unsupported("retrieve-default-sub")
	}
	return nil, stream.NewStanzaError(stream.BadRequest, "")
}

func answerPubsubSet(b *Bridge, r *request) (*stream.Element, error) {
	v, err := verb(r, "configure", "publish-options", "options")
	if err != nil {
		return nil, err
	}
	switch v.Name {
	case "subscribe":
		return b.subscribeNode(r, v)
	case "unsubscribe":
		return b.unsubscribeNode(r, v)
	case "options":
		return nil, unsupported("subscription-options")
	case "create":
		return nil, unsupported("create-nodes")
	case "publish", "retract":
		if _, err := b.nodeAt(r, v); err != nil {
			return nil, err
		}
		return nil, stream.NewStanzaError(stream.Forbidden, "only the device itself publishes here")
	}
	return nil, stream.NewStanzaError(stream.BadRequest, "")
}

// refuseOwner answers who would like to own a node.
func refuseOwner(_ *Bridge, r *request) (*stream.Element, error) {
	v, err := verb(r)
	if err != nil {
		return nil, err
	}
	feature := map[string]string{"configure": "config-node", "default": "retrieve-default", "delete": "delete-nodes",
		"purge": "purge-nodes", "affiliations": "modify-affiliations", "subscriptions": "manage-subscriptions"}[v.Name]
	if feature == "" {
		return nil, stream.NewStanzaError(stream.BadRequest, "")
	}
	return nil, unsupported(feature)
}

// nodeAt finds the node a request is about: one of the device it is sent to or, where devices share an address, of any there.
func (b *Bridge) nodeAt(r *request, v *stream.Element) (changedField, error) {
	name := v.Attr("node")
	if name == "" {
		return changedField{}, pubsubError(stream.BadRequest, stream.TypeModify, "nodeid-required")
	}
	f, ok := b.fieldOf(name)
	if !ok || !b.hosts(r.target, f.device) || !b.sees(r.asker, f.device) {
		return changedField{}, stream.NewStanzaError(stream.ItemNotFound, "")
	}
	if _, _, _, ok = b.readable(f); !ok {
		return changedField{}, stream.NewStanzaError(stream.ItemNotFound, "")
	}
	return f, nil
}

// hosts reports whether the nodes of a device are at a target.
func (b *Bridge) hosts(t mapping.Target, id devices.ID) bool {
	return t.Kind == mapping.ToDevice && t.ID == id || t.Kind != mapping.ToDomain && b.shared(id) && (t.Kind == mapping.ToHub || b.shared(t.ID))
}

// nodesAt are the nodes at an address that somebody may see, by device, as many as one answer holds.
func (b *Bridge) nodesAt(r *request) []changedField {
	var out []changedField
	for _, d := range b.visible(r.asker) {
		if !b.hosts(r.target, d.ID) {
			continue
		}
		for i := range d.Points {
			if p := &d.Points[i]; published(p) && len(out) < maxItems {
				out = append(out, changedField{d.ID, p.Name})
			}
		}
	}
	return out
}

func (b *Bridge) answerItemsOf(r *request, v *stream.Element) (*stream.Element, error) {
	f, err := b.nodeAt(r, v)
	if err != nil {
		return nil, err
	}
	answer := stream.New(nsPubsub, "items", "node", v.Attr("node"))
	wanted, named := true, false
	for i := range v.Children() {
		if !named {
			wanted, named = false, true
		}
		wanted = wanted || i.Attr("id") == itemID
	}
	if _, p, s, ok := b.readable(f); ok && wanted && v.Attr("max_items") != "0" {
		answer.Add(b.item(nsPubsub, f, p, s))
	}
	return stream.New(nsPubsub, "pubsub").Add(answer), nil
}

// subscriber reads whom a request is for: the one who sends it, bare or full.
func subscriber(r *request, v *stream.Element) (string, error) {
	if v.Attr("jid") == "" {
		return "", pubsubError(stream.BadRequest, stream.TypeModify, "jid-required")
	}
	j, err := jid.Parse(v.Attr("jid"))
	if err != nil || j.Bare().String() != person(r.full) {
		return "", pubsubError(stream.BadRequest, stream.TypeModify, "invalid-jid")
	}
	return j.String(), nil
}

// subscribeNode answers subscribe (XEP-0060 §6.1): everyone who sees the device may. The present item follows.
func (b *Bridge) subscribeNode(r *request, v *stream.Element) (*stream.Element, error) {
	f, err := b.nodeAt(r, v)
	if err != nil {
		return nil, err
	}
	who, err := subscriber(r, v)
	if err != nil {
		return nil, err
	}
	if r.query.Child(nsPubsub, "options") != nil {
		return nil, unsupported("subscription-options")
	}
	if !b.items.subscribed(f, who) && !b.items.room(person(r.full)) {
		return nil, pubsubError(stream.PolicyViolation, stream.TypeWait, "too-many-subscriptions")
	}
	answer := stream.New(nsPubsub, "pubsub").Add(
		stream.New(nsPubsub, "subscription", "node", v.Attr("node"), "jid", who, "subscription", "subscribed"))
	b.items.put(f, who)
	b.o.Store.SaveNodeSubscription(NodeSubscription{f.device, f.field, who})
	b.send(stream.Result(r.iq, answer))
	b.items.last(f, who)
	return nil, errLater
}

// unsubscribeNode answers unsubscribe (§6.2), of a node that is gone as well.
func (b *Bridge) unsubscribeNode(r *request, v *stream.Element) (*stream.Element, error) {
	if v.Attr("node") == "" {
		return nil, pubsubError(stream.BadRequest, stream.TypeModify, "nodeid-required")
	}
	who, err := subscriber(r, v)
	if err != nil {
		return nil, err
	}
	f, ok := b.fieldOf(v.Attr("node"))
	if ok && v.Attr("subid") != "" {
		return nil, pubsubError(stream.NotAcceptable, stream.TypeModify, "invalid-subid")
	}
	s := NodeSubscription{f.device, f.field, who}
	if ok && len(b.items.endIf(func(x NodeSubscription) bool { return x == s })) > 0 {
		return nil, nil
	}
	if _, err := b.nodeAt(r, v); err != nil {
		return nil, err
	}
	return nil, pubsubError(stream.UnexpectedRequest, stream.TypeCancel, "not-subscribed")
}

func (b *Bridge) answerSubscriptions(r *request, v *stream.Element) (*stream.Element, error) {
	only := v.Attr("node")
	if only != "" {
		if _, err := b.nodeAt(r, v); err != nil {
			return nil, err
		}
	}
	answer := stream.New(nsPubsub, "subscriptions", "node", only)
	n := 0
	for _, s := range b.items.of(person(r.full)) {
		node := b.nodeOf(changedField{s.Device, s.Point})
		if only != "" && node != only || !b.hosts(r.target, s.Device) || n >= maxItems {
			continue
		}
		n++
		answer.Add(stream.New(nsPubsub, "subscription", "node", node, "jid", s.JID, "subscription", "subscribed"))
	}
	return stream.New(nsPubsub, "pubsub").Add(answer), nil
}

func (b *Bridge) answerAffiliations(r *request, v *stream.Element) (*stream.Element, error) {
	answer := stream.New(nsPubsub, "affiliations", "node", v.Attr("node"))
	if v.Attr("node") != "" {
		if _, err := b.nodeAt(r, v); err != nil {
			return nil, err
		}
	}
	for _, f := range b.nodesAt(r) {
		if node := b.nodeOf(f); v.Attr("node") == "" || v.Attr("node") == node {
			answer.Add(stream.New(nsPubsub, "affiliation", "node", node, "affiliation", "member"))
		}
	}
	return stream.New(nsPubsub, "pubsub").Add(answer), nil
}

// addNodes lists the nodes at an address (XEP-0060 §5.2).
func (b *Bridge) addNodes(answer *stream.Element, r *request) {
	if !b.o.publishesItself() {
		return
	}
	for _, f := range b.nodesAt(r) {
		d, p, _, ok := b.readable(f)
		if !ok || r.target.Kind == mapping.ToDevice && r.target.ID != f.device {
			continue
		}
		bare, _ := b.addresses().Device(f.device)
		answer.Add(stream.New(nsDiscoItems, "item", "jid", bare, "node", b.nodeOf(f), "name", d.Name+": "+p.Label))
	}
}

// describeNode answers disco#info of a node (§5.4), and reports whether there is one.
func (b *Bridge) describeNode(answer *stream.Element, r *request) bool {
	if !b.o.publishesItself() {
		return false
	}
	f, err := b.nodeAt(r, r.query)
	if err != nil {
		return false
	}
	d, p, _, ok := b.readable(f)
	if !ok {
		return false
	}
	name := d.Name + ": " + p.Label
	answer.Add(stream.New(nsDiscoInfo, "identity", "category", "pubsub", "type", "leaf", "name", name),
		stream.New(nsDiscoInfo, "feature", "var", nsPubsub),
		newForm("result", "", "").Add(
			newField("FORM_TYPE", "hidden", "", nsPubsub+"#meta-data"),
			newField("pubsub#type", "text-single", "", itemDialect.Data),
			newField("pubsub#title", "text-single", "", name),
			newField("pubsub#access_model", "list-single", "", "whitelist"),
			newField("pubsub#max_items", "text-single", "", "1")))
	return true
}

// listItem answers disco#items of a node with its item (§5.5), and reports whether there is such a node.
func (b *Bridge) listItem(answer *stream.Element, r *request) bool {
	if !b.o.publishesItself() {
		return false
	}
	f, err := b.nodeAt(r, r.query)
	if err != nil {
		return false
	}
	if _, p, s, ok := b.readable(f); ok && b.item(nsPubsub, f, p, s) != nil {
		answer.Add(stream.New(nsDiscoItems, "item", "jid", bareJID(r.to), "name", itemID))
	}
	return true
}

// keepsNodes reports whether an address is one that has nodes: a bare JID of a device, or of devices.
func (b *Bridge) keepsNodes(r *request) bool {
	return b.o.publishesItself() && bareJID(r.to) == r.to &&
		(r.target.Kind == mapping.ToDevice || r.target.Kind == mapping.ToHub && !b.addresses().Contacts())
}
