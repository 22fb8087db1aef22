package xmppbridge

import (
	"cmp"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"

	"tidings/mapping"
	"tidings/xmppbridge/local"
	"tidings/xmppbridge/stream"
)

const (
	nsDiscoInfo  = "http://jabber.org/protocol/disco#info"
	nsDiscoItems = "http://jabber.org/protocol/disco#items"
	nsCaps       = "http://jabber.org/protocol/caps"
	nsStanzaID   = "urn:xmpp:sid:0"

	// capsNode is what XEP-0115 calls the node: a URI for the software.
	capsNode = "https://tidings.example/caps"

	// maxItems bounds one disco#items answer: servers cap a stanza at 256 KiB.
	maxItems = 1000
)

// discoFeature answers XEP-0030 for each address as itself: the domain and the hub list the devices the asker may
// see; a command node describes itself as one.
func discoFeature() feature {
	return feature{
		disco: []string{nsDiscoInfo, nsDiscoItems},
		routes: map[routeKey]handler{
			{"get", nsDiscoInfo, "query"}:  answerInfo,
			{"get", nsDiscoItems, "query"}: answerItems,
		},
	}
}

// capsFeature stands for XEP-0115: the hash goes out with presence, and disco answers on its node.
func capsFeature() feature { return feature{disco: []string{nsCaps}} }

// identity is what an address is to a client (the categories are the registrar's).
type identity struct{ category, kind, name string }

// identify says what an address is. A device's identity has no name of its own, so that every device shares one caps
// hash and clients ask once, not once a device; names come with disco#items, the roster and nickname.
func (b *Bridge) identify(t mapping.Target) identity {
	switch t.Kind {
	case mapping.ToDomain:
		return identity{"gateway", "iot", b.name()}
	case mapping.ToHub:
		return identity{"client", "bot", b.name()}
	}
	return deviceIdentity
}

var deviceIdentity = identity{category: "client", kind: "bot"}

func answerInfo(b *Bridge, r *request) (*stream.Element, error) {
	node := r.query.Attr("node")
	device := b.deviceNode(r, node)
	answer := stream.New(nsDiscoInfo, "query", "node", node)
	switch {
	case node == "" || strings.HasPrefix(node, capsNode+"#"):
		id := b.identify(r.target)
		if node != "" && node != capsNode+"#"+b.caps.hash(id) {
			return nil, stream.NewStanzaError(stream.ItemNotFound, "")
		}
		if r.target.Kind != mapping.ToDomain || b.o.Audience != Rosters {
			ids := []identity{id}
			if node == "" && b.keepsNodes(r) {
				ids = append(ids, identity{"pubsub", "pep", ""})
			}
			b.caps.describe(answer, ids...)
			break
		}
		// The domain is also that of the server inside. Identities come first, as the schema of XEP-0030 has it.
		b.caps.describe(answer, id, identity{"server", "im", b.name()})
		for _, v := range local.Features() {
			if !slices.Contains(b.caps.vars, v) {
				answer.Add(stream.New(nsDiscoInfo, "feature", "var", v))
			}
		}
		if b.o.Server != nil {
			answer.Add(b.o.Server()...)
			order := []string{"identity", "feature", "x"}
			slices.SortStableFunc(answer.Nodes, func(x, y *stream.Element) int {
				return cmp.Compare(slices.Index(order, x.Name), slices.Index(order, y.Name))
			})
		}
	case node == nsCommands:
		answer.Add(stream.New(nsDiscoInfo, "identity", "category", "automation", "type", "command-list", "name", "Commands"),
			stream.New(nsDiscoInfo, "feature", "var", nsCommands))
	case device != nil:
		id := deviceIdentity
		id.name = device.Name
		b.caps.describe(answer, id)
	case b.describeNode(answer, r):
	default:
		c, err := b.command(r, node)
		if err != nil {
			return nil, err
		}
		answer.Add(stream.New(nsDiscoInfo, "identity", "category", "automation", "type", "command-node", "name", c.name),
			stream.New(nsDiscoInfo, "feature", "var", nsCommands), stream.New(nsDiscoInfo, "feature", "var", nsForm))
	}
	return answer, nil
}

