package gateway

import (
	"testing"

	"tidings/xmppbridge/stream"
)

// A server need not say whom a stanza is to: each stream of an account is one address.
func TestAddressed(t *testing.T) {
	t.Parallel()
	const full = "gw@example.org/lamp"
	for to, want := range map[string]string{"": full, "gw@example.org": "gw@example.org"} {
		if got := addressed(stream.New(stream.NS, "iq", "type", "get", "to", to), full).Attr("to"); got != want {
			t.Errorf("%q: %s", to, got)
		}
	}
}
