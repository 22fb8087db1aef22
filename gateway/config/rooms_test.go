package config

import (
	"slices"
	"testing"

	"tidings/xmppbridge/link"
)

// TestRooms reads rooms: the nick is the hub's where none is given, the password may come from anywhere a secret may.
func TestRooms(t *testing.T) {
	t.Parallel()
	credentials := write(t, map[string]string{"room-third": "from systemd\n"})
	cfg, _, err := load(t, options(map[string]string{"CREDENTIALS_DIRECTORY": credentials}), `
[xmpp]
mode = "component"
address = "things.example.org"
secret = "s3cret"
hub = "casa"
[access]
"room:first@rooms.example.org" = "viewer"
"room:second@rooms.example.org" = { role = "operator", devices = ["*"] }
"room:third@rooms.example.org" = "operator"
[rooms."First@Rooms.example.org"]
[rooms."second@rooms.example.org"]
nick = "The house"
password_file = "second.secret"
[rooms."third@rooms.example.org"]
`, map[string]string{"second.secret": "sesame\n"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Room{
		{JID: "first@rooms.example.org", Nick: "casa"},
		{JID: "second@rooms.example.org", Nick: "The house", Password: link.Secret("sesame")},
		{JID: "third@rooms.example.org", Nick: "casa", Password: link.Secret("from systemd")},
	}
	if !slices.Equal(cfg.Rooms, want) {
		t.Errorf("%#v", cfg.Rooms)
	}
}
