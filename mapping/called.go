package mapping

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"tidings/devices"
	"tidings/devices/schema"
)

// Names are what a device goes by.
type Names struct {
	ID   devices.ID
	Slug string // its name in addresses
	Name string
}

// Called finds the device that a person means: by its ID, else by its name in addresses, else by what it is called, in any case.
// It returns its place in the list. Where none is meant, or several, the error says which might be.
func Called(said string, list []Names) (int, error) {
	for _, is := range []func(Names) bool{
		func(n Names) bool { return string(n.ID) == said },
		func(n Names) bool { return n.Slug == said },
		func(n Names) bool { return strings.EqualFold(string(n.ID), said) },
		func(n Names) bool { return strings.EqualFold(n.Slug, said) },
		func(n Names) bool { return strings.EqualFold(n.Name, said) },
	} {
		i := slices.IndexFunc(list, is)
		if i < 0 {
			continue
		}
		var slugs []string
		for _, n := range list[i:] {
			if is(n) {
				slugs = append(slugs, n.Slug)
			}
		}
		if len(slugs) > 1 {
			return 0, fmt.Errorf("there are several devices called %s: say which of %s", said, listed(slugs, "and"))
		}
		return i, nil
	}
	var names []string
	for _, n := range list {
		names = append(names, n.Slug, n.Name)
	}
	if near := NearName(said, names); near != "" {
		return 0, fmt.Errorf("%s: %w: did you mean %q?", said, devices.ErrUnknownDevice, near)
	}
	return 0, fmt.Errorf("%s: %w: `tidings devices` lists what there is", said, devices.ErrUnknownDevice)
}

// NearName is the name that was nearly said, or empty. Short words are near to too much: of two, one has four letters.
func NearName(said string, names []string) string {
	if utf8.RuneCountInString(said) < 4 {
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return utf8.RuneCountInString(name) < 4 })
	}
	return schema.Near(said, names)
}
