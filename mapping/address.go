package mapping

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"mellium.im/xmpp/jid"

	"tidings/devices"
)

// A TargetKind says what an address is the address of.
type TargetKind uint8

// The kinds of a target.
const (
	ToUnknown TargetKind = iota // nothing of ours
	ToDomain                    // the component's or local server's domain itself
	ToHub                       // the gateway
	ToDevice
)

// Discovered reports whether a device has announced itself: its ID is of its convention and has a colon, as no name of a table has.
func Discovered(id devices.ID) bool { return strings.Contains(string(id), ":") }

// A Target is what an address stands for.
type Target struct {
	Kind     TargetKind
	ID       devices.ID // of a device
	Resource string     // as it was addressed; empty for a bare JID
}

// Addresses knows the XMPP address of every device and back. A localpart or resource is the slug of the device's ID; of one that
// was discovered, of what it was called when it was first met. It is given once and kept: what people call the device later does
// not matter, and no two devices ever share one.
//
// It is safe for concurrent use.
type Addresses struct {
	contact bool   // a device is a contact of its own
	local   string // localpart of the account in client mode
	domain  string
	hub     string
	client  bool
	single  atomic.Bool // client mode: devices are nodes of the hub

	mu       sync.RWMutex
	slugs    map[devices.ID]string
	ids      map[string]devices.ID
	reserved map[string]bool // names no device may have
	next     map[string]int  // by a name that many call themselves: the number to try next
	changes  uint64          // of slugs

	absent  map[devices.ID]bool // discovered devices that have a slug and are not there
	gone    map[devices.ID]bool // of those, the ones that were there
	leaving []devices.ID        // those that went, the first first; some are back, or went again
}

// maxAbsent bounds the discovered devices whose names are kept while they are not there.
const maxAbsent = 20_000

// NewAddresses makes the addresses of one mode and layout. The domain is the component's or the local server's; in
// client mode it is the account's bare JID, and the layout is always LayoutResource. Slugs in kept, which [Addresses.Kept]
// returned in an earlier life, are given to the same devices again.
func NewAddresses(mode, layout, domain, hub string, kept map[devices.ID]string) *Addresses {
	a := &Addresses{
		contact: mode != Client && layout != LayoutResource, client: mode == Client, hub: hub,
		slugs: make(map[devices.ID]string, len(kept)), ids: make(map[string]devices.ID, len(kept)),
		reserved: map[string]bool{hub: true}, next: map[string]int{}, absent: map[devices.ID]bool{}, gone: map[devices.ID]bool{},
	}
	if j, ok := normalise(domain); ok {
		a.local, a.domain = j.Localpart(), j.Domainpart()
	} else {
		a.domain = domain
	}
	for id, slug := range kept {
		if _, taken := a.ids[slug]; !taken && !a.reserved[slug] && slug == Slug(slug) {
			a.slugs[id], a.ids[slug] = slug, id
			if Discovered(id) {
				a.leave(id)
			}
		}
	}
	return a
}

// maxSlug bounds a slug: some servers and clients are uneasy with long localparts.
const maxSlug = 64

// nameless is the slug of a name of which nothing is left.
const nameless = "device"

// plainLetters are the letters of Europe that are no other letter with a mark.
var plainLetters = map[rune]string{'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'đ': "d", 'ð': "d", 'þ': "th", 'ł': "l", 'ı': "i", 'ħ': "h"}

// Slug makes a localpart of a name: lower-case letters without their marks, digits and single hyphens. It is "device" when
// nothing is left.
func Slug(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(name[:min(len(name), 4*maxSlug)])) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case plainLetters[r] != "":
			b.WriteString(plainLetters[r])
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && b.String()[b.Len()-1] != '-':
			b.WriteByte('-')
		}
	}
	if s := strings.TrimSuffix(b.String()[:min(b.Len(), maxSlug)], "-"); s != "" {
		return s
	}
	return nameless
}

// Reserve keeps names from being given to discovered devices: those of accounts. A discovered device that has one
// already gets another.
func (a *Addresses) Reserve(names ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range names {
		a.reserved[name] = true
		if id, taken := a.ids[name]; taken {
			a.drop(id)
			a.assign(id, Slug(string(id)))
		}
	}
}

