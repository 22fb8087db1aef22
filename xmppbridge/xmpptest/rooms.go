//go:build servers

package xmpptest

// JoinRoom joins a room (XEP-0045), which is made where there is none.
func (c *Client) JoinRoom(room, nick, password string) {
	c.t.Helper()
	args := map[string]any{"room": room, "nick": nick}
	if password != "" {
		args["password"] = password
	}
	c.Do("room_join", args, nil)
}

// LeaveRoom leaves it.
func (c *Client) LeaveRoom(room, nick string) {
	c.t.Helper()
	c.Do("room_leave", map[string]any{"room": room, "nick": nick}, nil)
}

// ConfigureRoom sets fields of a room's configuration, named without their "muc#roomconfig_"; a new room is open from then on.
func (c *Client) ConfigureRoom(room string, values map[string]string) {
	c.t.Helper()
	c.Do("room_configure", map[string]any{"room": room, "values": values}, nil)
}

// SetAffiliation makes somebody, a bare JID, an owner, admin, member, outcast or none of a room.
func (c *Client) SetAffiliation(room, jid, affiliation string) {
	c.t.Helper()
	c.Do("room_affiliation", map[string]any{"room": room, "jid": jid, "affiliation": affiliation}, nil)
}

// SetRole makes an occupant a moderator, participant or visitor; "none" puts them out.
func (c *Client) SetRole(room, nick, role string) {
	c.t.Helper()
	c.Do("room_role", map[string]any{"room": room, "nick": nick, "role": role}, nil)
}

// DestroyRoom destroys a room.
func (c *Client) DestroyRoom(room, reason string) {
	c.t.Helper()
	c.Do("room_destroy", map[string]any{"room": room, "reason": reason}, nil)
}

// SayInRoom says something to everybody in a room.
func (c *Client) SayInRoom(room, body string) {
	c.t.Helper()
	c.Do("message", map[string]any{"to": room, "body": body, "type": "groupchat"}, nil)
}
