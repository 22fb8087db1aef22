package mapping

import (
	"slices"
	"strings"
	"sync"

	"mellium.im/xmpp/jid"

	"tidings/devices"
)

// A Role says what a person may do. Each includes the one before.
type Role uint8

// The roles. None is a stranger.
const (
	None     Role = iota
	Viewer        // sees devices and gets their alerts
	Operator      // controls them, too
	Admin         // every device and the gateway's own commands
)

var roleNames = [...]string{None: "none", Viewer: "viewer", Operator: "operator", Admin: "admin"}

// String is the word the configuration uses.
func (r Role) String() string { return roleNames[r] }

// ParseRole reads such a word; "none" is no role anyone can be given.
func ParseRole(s string) (Role, bool) {
	for r := Viewer; r <= Admin; r++ {
		if roleNames[r] == s {
			return r, true
		}
	}
	return None, false
}

// A grant is what one line of [access] gives: a role and, when limited, the patterns of the devices it is for.
type grant struct {
	role    Role
	devices []string // nil: all
	room    *grant   // of somebody who speaks in a room: that of the room, which hears it all
}

func (g grant) covers(id devices.ID) bool {
	if g.room != nil && !g.room.covers(id) {
		return false
	}
	if g.role == None || g.devices == nil {
		return g.role != None
	}
	for _, pattern := range g.devices {
		if Match(pattern, string(id)) {
			return true
		}
	}
	return false
}

// An Access decides who may see and do what, by bare JID: an exact line of [access] before that of the room they speak in
// (see [InRoom]) before "*@domain", the first match decides. Names are compared as normalised bare JIDs; what cannot be normalised has no access. Devices are
// those of the configuration's names, so a rename of what people see changes nothing.
//
// It is safe for concurrent use. The zero value gives nobody access.
type Access struct {
	exact    map[string]grant // by bare JID
	rooms    map[string]grant // by the room's bare JID; those without a line of [access] have the zero grant
	domains  map[string]grant // by domain, for addresses with a localpart
	accounts map[string]Role  // by bare JID; asked last

	mu    sync.RWMutex
	cache map[string]grant // by the address as it was given
}

// What is remembered is bounded, because a sender may make up any number of addresses of any length: a full cache is
// emptied, and what is longer than people's addresses are is looked up each time.
const (
	maxCached    = 2048
	maxCachedLen = 256
)

// WithAccounts is a with the accounts of the local server, which carry roles of their own: what [access] says of one
// comes first. Names are bare JIDs; those that cannot be normalised are left out.
func (a *Access) WithAccounts(roles map[string]Role) *Access {
	b := &Access{exact: a.exact, rooms: a.rooms, domains: a.domains, accounts: make(map[string]Role, len(roles))}
	for name, role := range roles {
		if j, ok := normalise(name); ok {
			b.accounts[j.String()] = role
		}
	}
	return b
}

// normalise makes a bare JID of an address in any spelling.
func normalise(address string) (jid.JID, bool) {
	j, err := jid.Parse(address)
	if err != nil {
		return jid.JID{}, false
	}
	return j.Bare(), true
}

func (a *Access) grant(address string) grant {
	a.mu.RLock()
	g, ok := a.cache[address]
	a.mu.RUnlock()
	if ok {
		return g
	}
	if room, ok := RoomOf(address); ok {
		g = a.rooms[room]
	} else if person, room, ok := strings.Cut(address, inRoom); ok {
		g = a.lookUpIn(room, person)
	} else if j, ok := normalise(address); ok {
		g = a.lookUp(j)
	}
	if len(address) > maxCachedLen {
		return g
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cache == nil || len(a.cache) >= maxCached {
		a.cache = map[string]grant{}
	}
	// The address is copied: it may be a part of a stanza that would be kept whole.
	a.cache[strings.Clone(address)] = g
	return g
}

// lookUpIn is lookUp of somebody who speaks in a room: what the room may not see they do not see there.
func (a *Access) lookUpIn(room, person string) grant {
	j, ok := normalise(person)
	if !ok {
		return grant{}
	}
	heard := a.rooms[room]
	g, ok := a.exact[j.String()]
	switch {
	case ok:
	case heard.role != None:
		g = heard
	default:
		g = a.lookUp(j)
	}
	g.room = &heard
	return g
}

func (a *Access) lookUp(j jid.JID) grant {
	if _, ok := a.rooms[j.String()]; ok {
		return grant{} // a room is nobody, whatever is said of its domain
	}
	if g, ok := a.exact[j.String()]; ok {
		return g
	}
	if g, ok := a.domains[j.Domainpart()]; ok && j.Localpart() != "" {
		return g
	}
	return grant{role: a.accounts[j.String()]}
}

// People are those who have a line of their own in [access], by bare JID and sorted. Who comes with a domain is not known by name.
func (a *Access) People() []string {
	var out []string
	for bare, g := range a.exact {
		if g.role != None {
			out = append(out, bare)
		}
	}
	slices.Sort(out)
	return out
}

// Role is the role of an address; None for a stranger. A resource does not matter.
func (a *Access) Role(bare string) Role { return a.grant(bare).role }

// Limited reports whether the role is for some devices only.
func (a *Access) Limited(bare string) bool {
	g := a.grant(bare)
	return g.devices != nil || g.room != nil && g.room.devices != nil
}

// CanSee reports whether an address may see a device and get its alerts.
func (a *Access) CanSee(bare string, id devices.ID) bool { return a.grant(bare).covers(id) }

// CanControl reports whether an address may command a device.
func (a *Access) CanControl(bare string, id devices.ID) bool {
	g := a.grant(bare)
	return g.role >= Operator && g.covers(id)
}

// Match reports whether name matches a pattern, in which "*" stands for any run of characters, the empty one too.
func Match(pattern, name string) bool {
	head, tail, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	name = name[len(head):]
	for {
		var part string
		part, tail, star = strings.Cut(tail, "*")
		if !star {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
}