// Introduce says that a discovered device is there. One that has no name in addresses yet is given the one it calls itself, or the
// next that is free.
func (a *Addresses) Introduce(id devices.ID, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.absent, id)
	delete(a.gone, id)
	if _, known := a.slugs[id]; known || !Discovered(id) {
		return
	}
	base := Slug(name)
	if base == nameless {
		base = Slug(string(id))
	}
	a.assign(id, base)
}

// Configure gives configured devices the names of their tables. A discovered device that had one gets another.
func (a *Addresses) Configure(ids ...devices.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		slug := Slug(string(id))
		if a.reserved[slug] || a.slugs[id] == slug {
			continue
		}
		a.drop(id)
		other, taken := a.ids[slug]
		if taken {
			a.drop(other)
		}
		a.slugs[id], a.ids[slug] = slug, id
		a.changes++
		if taken {
			a.assign(other, Slug(string(other)))
		}
	}
}

// drop takes a slug back. a.mu is held.
func (a *Addresses) drop(id devices.ID) {
	if slug, ok := a.slugs[id]; ok {
		delete(a.ids, slug)
		delete(a.slugs, id)
		a.changes++
	}
	delete(a.absent, id)
	delete(a.gone, id)
}

// assign gives id a slug of its own, base where that is free. a.mu is held.
func (a *Addresses) assign(id devices.ID, base string) string {
	slug := base
	for n := max(2, a.next[base]); ; n++ {
		if _, taken := a.ids[slug]; !taken && !a.reserved[slug] {
			if n > manyAlike { // ten thousand that are called the same are not to look at each other's numbers
				if len(a.next) >= manyAlike {
					clear(a.next)
				}
				a.next[base] = n
			}
			break
		}
		suffix := "-" + strconv.Itoa(n)
		slug = strings.TrimSuffix(base[:min(len(base), maxSlug-len(suffix))], "-") + suffix
	}
	a.slugs[id], a.ids[slug] = slug, id
	a.changes++
	return slug
}

// manyAlike is from how many on it is remembered how many devices are called the same.
const manyAlike = 100

// Contacts reports whether each device is a contact of its own.
func (a *Addresses) Contacts() bool { return a.contact }

// Slug is the name of a device in addresses and command nodes. A device not seen before is given one.
func (a *Addresses) Slug(id devices.ID) string {
	a.mu.RLock()
	slug, ok := a.slugs[id]
	a.mu.RUnlock()
	if ok {
		return slug
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if slug, ok := a.slugs[id]; ok {
		return slug
	}
	return a.assign(id, Slug(string(id)))
}

// Lookup finds a device by its slug.
func (a *Addresses) Lookup(slug string) (devices.ID, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	id, ok := a.ids[slug]
	return id, ok
}

// Leave says that a device is gone. A configured one is so for good, and its address is free. A discovered one may announce itself
// again, and nobody else is to get what is sent to it: its address is kept, unless very many left after it.
func (a *Addresses) Leave(id devices.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.slugs[id]; !known {
		return
	}
	if !Discovered(id) {
		a.drop(id)
		return
	}
	a.leave(id)
	a.gone[id] = true
}

// Gone reports whether a discovered device has left in this life of the gateway, and not come back. One that has an address from an
// earlier life and has not announced itself yet is not gone.
func (a *Addresses) Gone(id devices.ID) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.gone[id]
}

// leave notes that a discovered device is not there. a.mu is held.
func (a *Addresses) leave(id devices.ID) {
	if a.absent[id] {
		return
	}
	a.absent[id] = true
	a.leaving = append(a.leaving, id)
	for len(a.absent) > maxAbsent {
		if first := a.leaving[0]; a.absent[first] {
			a.drop(first)
		}
		a.leaving = a.leaving[1:]
	}
	if len(a.leaving) > 2*maxAbsent { // most of them came back
		kept := make([]devices.ID, 0, len(a.absent))
		seen := make(map[devices.ID]bool, len(a.absent))
		for _, id := range slices.Backward(a.leaving) {
			if a.absent[id] && !seen[id] {
				seen[id] = true
				kept = append(kept, id)
			}
		}
		slices.Reverse(kept)
		a.leaving = kept
	}
}

