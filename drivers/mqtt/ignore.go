package mqtt

import (
	"fmt"
	glob "path"
	"slices"
	"strings"

	"tidings/drivers/mqtt/discovery"
)

// patterns say what of discovered devices is left out, by a name of it, in any case.
type patterns []string

// noSlash stands for the slash, which path.Match treats unlike other letters.
const noSlash = "\u2215"

func plain(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", noSlash) }

// parsePatterns reads the key ignore.
func parsePatterns(list []string) (patterns, error) {
	out := make(patterns, len(list))
	for i, text := range list {
		out[i] = plain(text)
		if _, err := glob.Match(out[i], ""); err != nil || text == "" {
			return nil, fmt.Errorf("%q is no pattern: write it as in \"*_linkquality\"", text)
		}
	}
	return out, nil
}

func (p patterns) match(name string) bool {
	return slices.ContainsFunc(p, func(pattern string) bool {
		ok, _ := glob.Match(pattern, plain(name))
		return ok
	})
}

// apply leaves out what is to be ignored: points by "linkquality" or "kitchen_lamp_linkquality", the device by "kitchen_lamp"
// or its match. It returns nil when nothing is left.
func (p patterns) apply(match string, dev *discovery.Device) *discovery.Device {
	if len(p) == 0 {
		return dev
	}
	slug := ""
	if dev.Name != "" {
		slug = discovery.PointName(dev.Name)
	}
	if p.match(match) || slug != "" && p.match(slug) {
		return nil
	}
	rest := *dev
	rest.Points = slices.DeleteFunc(slices.Clone(dev.Points), func(point discovery.Point) bool {
		return p.match(point.Name) || slug != "" && p.match(slug+"_"+point.Name)
	})
	if len(rest.Points) == 0 && len(dev.Points) > 0 {
		return nil
	}
	return &rest
}
