package mapping

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"mellium.im/xmpp/jid"
	"pgregory.net/rapid"

	"tidings/devices"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	type target struct {
		kind     TargetKind
		id       devices.ID
		resource string
		ok       bool
	}
	for _, c := range []struct {
		mode, layout, domain string
		hub, lamp            string // full
		bare                 string // of the lamp
		resolve              map[string]target
	}{
		{Component, LayoutContact, "things.example.org", "home@things.example.org/home", "lamp@things.example.org/lamp", "lamp@things.example.org", map[string]target{
			"things.example.org":            {ToDomain, "", "", true},
			"things.example.org/x":          {ToDomain, "", "x", false},
			"THINGS.example.org.":           {ToDomain, "", "", true},
			"home@things.example.org":       {ToHub, "", "", true},
			"home@things.example.org/home":  {ToHub, "", "home", true},
			"home@things.example.org/lamp":  {ToHub, "", "lamp", false},
			"lamp@things.example.org":       {ToDevice, "lamp", "", true},
			"LAMP@things.example.org":       {ToDevice, "lamp", "", true},
			"lamp@things.example.org/lamp":  {ToDevice, "lamp", "lamp", true},
			"lamp@things.example.org/Lamp":  {ToDevice, "lamp", "Lamp", false},
			"lamp@things.example.org/a b/c": {ToDevice, "lamp", "a b/c", false},
			"fan@things.example.org":        {},
			"lamp@example.org":              {},
			"lamp@things.example.org/":      {},
			"@things.example.org":           {},
			"":                              {},
			"\xff@things.example.org":       {},
		}},
		{Local, LayoutResource, "home.local", "home@home.local/home", "home@home.local/lamp", "home@home.local", map[string]target{
			"home.local":           {ToDomain, "", "", true},
			"home@home.local":      {ToHub, "", "", true},
			"home@home.local/home": {ToHub, "", "home", true},
			"home@home.local/lamp": {ToDevice, "lamp", "lamp", true},
			"home@home.local/fan":  {ToHub, "", "fan", false},
			"lamp@home.local":      {},
		}},
		{Client, LayoutContact, "me@example.org", "me@example.org/home", "me@example.org/lamp", "me@example.org", map[string]target{
			"me@example.org":      {ToHub, "", "", true},
			"Me@example.org/home": {ToHub, "", "home", true},
			"me@example.org/lamp": {ToDevice, "lamp", "lamp", true},
			"me@example.org/fan":  {ToHub, "", "fan", false},
			"example.org":         {},
			"lamp@example.org":    {},
		}},
	} {
		a := NewAddresses(c.mode, c.layout, c.domain, "home", nil)
		a.Configure("lamp")
		if bare, full := a.Device("lamp"); bare != c.bare || full != c.lamp {
			t.Errorf("%s: lamp is %q, %q", c.mode, bare, full)
		}
		if bare, full := a.Hub(); full != c.hub || bare+"/home" != full {
			t.Errorf("%s: hub is %q, %q", c.mode, bare, full)
		}
		for to, want := range c.resolve {
			if got, ok := a.Resolve(to); (target{got.Kind, got.ID, got.Resource, ok}) != want {
				t.Errorf("%s: Resolve(%q) = %+v, %v, want %+v", c.mode, to, got, ok, want)
			}
		}
		for _, full := range []string{c.hub, c.lamp} {
			if j, err := jid.Parse(full); err != nil || j.String() != full {
				t.Errorf("%q is not normal: %v, %v", full, j, err)
			}
		}
	}
}

