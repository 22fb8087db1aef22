package mapping

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"tidings/devices"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	a := mustParse(t, house+`
[access."carol@family.example.org"]
role = "viewer"
devices = ["front-*"]
`).Access
	for _, c := range []struct {
		who                      string
		role                     Role
		see, control, seeDoor    bool
		limited, controlDoor, ad bool
	}{
		{who: "alice@example.org", role: Admin, see: true, control: true, seeDoor: true, controlDoor: true, ad: true},
		{who: "ALICE@Example.ORG/phone", role: Admin, see: true, control: true, seeDoor: true, controlDoor: true, ad: true},
		{who: "anyone@family.example.org", role: Operator, see: true, control: true, seeDoor: true, controlDoor: true},
		{who: "carol@family.example.org", role: Viewer, seeDoor: true, limited: true}, // exact beats the domain
		{who: "bob@example.net", role: Viewer, see: true, limited: true},
		{who: "family.example.org"},       // *@ needs a localpart
		{who: "x@sub.family.example.org"}, // the domain itself, not those below
		{who: "eve@example.org"},
		{who: "alice@example.org.evil.example"},
		{who: "a b@family.example.org"}, // cannot be normalised
		{who: "@family.example.org"},
		{who: ""},
		{who: "\xff@family.example.org"},
		{who: "*@family.example.org/x y", role: Operator, see: true, control: true, seeDoor: true, controlDoor: true}, // an odd name, but one
	} {
		for range 2 { // the second time from the cache
			if got := a.Role(c.who); got != c.role {
				t.Errorf("Role(%q) = %v, want %v", c.who, got, c.role)
			}
			if a.CanSee(c.who, "greenhouse") != c.see || a.CanControl(c.who, "greenhouse") != c.control || a.CanSee(c.who, "front-door") != c.seeDoor ||
				a.CanControl(c.who, "front-door") != c.controlDoor || (a.Role(c.who) == Admin) != c.ad || a.Limited(c.who) != c.limited {
				t.Errorf("%q: see %v %v, control %v %v, admin %v, limited %v", c.who, a.CanSee(c.who, "greenhouse"), a.CanSee(c.who, "front-door"),
					a.CanControl(c.who, "greenhouse"), a.CanControl(c.who, "front-door"), a.Role(c.who) == Admin, a.Limited(c.who))
			}
		}
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2 * maxCached {
				a.Role(fmt.Sprintf("u%d-%d@example.com", g, i))
				if a.Role("alice@example.org") != Admin {
					t.Error("alice is no admin")
					return
				}
			}
		})
	}
	wg.Wait()
	long := strings.Repeat("x", 1000) + "@family.example.org"
	if a.Role(long) != Operator {
		t.Error("a long name has no access")
	}
	if _, kept := a.cache[long]; kept {
		t.Error("a long address is kept")
	}
	if n := len(a.cache); n > maxCached {
		t.Errorf("%d answers are kept", n)
	}
}

func TestNobodyHasAccess(t *testing.T) {
	t.Parallel()
	var a Access
	if a.Role("alice@example.org") != None || a.CanSee("alice@example.org", "x") || a.CanControl("", "x") {
		t.Error("the zero Access lets somebody in")
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"door", "door", true}, {"door", "doors", false}, {"door*", "door", true}, {"door*", "doors", true}, {"*", "", true}, {"*", "x", true},
		{"*door", "front-door", true}, {"*door", "door-2", false}, {"a*b*c", "abc", true}, {"a*b*c", "axxbyyc", true}, {"a*b*c", "acb", false},
		{"a*a", "a", false}, {"**", "x", true}, {"*a*", "bab", true}, {"*ab", "aab", true}, {"", "", true}, {"", "x", false},
	} {
		if got := Match(c.pattern, c.name); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for _, r := range []Role{Viewer, Operator, Admin} {
		if got, ok := ParseRole(r.String()); got != r || !ok {
			t.Errorf("ParseRole(%q) = %v, %v", r, got, ok)
		}
	}
	for _, s := range []string{"none", "", "root"} {
		if got, ok := ParseRole(s); got != None || ok {
			t.Errorf("ParseRole(%q) = %v, %v", s, got, ok)
		}
	}
}

func BenchmarkAccess(b *testing.B) {
	a := mustParse(b, house).Access
	b.ReportAllocs()
	for b.Loop() {
		if !a.CanControl("anyone@family.example.org", devices.ID("greenhouse")) {
			b.Fatal("no")
		}
	}
}
