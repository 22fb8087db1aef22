package config

import (
	"slices"
	"strings"

	"mellium.im/xmpp/jid"

	"tidings/devices/schema"
	"tidings/mapping"
	"tidings/xmppbridge/link"
)

var roomKeys = []schema.Key{
	{Name: "nick", Kind: schema.String, Help: "what the gateway is called there; default: the hub's name"},
	{Name: "password", Kind: schema.String, Secret: true, Help: "of the room, if it wants one; the systemd credential is room- and what stands before the @ (room-ops)"},
}

// A Room is one table of [rooms].
type Room struct {
	JID      string // normalised, bare
	Nick     string
	Password link.Secret // empty: none
}

// resolveRooms puts the passwords of rooms in their place.
func (l *loader) resolveRooms(root *schema.Table) {
	for _, t := range root.Table("rooms").Tables() {
		if j, err := jid.Parse(t.Name()); err == nil && j.Localpart() != "" {
			l.resolveSecret(t, "password", "room-"+j.Localpart())
		}
	}
}

// readRooms reads [rooms]. Whether a line of [access] and an alert name one of them is mapping's to say.
func readRooms(root *schema.Table, x XMPP) []Room {
	section := root.Table("rooms")
	if x.Mode == Local && len(section.Keys()) > 0 {
		root.Errorf("rooms", "the server inside has no rooms: leave [rooms] out, or join a server that has with mode = %q or %q", Component, Client)
		return nil
	}
	var rooms []Room
	for _, t := range section.Tables() {
		j, err := jid.Parse(t.Name())
		nick := t.StringOr("nick", x.Hub)
		full, nickErr := j.WithResource(nick)
		switch {
		case err != nil || j.Localpart() == "" || j.Resourcepart() != "":
			t.Errorf("", `%q is no room's address: write it as in [rooms."ops@rooms.example.org"]`, t.Name())
		case x.Mode == Component && j.Domainpart() == x.Address:
			t.Errorf("", "%s is at the gateway's own domain, which has no rooms", j)
		case slices.ContainsFunc(rooms, func(r Room) bool { return r.JID == j.String() }):
			t.Errorf("", "%s stands there twice, in two spellings", j)
		case nickErr != nil || full.Resourcepart() == "":
			t.Errorf("nick", "nick: %q cannot be used as a name in a room", nick)
		case !namedInAccess(root, j):
			t.Errorf("", "nothing may be said there: give %q a role in [access]", mapping.RoomName(j.String()))
		default:
			rooms = append(rooms, Room{JID: j.String(), Nick: full.Resourcepart(), Password: link.Secret(t.String("password"))})
		}
	}
	return rooms
}

// namedInAccess reports whether [access] has a line for a room, be it one with a mistake in it.
func namedInAccess(root *schema.Table, room jid.JID) bool {
	return slices.ContainsFunc(root.Table("access").Keys(), func(key string) bool {
		name, is := mapping.RoomOf(key)
		j, err := jid.Parse(strings.TrimSpace(name))
		return is && err == nil && j.Bare().Equal(room)
	})
}
