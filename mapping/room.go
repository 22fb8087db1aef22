package mapping

import "strings"

// What a room (XEP-0045) and somebody who speaks in one are called where people are named by their bare JID: neither can be an
// address, so no sender can pass for them (RFC 7622 §3.3 has no colon and no space there).
const (
	roomPrefix = "room:"
	inRoom     = " in " + roomPrefix
)

// RoomName is what a room of this bare JID is called in [access], in the `to` of an alert and by [Access].
func RoomName(bare string) string { return roomPrefix + bare }

// RoomOf returns the bare JID of the room that a name such as "room:ops@rooms.example.org" stands for.
func RoomOf(name string) (bare string, ok bool) { return strings.CutPrefix(name, roomPrefix) }

// InRoom is what [Access] calls somebody who speaks in a room, both given by their bare JIDs: they may do what their own exact line
// says, or else the room's, but see only what the room may see, which hears the answer.
func InRoom(person, room string) string { return person + inRoom + room }

// Reserved reports whether an address is none, but looks like a name that only the gateway itself gives.
func Reserved(address string) bool {
	bare, _, _ := strings.Cut(address, "/")
	return strings.HasPrefix(bare, roomPrefix) || strings.Contains(bare, inRoom)
}
