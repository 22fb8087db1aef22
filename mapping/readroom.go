package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tidings/devices/schema"
)

// rooms notes the rooms the gateway joins, the tables of [rooms]: none of them is a person. What else stands there is read by
// whoever joins.
func (r *reader) rooms(t *schema.Table) map[string]grant {
	rooms := map[string]grant{}
	for _, name := range t.Keys() {
		if j, ok := normalise(name); ok {
			rooms[j.String()] = grant{}
		}
	}
	return rooms
}

// roomAccess reads a line of [access] for a room.
func (r *reader) roomAccess(t *schema.Table, key, room string, g grant, ok bool) {
	j, valid := normalise(room)
	known, joined := r.cfg.Access.rooms[j.String()]
	switch {
	case !valid || j.Localpart() == "" || strings.ContainsAny(room, "/*"):
		t.Errorf(key, `%q is no room: write it as in "room:ops@rooms.example.org"`, key)
	case r.Mode == Local:
		t.Errorf(key, "the server inside has no rooms: take the line out, or join a server that has with mode = %q or %q", Component, Client)
	case !joined:
		t.Errorf(key, "the gateway does not join %s%s", j, r.otherRoom(j.String()))
	case known.role != None:
		t.Errorf(key, "%s stands there twice, in two spellings", key)
	case ok:
		r.cfg.Access.rooms[j.String()] = g
	}
}

// otherRoom is what follows the name of a room that is not joined: the one it is probably meant to be, or how to join it.
func (r *reader) otherRoom(room string) string {
	if near := didYouMean(room, slices.Sorted(maps.Keys(r.cfg.Access.rooms)), ""); near != "" {
		return near
	}
	return fmt.Sprintf(": add [rooms.%q]", room)
}

// roomRecipient reads a room in a `to`, and adds it to those read.
func (r *reader) roomRecipient(out []string, t *schema.Table, a *AlertConfig, about []*DeviceConfig, to, room string) []string {
	j, valid := normalise(room)
	name := RoomName(j.String())
	_, joined := r.cfg.Access.rooms[j.String()]
	switch {
	case !valid || j.Localpart() == "" || strings.ContainsAny(room, "/*"):
		t.Errorf("to", `%q is no room: write it as in "room:ops@rooms.example.org"`, to)
	case r.Mode == Local:
		t.Errorf("to", "the server inside has no rooms: tell NAME@%s", r.domain())
	case !joined:
		t.Errorf("to", "the gateway does not join %s%s", j, r.otherRoom(j.String()))
	case len(about) > 0 && !slices.ContainsFunc(about, func(d *DeviceConfig) bool { return r.cfg.Access.CanSee(name, d.ID) }):
		t.Errorf("to", "%s may not see %s and would not get this alert: give it a role in [access], or take it out", to, a.Device)
	case slices.Contains(out, name):
		t.Errorf("to", "%s stands there twice", to)
	default:
		out = append(out, name)
	}
	return out
}
