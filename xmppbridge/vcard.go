package xmppbridge

import (
	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/faces"
	"tidings/xmppbridge/stream"
)

const (
	nsVCard       = "vcard-temp"
	nsVCardUpdate = "vcard-temp:x:update"
	nsNick        = "http://jabber.org/protocol/nick"

	// hubFace is the picture of the gateway itself.
	hubFace = "hub"
)

// vcardFeature answers XEP-0054: who a device is, with the picture of its class. The account of client mode has a vCard of its
// own, which its server answers.
func vcardFeature(audience Audience) feature {
	if audience == Broadcast {
		return feature{}
	}
	return feature{
		disco: []string{nsVCard},
		routes: map[routeKey]handler{
			{"get", nsVCard, "vCard"}: answerVCard,
			{"set", nsVCard, "vCard"}: func(*Bridge, *request) (*stream.Element, error) {
				return nil, stream.NewStanzaError(stream.Forbidden, "names and pictures come from the gateway's configuration")
			},
		},
	}
}

func answerVCard(b *Bridge, r *request) (*stream.Element, error) {
	name, place, about := b.name(), "", "IoT gateway (tidings)"
	face := hubFace
	if r.target.Kind == mapping.ToDevice {
		d, _, err := b.device(r.target.ID)
		if err != nil {
			return nil, err
		}
		name, place, about, face = d.Name, d.Location, d.Model, d.Face()
	}
	card := stream.New(nsVCard, "vCard")
	text := func(in *stream.Element, element, value string) {
		if value != "" {
			in.Add(stream.New(nsVCard, element).AddText(value))
		}
	}
	text(card, "FN", name)
	text(card, "NICKNAME", name)
	picture := faces.Get(face)
	card.Add(stream.New(nsVCard, "PHOTO").Add(stream.New(nsVCard, "TYPE").AddText(faces.Type),
		stream.New(nsVCard, "BINVAL").AddText(picture.Base64)))
	text(card, "JABBERID", bareJID(r.to))
	if place != "" { // the group that people find it in
		categories := stream.New(nsVCard, "CATEGORIES")
		text(categories, "KEYWORD", place)
		card.Add(categories)
	}
	text(card, "DESC", about)
	return card, nil
}

// photo is what a presence says of the picture (XEP-0153): where the bare JID is the sender's own, since that is what clients
// take it for. It is nil elsewhere.
func (b *Bridge) photo(id devices.ID) *stream.Element {
	if b.o.Audience == Broadcast {
		return nil
	}
	face := hubFace
	if id != hubKey {
		d, _, ok := b.o.House.Device(id)
		if !ok || b.shared(id) {
			return nil
		}
		face = d.Face()
	}
	return stream.New(nsVCardUpdate, "x").Add(stream.New(nsVCardUpdate, "photo").AddText(faces.Get(face).Hash))
}

// nick is what one of our bare JIDs would like to be called (XEP-0172 §4.1): those who are asked for a subscription do not know
// it yet.
func (b *Bridge) nick(target string) *stream.Element {
	name := b.name()
	if t, _ := b.addresses().Resolve(target); t.Kind == mapping.ToDevice {
		d, _, ok := b.o.House.Device(t.ID)
		if !ok {
			return nil
		}
		name = d.Name
	}
	return stream.New(nsNick, "nick").AddText(name)
}

// subscribing asks somebody for their presence, in the name of one of our bare JIDs.
func (b *Bridge) subscribing(target, watcher string) *stream.Element {
	return presenceTo("subscribe", target, watcher).Add(b.nick(target))
}
