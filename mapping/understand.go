package mapping

import (
	"slices"
	"strings"
)

// Understand finds the one action that words mean, in any case: its name or node; its verb alone ("on", "open") where only one
// action has it; a value after "set", after the point's name or the end of it ("brightness 40" of the desk lamp's brightness, where
// no other ends so), or after both. It returns nil when they mean none, or more than one: nothing is ever guessed. The value is
// for Point.Parse.
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
		if last := name[strings.LastIndexByte(name, ' ')+1:]; all == last || all == a.Verb || strings.HasSuffix(node, " "+all) {
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
	if a, value := endsSo(asks, words, said); a != nil {
		return a, value
	}
	if len(asks) == 1 && len(words) > 0 && strings.HasPrefix(all, "set ") {
		return asks[0], withoutTo(said)
	}
	return nil, ""
}

// endsSo finds the one point whose name ends in the first of the words; the others are the value.
func endsSo(asks []*Action, words, said []string) (*Action, string) {
	for n := len(words) - 1; n > 0; n-- {
		tail := strings.Join(words[:n], " ")
		var found []*Action
		for _, a := range asks {
			if strings.HasSuffix(strings.ToLower(a.Point.Label), " "+tail) || strings.HasSuffix(strings.ReplaceAll(a.Point.Name, "_", " "), " "+tail) {
				found = append(found, a)
			}
		}
		if len(found) == 1 {
			return found[0], withoutTo(said[n:])
		}
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