func TestSlugs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"lamp": "lamp", "Living Room: Lamp #2": "living-room-lamp-2", "homeassistant:0x00158D0001": "homeassistant-0x00158d0001",
		"Heizung Büro": "heizung-buro", "Haustürschloß": "hausturschloss", "Łódź ÅØ": "lodz-ao", "u\u0308ber": "uber", "照明": "device", "": "device", "--a--": "a", "a_b": "a-b", strings.Repeat("x", 200): strings.Repeat("x", maxSlug),
	} {
		if got := Slug(name); got != want {
			t.Errorf("Slug(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestSlugsNeverCollide(t *testing.T) {
	t.Parallel()
	a := NewAddresses(Local, LayoutContact, "home.local", "home", map[devices.ID]string{
		"mqtt:1": "lamp", "mqtt:2": "lamp", "mqtt:3": "home", "mqtt:4": "Not A Slug", "mqtt:5": "alice", "mqtt:6": "keeper",
	})
	a.Configure("lamp", "door")
	a.Reserve("alice")
	a.Device("mqtt:new")
	a.Device("home")
	want := map[devices.ID]string{"lamp": "lamp", "door": "door", "mqtt:6": "keeper", "home": "home-2", "mqtt:new": "mqtt-new"}
	got := a.Kept()
	for id, slug := range want {
		if got[id] != slug {
			t.Errorf("%s is %q, want %q", id, got[id], slug)
		}
	}
	again := NewAddresses(Local, LayoutContact, "home.local", "home", got)
	if !maps.Equal(again.Kept(), got) {
		t.Errorf("after a restart %v, before %v", again.Kept(), got)
	}
	a.Leave("door")
	if _, ok := a.Resolve("door@home.local"); ok {
		t.Error("a device that is gone has an address")
	}
	a.Leave("door")
}

// Whatever devices, accounts and configured names come in whatever order: no two share a slug, each is found by its own,
// none has the hub's or an account's, and configured ones have their own names.
func TestSlugsProperties(t *testing.T) {
	t.Parallel()
	names := rapid.SampledFrom([]string{"a", "A", "a-2", "a-3", "b", "hub", "a:2", "a 2", "b-2", "ä", "device", strings.Repeat("x", 63), strings.Repeat("x", 70)})
	rapid.Check(t, func(t *rapid.T) {
		a := NewAddresses(Component, LayoutContact, "example.org", "hub", nil)
		configured, reserved := map[string]bool{}, map[string]bool{"hub": true}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			name := names.Draw(t, "name")
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				if plainName.MatchString(name) && len(name) <= maxSlug && !reserved[name] {
					configured[name] = true
					a.Configure(devices.ID(name))
				}
			case 1:
				if !configured[name] {
					reserved[name] = true
					a.Reserve(name)
				}
			case 2:
				if !configured[name] {
					a.Leave(devices.ID(name))
				}
			default:
				a.Device(devices.ID(name))
			}
		}
		kept := a.Kept()
		seen := map[string]devices.ID{}
		for id, slug := range kept {
			if other, twice := seen[slug]; twice {
				t.Fatalf("%q and %q are both %q", id, other, slug)
			}
			seen[slug] = id
			if reserved[slug] {
				t.Fatalf("%q has the reserved name %q", id, slug)
			}
			if len(slug) > maxSlug || Slug(slug) != slug {
				t.Fatalf("%q has %q, which is no slug", id, slug)
			}
			_, full := a.Device(id)
			if target, ok := a.Resolve(full); !ok || target.ID != id {
				t.Fatalf("%q resolves to %+v, not %q", full, target, id)
			}
		}
		for name := range configured {
			if kept[devices.ID(name)] != name {
				t.Fatalf("the configured device %q is %q", name, kept[devices.ID(name)])
			}
		}
	})
}

func TestAddressesFromManyGoroutines(t *testing.T) {
	t.Parallel()
	a := NewAddresses(Component, LayoutContact, "example.org", "home", nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 200 {
				id := devices.ID(fmt.Sprintf("d%d", i))
				bare, _ := a.Device(id)
				if target, ok := a.Resolve(bare); !ok || target.ID != id {
					t.Errorf("%s resolves to %+v", bare, target)
				}
			}
		})
	}
	wg.Wait()
}

// Resolve agrees with the library's normal form, and never gives one address two meanings.
func FuzzResolve(f *testing.F) {
	for _, s := range []string{"lamp@example.org/lamp", "LAMP@EXAMPLE.ORG", "example.org", "lamp@example.org/ü", "@/", "a@b@c", "lamp@example.org//", "lamp@xn--n3h"} {
		f.Add(s)
	}
	a := NewAddresses(Component, LayoutContact, "example.org", "home", nil)
	a.Configure("lamp")
	f.Fuzz(func(t *testing.T, to string) {
		got, ok := a.Resolve(to)
		j, err := jid.Parse(to)
		if err != nil {
			if ok {
				t.Fatalf("Resolve(%q) = %+v, though it is no JID: %v", to, got, err)
			}
			return
		}
		if again, okAgain := a.Resolve(j.String()); got != again || ok != okAgain {
			t.Fatalf("Resolve(%q) = %+v, %v, but of its normal form %q %+v, %v", to, got, ok, j, again, okAgain)
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	a := NewAddresses(Component, LayoutContact, "example.org", "home", nil)
	a.Configure("lamp")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := a.Resolve("lamp@example.org/lamp"); !ok {
			b.Fatal("unknown")
		}
	}
}
