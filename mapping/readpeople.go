package mapping

import (
	"fmt"
	"slices"
	"strings"

	"tidings/devices"
	"tidings/devices/schema"
)

// access reads [access]: who may see and do what.
func (r *reader) access(t *schema.Table, rooms map[string]grant) {
	a := &Access{exact: map[string]grant{}, rooms: rooms, domains: map[string]grant{}}
	r.cfg.Access = a
	for _, key := range t.Keys() {
		g, ok := r.grant(t, key)
		if room, is := RoomOf(key); is {
			r.roomAccess(t, key, room, g, ok)
			continue
		}
		address, everyone := strings.CutPrefix(key, "*@")
		j, valid := normalise(address)
		switch {
		case !valid || everyone && (j.Localpart() != "" || strings.Contains(address, "/")):
			t.Errorf(key, `%q is no address: write "alice@example.org", or "*@example.org" for everyone there`, key)
			continue
		case strings.Contains(address, "/"):
			t.Errorf(key, "%q: leave the part from the slash on out: access is for a person, whichever client they use", key)
			continue
		case !everyone && j.Localpart() == "":
			t.Errorf(key, `%q has no name before an @: write "*@%s" for everyone there`, key, j)
			continue
		case r.Mode == Local && j.Localpart() == r.Hub && j.Domainpart() == r.domain():
			t.Errorf(key, "%s is the gateway itself: give that account another name, or set hub in [xmpp]", key)
			continue
		case r.Mode == Local && j.Domainpart() != r.domain():
			t.Errorf(key, "%s is at another server, which local mode does not reach: give people accounts here (NAME@%s)", key, r.domain())
			continue
		}
		if _, room := rooms[j.String()]; room {
			t.Errorf(key, "%s is a room: write %q", key, RoomName(j.String()))
			continue
		}
		group := a.exact
		if everyone {
			group = a.domains
		}
		if _, twice := group[j.String()]; twice {
			t.Errorf(key, "%s stands there twice, in two spellings", key)
			continue
		}
		if ok {
			group[j.String()] = g
		}
	}
}

// grant reads one line of [access]. It reports false after a mistake.
func (r *reader) grant(t *schema.Table, key string) (grant, bool) {
	line, sub := key, t.Table(key)
	word, at := t.String(key), t
	if sub != nil {
		sub.Check(AccessSpec)
		word, at, key = sub.String("role"), sub, "role"
		if !sub.Has("role") {
			return grant{}, false
		}
	}
	role, ok := ParseRole(word)
	if v, _ := at.Get(key); !ok {
		if _, isString := v.V.(string); isString && sub == nil {
			at.Errorf(key, "unknown role %q%s", word, didYouMean(word, roleNames[1:], listed(roleNames[1:], "and")))
		} else if sub == nil {
			at.Errorf(key, "the role has to be a string, or a table such as { role = \"viewer\", devices = [\"door*\"] }")
		}
		return grant{}, false
	}
	g := grant{role: role}
	if sub == nil || !sub.Has("devices") {
		return g, true
	}
	g.devices = append([]string{}, sub.Strings("devices")...)
	switch {
	case role == Admin:
		sub.Errorf("devices", "an admin sees and controls every device: leave devices out, or make it operator")
	case r.Mode == Client && !strings.HasPrefix(line, roomPrefix):
		sub.Errorf("devices", "in client mode the server shows every device to every contact of the account, so a role cannot be limited to some: leave devices out, or use component mode")
	case len(g.devices) == 0:
		sub.Errorf("devices", "devices = [] gives nothing: name some, or take the line out")
	}
	for _, pattern := range g.devices {
		if !strings.Contains(pattern, "*") && r.cfg.Devices[devices.ID(pattern)] == nil && !(r.strangers && Discovered(devices.ID(pattern))) {
			sub.Errorf("devices", "%s", r.noDevice(pattern, `devices = ["homeassistant:…"]`))
		}
	}
	return g, true
}

// noDevice says that the file has no device of a name, and what else to write: where devices are discovered, the name may be what
// one of them is called, and example is how the key is written then.
func (r *reader) noDevice(name, example string) string {
	near := didYouMean(name, r.deviceNames(), "")
	if !r.strangers {
		return fmt.Sprintf("there is no device %q%s", name, near)
	}
	one := " One"
	if near == "" {
		one = ": one"
	}
	return fmt.Sprintf("there is no device %q in this file%s%s that was discovered goes by what `tidings devices %s` shows as its match, as in %s, "+
		"or by the name of a table with that as match", name, near, one, name, example)
}

func (r *reader) deviceNames() []string {
	var names []string
	for id := range r.cfg.Devices {
		names = append(names, string(id))
	}
	slices.Sort(names)
	return names
}
