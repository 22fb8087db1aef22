package mapping

import (
	"fmt"
	"testing"

	"tidings/devices"
)

// TestAbsent: nobody gets the name of a discovered device that is gone for a while, and those that never come back are forgotten.
func TestAbsent(t *testing.T) {
	t.Parallel()
	a := NewAddresses(Component, LayoutContact, "example.org", "hub", map[devices.ID]string{"mqtt:yesterday": "attic"})
	a.Introduce("mqtt:kettle", "Kettle")
	if a.Gone("mqtt:kettle") {
		t.Error("it is gone before it left")
	}
	a.Leave("mqtt:kettle")
	if !a.Gone("mqtt:kettle") {
		t.Error("it is not gone after it left")
	}
	again := NewAddresses(Component, LayoutContact, "things.example.org", "home", a.Kept())
	if again.Gone("mqtt:kettle") {
		t.Error("of an earlier life, it is gone before it could announce itself")
	}
	a.Introduce("mqtt:kettle", "Kettle")
	if a.Gone("mqtt:kettle") {
		t.Error("it is gone although it came back")
	}
	a.Leave("mqtt:kettle")
	a.Introduce("mqtt:stranger", "Kettle")
	if slug := a.Slug("mqtt:stranger"); slug != "kettle-2" {
		t.Errorf("a stranger is %q while the kettle is away", slug)
	}
	a.Introduce("mqtt:stranger", "Attic")
	a.Introduce("mqtt:kettle", "Renamed")
	if slug := a.Slug("mqtt:kettle"); slug != "kettle" {
		t.Errorf("back as %q", slug)
	}
	for i := range 3 * maxAbsent {
		id := devices.ID(fmt.Sprint("mqtt:", i))
		a.Introduce(id, "Flash")
		a.Leave(id)
		a.Leave("mqtt:stranger") // comes and goes
		a.Introduce("mqtt:stranger", "Kettle")
	}
	if n := len(a.Kept()); n > maxAbsent+2 || len(a.leaving) > 2*maxAbsent+2 || len(a.next) > manyAlike {
		t.Errorf("%d names are kept, %d left, %d counted", n, len(a.leaving), len(a.next))
	}
	if a.Slug("mqtt:kettle") != "kettle" || a.Slug("mqtt:stranger") != "kettle-2" {
		t.Error("those that are there have lost their names")
	}
	if _, ok := a.Lookup("attic"); ok {
		t.Error("one that never came back is still known")
	}
	before := a.Changes()
	a.Introduce("mqtt:kettle", "Again")
	if a.Changes() != before {
		t.Error("nothing changed, and something is to be stored")
	}
}

// BenchmarkAlike: ten thousand devices call themselves the same.
func BenchmarkAlike(b *testing.B) {
	for b.Loop() {
		a := NewAddresses(Component, LayoutContact, "example.org", "hub", nil)
		for i := range 10_000 {
			a.Introduce(devices.ID(fmt.Sprint("mqtt:", i)), "Plug")
		}
	}
}
