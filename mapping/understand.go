package mapping

import (
	"slices"
	"strings"
	"unicode"

	"tidings/devices"
)

// otherWords are what people call points that have another name.
var otherWords = map[string]string{"dim": "brightness", "colour": "color", "temperature": "target"}

// Understand finds the one action that words mean, in any case: its name or node; its verb alone ("on", "open") where only one
// action has it, those apart that configure the device; a value after "set", after the point's name or the end of it ("brightness 40" of the desk lamp's brightness, where
// no other ends so), or after both. It returns nil when they mean none, or more than one: nothing is ever guessed. The value is
// for Point.Parse; alone it is enough where it says by itself what it is and only one point takes it: "#ff8800", "heat", "40 %". A number
// without its unit does not: it may be the end of a name, as in "lamp 2".
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
	if slices.ContainsFunc(actions, func(a Action) bool { return !a.Point.Minor }) {
		short = slices.DeleteFunc(short, func(a *Action) bool { return a.Point.Minor })
	}
	if len(short) == 1 {
		return short[0], ""
	}
	if words[0] == "set" {
		words, said = words[1:], said[1:]
	}
	if len(words) == 0 {
		return nil, ""
	}
	if a, value := called(asks, words, said); a != nil {
		return a, value
	}
	if other := otherWords[words[0]]; other != "" {
		if a, value := called(asks, append([]string{other}, words[1:]...), said); a != nil {
			return a, value
		}
	}
	if value := withoutTo(said); len(asks) > 0 {
		if a := taking(asks, value); a != nil {
			return a, value
		}
	}
	if len(asks) == 1 && strings.HasPrefix(all, "set ") {
		return asks[0], withoutTo(said)
	}
	return nil, ""
}

// called finds the point whose name the words begin with, the longest; else the one whose name ends so. What is left is the value.
func called(asks []*Action, words, said []string) (found *Action, value string) {
	longest := 0
	for _, a := range asks {
		for _, name := range []string{strings.ToLower(a.Point.Label), a.Point.Name, strings.ReplaceAll(a.Point.Name, "_", " ")} {
			n := strings.Fields(name)
			if len(n) > longest && len(words) > len(n) && slices.Equal(words[:len(n)], n) {
				longest, found = len(n), a
			}
		}
	}
	if found == nil {
		return endsSo(asks, words, said)
	}
	return found, withoutTo(said[longest:])
}

// taking finds the one point that takes a value which says by itself what it is: a colour, one of the words of a choice, a number with
// its unit. Those that configure the device do not count, and of several choices one that is the mode does.
func taking(asks []*Action, value string) *Action {
	var found []*Action
	for _, a := range asks {
		if !a.Point.Minor && a.Point.takes(value) {
			found = append(found, a)
		}
	}
	if i := slices.IndexFunc(found, func(a *Action) bool { return a.Point.Name == "mode" }); i >= 0 {
		return found[i]
	}
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

// takes reports whether it is plain that a value is one of the point.
func (p *Point) takes(value string) bool {
	switch p.Kind {
	case devices.KindColor:
		if !strings.HasPrefix(value, "#") && strings.ContainsFunc(value, unicode.IsDigit) {
			return false // 100 is #110000, too
		}
	case devices.KindNumber:
		if p.Unit == "" || !strings.ContainsFunc(value, func(r rune) bool { return unicode.IsLetter(r) || strings.ContainsRune("%°", r) }) {
			return false
		}
	case devices.KindChoice:
	default:
		return false
	}
	_, err := p.Parse(value)
	return err == nil
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
