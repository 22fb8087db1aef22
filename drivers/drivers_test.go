package drivers_test

import (
	"slices"
	"strings"
	"testing"

	"tidings/devices"
	"tidings/drivers"
)

func TestTypes(t *testing.T) {
	t.Parallel()
	types := drivers.Types(drivers.Backends{})
	byName := func(a, b devices.Type) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(types, byName) {
		t.Error("the drivers are not in the order of their names, which the reference pages follow")
	}
	if all := len(types); len(slices.CompactFunc(types, func(a, b devices.Type) bool { return a.Name == b.Name })) != all {
		t.Error("a name is there twice")
	}
	for _, typ := range types {
		if typ.Name == "" || typ.Help == "" || typ.Build == nil {
			t.Errorf("%q is not complete: %+v", typ.Name, typ)
		}
	}
}
