package mapping

import (
	"slices"
	"strings"
)

// Understand finds the one action that words mean, in any case: its name or node; "on" alone where only one action
// ends so; a value after "set", after the point's name, or after both. It returns nil when they mean none, or more than
// one: nothing is ever guessed. The value is for Point.Parse.
func (d *Device) Understand(said []string) (action *Action, value string) {
	if len(said) == 0 {
		return nil, ""
	}
	words := make([]string, len(said))
	for i := range said {
		words[i] = strings.ToLower(said[i])
	}
	actions := d.Actions()
	all := strings.Join(words, " ")
	var short, asks []*Action
	for i := range actions {
		a := &actions[i]
		if a.Really {
			continue // whoever asks with words is asked "really?" in words
		}
		if a.Ask {
			asks = append(asks, a)
			continue
		}
		name, node := strings.ToLower(a.Name), strings.ReplaceAll(a.Node, "/", " ")
		if all == name || all == node || reversed(words) == name {
			return a, ""
		}
		if verb := name[strings.LastIndexByte(name, ' ')+1:]; all == verb || strings.HasSuffix(node, " "+all) {
			short = append(short, a)
		}
	}
	if len(short) == 1 {
		return short[0], ""
	}
	if words[0] == "set" {
		words, said = words[1:], said[1:]
	}
	for _, a := range asks {
		for _, name := range []string{strings.ToLower(a.Point.Label), a.Point.Name} {
			n := strings.Fields(name)
			if len(words) > len(n) && slices.Equal(words[:len(n)], n) {
				return a, withoutTo(said[len(n):])
			}
		}
	}
	if len(asks) == 1 && len(words) > 0 && strings.HasPrefix(all, "set ") {
		return asks[0], withoutTo(said)
	}
	return nil, ""
}

// reversed puts the last word last but first: "on pump" for "pump on".
func reversed(words []string) string {
	if len(words) < 2 {
		return ""
	}
	return strings.Join(append(slices.Clone(words[1:]), words[0]), " ")
}

// withoutTo is the value in "to 21.5".
func withoutTo(words []string) string {
	if len(words) > 1 && strings.EqualFold(words[0], "to") {
		words = words[1:]
	}
	return strings.Join(words, " ")
}
