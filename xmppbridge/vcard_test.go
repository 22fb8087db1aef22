package xmppbridge

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"tidings/mapping"
	"tidings/xmppbridge/faces"
	"tidings/xmppbridge/stream"
)

const vcardQuery = "<vCard xmlns='vcard-temp'/>"

// announcedPhoto is the hash in a presence; empty when it says nothing of one.
func announcedPhoto(st *stream.Element) string {
	return st.Child(nsVCardUpdate, "x").ChildText(nsVCardUpdate, "photo")
}

func cardPhoto(t *testing.T, card *stream.Element) (hash string) {
	t.Helper()
	photo := card.Child(nsVCard, "PHOTO")
	data, err := base64.StdEncoding.DecodeString(photo.ChildText(nsVCard, "BINVAL"))
	if err != nil || photo.ChildText(nsVCard, "TYPE") != "image/png" {
		t.Errorf("photo: %v: %s", err, photo)
	}
	sum := sha1.Sum(data)
	return hex.EncodeToString(sum[:])
}

// A device has a name and the picture of its class, of which its presence says the hash.
func TestVCard(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		for _, tt := range []struct{ bare, name, face, place string }{
			{lampBare, "Lamp", "light", "Hall"}, {ovenBare, "Oven", "switch", "Kitchen"}, {hubBare, "House", "hub", ""}, {domain, "House", "hub", ""},
		} {
			f.deliver(presenceOf(veraBare, tt.bare, "subscribe"))
			hash := ""
			for _, st := range f.sent() {
				switch {
				case st.Attr("type") == "":
					hash = announcedPhoto(st)
				case st.Attr("type") == "subscribe" && st.ChildText(nsNick, "nick") != tt.name:
					t.Errorf("%s asks as %s", tt.bare, st)
				}
			}
			card := f.answer(get(vera, tt.bare, vcardQuery)).First()
			if got := card.ChildText(nsVCard, "FN"); got != tt.name || card.ChildText(nsVCard, "NICKNAME") != tt.name {
				t.Errorf("%s is called %q: %s", tt.bare, got, card)
			}
			if got := cardPhoto(t, card); got != hash || got != faces.Get(tt.face).Hash {
				t.Errorf("%s: the picture is %s, presence says %s, want %s", tt.bare, got, hash, tt.face)
			}
			if got := card.Child(nsVCard, "CATEGORIES").ChildText(nsVCard, "KEYWORD"); got != tt.place {
				t.Errorf("%s is in %q", tt.bare, got)
			}
		}
		if got := failure(f.answer(get(wim, ovenBare, vcardQuery))); got != "item-not-found" {
			t.Errorf("what a role hides: %s", got)
		}
		if got := failure(f.answer(get(mallory, lampBare, vcardQuery))); got != "service-unavailable" {
			t.Errorf("a stranger: %s", got)
		}
		set := strings.Replace(get(alice, lampBare, vcardQuery), "'get'", "'set'", 1)
		if got := failure(f.answer(set)); got != "forbidden" {
			t.Errorf("set: %s", got)
		}
		f.house.link("lamp", errNetworkDown)
		f.deliver("<presence type='probe' from='" + veraBare + "' to='" + lampBare + "'/>")
		if out := f.sent(); len(out) == 0 || announcedPhoto(out[0]) != "" {
			t.Errorf("unavailable: %v", out)
		}
	})
}

// Where devices share an address, the picture there is the hub's; an account's is its server's business.
func TestVCardOfSharedAddresses(t *testing.T) {
	bubble(t, setup{layout: "resource"}, func(f *fixture) {
		f.deliver(presenceOf(veraBare, hubBare, "subscribe"))
		for _, st := range f.sent() {
			want := ""
			if st.Attr("from") == hub {
				want = faces.Get("hub").Hash
			}
			if got := announcedPhoto(st); got != want {
				t.Errorf("%s announces %q", st.Attr("from"), got)
			}
		}
	})
	t.Run("account", func(t *testing.T) {
		bubble(t, setup{audience: Broadcast, mode: mapping.Client}, func(f *fixture) {
			f.Up("gw@example.org/home")
			for _, st := range f.sent() {
				if announcedPhoto(st) != "" {
					t.Errorf("announced: %s", st)
				}
			}
			if got := failure(f.answer(get(vera, "gw@example.org/lamp", vcardQuery))); got != "service-unavailable" {
				t.Errorf("vCard: %s", got)
			}
		})
	})
}

// Every class has a picture.
func TestFaces(t *testing.T) {
	t.Parallel()
	for _, class := range mapping.Faces() {
		if !faces.Known(class) {
			t.Errorf("%s has no picture", class)
		}
	}
	if !faces.Known(hubFace) {
		t.Error("the hub has none")
	}
}
