package xmppbridge

import (
	"cmp"
	"strings"

	"tidings/mapping"
	"tidings/xmppbridge/local"
	"tidings/xmppbridge/stream"
)

// LocalHouse is the bridge as the house behind the server inside: everything at its domain that is no account.
// isAccount reports whether a localpart is an account's; it is asked with locks of the server held and must be quick.
func (b *Bridge) LocalHouse(isAccount func(name string) bool) local.Backend {
	return localHouse{b, isAccount}
}

type localHouse struct {
	b         *Bridge
	isAccount func(string) bool
}

func (h localHouse) Account(name string) bool { return h.isAccount(name) }

// Deliver hands a stanza on. On a server inside nothing waits on the way: whatever comes is fresh.
func (h localHouse) Deliver(st *stream.Element) { h.b.Deliver(st.Clone(), true) }

// Contacts are the hub and, where devices are contacts, those the account's role may see, in a group by location.
func (h localHouse) Contacts(account string) []local.Contact {
	return h.b.contacts(account + "@" + h.b.addresses().Domain())
}

// contacts are what the house has for somebody's contact list.
func (b *Bridge) contacts(person string) []local.Contact {
	addresses, access := b.addresses(), b.access()
	if access.Role(person) == mapping.None {
		return nil
	}
	hub, _ := addresses.Hub()
	out := []local.Contact{{JID: hub, Name: b.name(), Groups: []string{b.name()}}}
	for _, d := range b.o.House.Devices() {
		jid, _ := addresses.Device(d.ID)
		if jid != hub && access.CanSee(person, d.ID) {
			out = append(out, local.Contact{JID: jid, Name: d.Name, Groups: []string{cmp.Or(d.Location, b.name())}})
		}
	}
	return out
}

// Resources are the full JID of a device, also of one that is gone, or the hub's with those of the devices that are its resources.
func (h localHouse) Resources(contact string) []string {
	addresses := h.b.addresses()
	hub, full := addresses.Hub()
	if hub != contact {
		name, _, _ := strings.Cut(contact, "@")
		return []string{contact + "/" + name}
	}
	out := []string{full}
	for _, d := range h.b.o.House.Devices() {
		if bare, full := addresses.Device(d.ID); bare == contact {
			out = append(out, full)
		}
	}
	return out
}

// Available sends someone who came the presence of everything they may see, and the alerts that waited for them or for
// their priority.
func (h localHouse) Available(full string, presence *stream.Element, initial bool) {
	if initial {
		h.b.presence.show(showing{to: full})
	}
	h.b.items.listeners.present(full, presence)
	h.b.alerts.wake()
}

// Unavailable ends what belonged to a client.
func (h localHouse) Unavailable(full string) { h.b.gone(full) }