func answerItems(b *Bridge, r *request) (*stream.Element, error) {
	node := r.query.Attr("node")
	device := b.deviceNode(r, node)
	answer := stream.New(nsDiscoItems, "query", "node", node)
	switch {
	case node == nsCommands:
		for _, c := range b.commands(r) {
			answer.Add(stream.New(nsDiscoItems, "item", "jid", r.to, "node", c.node, "name", c.name))
		}
	case node == "" && r.target.Kind == mapping.ToDomain:
		_, hub := b.addresses().Hub()
		answer.Add(stream.New(nsDiscoItems, "item", "jid", hub, "name", b.name()))
		b.addDevices(answer, r.asker)
	case node == "":
		if r.target.Kind == mapping.ToHub {
			b.addDevices(answer, r.asker)
		}
		b.addNodes(answer, r) // a device's other parts; its commands are under their node
	case device != nil:
		for _, c := range b.deviceCommands(r.asker, device) {
			answer.Add(stream.New(nsDiscoItems, "item", "jid", r.to, "node", c.node, "name", c.name))
		}
	case b.listItem(answer, r):
	default:
		if _, err := b.command(r, node); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// deviceNode returns the device that a node of the hub stands for where devices have no address of their own, or nil. The node
// is the device's slug, as in the IQs of programs.
func (b *Bridge) deviceNode(r *request, node string) *mapping.Device {
	if !b.addresses().Single() {
		return nil
	}
	id, ok := b.addresses().Lookup(node)
	if !ok || !b.sees(r.asker, id) {
		return nil
	}
	d, _, _ := b.o.House.Device(id)
	return d
}

func (b *Bridge) addDevices(answer *stream.Element, a asker) {
	visible := b.visible(a)
	slices.SortStableFunc(visible, func(x, y *mapping.Device) int { return cmp.Compare(x.Name, y.Name) })
	name := b.apart(visible)
	for _, d := range visible[:min(len(visible), maxItems)] {
		_, full := b.addresses().Device(d.ID)
		node := ""
		if b.addresses().Single() {
			node = b.addresses().Slug(d.ID)
		}
		answer.Add(stream.New(nsDiscoItems, "item", "jid", full, "node", node, "name", name(d)))
	}
}

// caps holds what every address announces.
type caps struct {
	vars   []string // sorted
	device *stream.Element
}

func newCaps(features []feature) caps {
	var c caps
	for _, f := range features {
		c.vars = append(c.vars, f.disco...)
	}
	slices.Sort(c.vars)
	c.vars = slices.Compact(c.vars)
	c.device = c.make(deviceIdentity)
	return c
}

// describe fills a disco#info answer.
func (c caps) describe(answer *stream.Element, ids ...identity) {
	for _, id := range ids {
		answer.Add(stream.New(nsDiscoInfo, "identity", "category", id.category, "type", id.kind, "name", id.name))
	}
	for _, v := range c.vars {
		answer.Add(stream.New(nsDiscoInfo, "feature", "var", v))
	}
}

// hash is the verification string of XEP-0115 §5.1.
func (c caps) hash(id identity) string {
	var s strings.Builder
	s.WriteString(id.category + "/" + id.kind + "//" + id.name + "<")
	for _, v := range c.vars {
		s.WriteString(v + "<")
	}
	sum := sha1.Sum([]byte(s.String()))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// element is the <c/> of a presence; that of devices is shared, and not to be changed.
func (c caps) element(id identity) *stream.Element {
	if id == deviceIdentity {
		return c.device
	}
	return c.make(id)
}

func (c caps) make(id identity) *stream.Element {
	return stream.New(nsCaps, "c", "hash", "sha-1", "node", capsNode, "ver", c.hash(id))
}