// Changes counts what changed of the slugs given: while it is the same, Kept is.
func (a *Addresses) Changes() uint64 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.changes
}

// Kept are the slugs given, to be stored and handed to NewAddresses after a restart.
func (a *Addresses) Kept() map[devices.ID]string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return maps.Clone(a.slugs)
}

// Device returns the addresses of a device. A device not seen before is given some. In Single they are the hub's.
func (a *Addresses) Device(id devices.ID) (bare, full string) {
	slug := a.Slug(id)
	if a.Single() {
		return a.Hub()
	}
	return a.address(slug)
}

// MakeSingle has the hub's address be that of all devices from now on, of which each is a node there, named by its slug. It is
// for client mode, where each address of its own takes a stream.
func (a *Addresses) MakeSingle() { a.single.Store(a.client) }

// Single reports whether devices are nodes of the hub. What is sent to the address that a device had is still for it.
func (a *Addresses) Single() bool { return a.single.Load() }

// Hub returns the addresses of the gateway itself.
func (a *Addresses) Hub() (bare, full string) { return a.address(a.hub) }

// address returns both forms with one allocation: the bare JID is the beginning of the full one.
func (a *Addresses) address(name string) (bare, full string) {
	local := a.hub
	switch {
	case a.client:
		local = a.local
	case a.contact:
		local = name
	}
	full = local + "@" + a.domain + "/" + name
	return full[:len(full)-len(name)-1], full
}

// Domain is the domain of all addresses.
func (a *Addresses) Domain() string { return a.domain }

// Resolve says what an address stands for. It reports true when there is such an address: a bare JID of ours, or a
// full one with the resource that it has. A full JID with another resource is resolved as far as its bare JID goes and
// reports false.
func (a *Addresses) Resolve(to string) (Target, bool) {
	local, domain, resource, ok := split(to)
	if !ok || domain != a.domain {
		return Target{}, false
	}
	t := Target{Resource: resource}
	switch {
	case a.client && local == a.local, !a.client && !a.contact && local == a.hub:
		// One bare JID for the gateway and all its devices: the resource decides.
		t.Kind = ToHub
		if resource == "" || resource == a.hub {
			return t, true
		}
		id, ok := a.Lookup(resource)
		if ok {
			t.Kind, t.ID = ToDevice, id
		}
		return t, ok
	case a.client:
		return Target{}, false
	case local == "":
		t.Kind = ToDomain
		return t, resource == ""
	case local == a.hub:
		t.Kind = ToHub
		return t, resource == "" || resource == a.hub
	case a.contact:
		if id, ok := a.Lookup(local); ok {
			t.Kind, t.ID = ToDevice, id
			return t, resource == "" || resource == local
		}
	}
	return Target{}, false
}

// split takes an address apart and normalises it. Plain ASCII, which is what almost all traffic is, needs no tables.
func split(to string) (local, domain, resource string, ok bool) {
	rest, resource, hasResource := strings.Cut(to, "/")
	at := strings.IndexByte(rest, '@')
	plain := domainPlain(rest[at+1:]) && at != 0 && !(hasResource && resource == "")
	for i := 0; plain && i < len(to); i++ {
		plain = to[i] > ' ' && to[i] < 0x7f && (to[i] < 'A' || to[i] > 'Z' || i > len(rest))
	}
	if plain {
		return rest[:max(at, 0)], rest[at+1:], resource, true
	}
	j, err := jid.Parse(to)
	if err != nil {
		return "", "", "", false
	}
	return j.Localpart(), j.Domainpart(), j.Resourcepart(), true
}

// domainPlain reports whether a domain is in its normal form already, as far as a glance can tell.
func domainPlain(domain string) bool {
	return domain != "" && domain[len(domain)-1] != '.' && !strings.Contains(domain, "xn--")
}
