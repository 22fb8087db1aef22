package homeassistant

import (
	"slices"
	"strings"

	"tidings/drivers/mqtt/discovery"
)

// An identity is the identifiers of one or more announcements that have the same ones, the first one first.
type identity struct {
	tokens        []string
	announcements []*announcement
	group         *group
}

func (i *identity) id() string { return strings.Join(i.tokens, "\x00") }

// A group is the identities that are one device.
type group struct {
	anchor     string // the token that they all have
	identities []*identity
	key        string
	given      bool // the key was given out
}

// groups is who belongs together.
type groups struct {
	identities map[string]*identity
	named      map[string][]*identity // by token
	anchored   map[string]*group      // by anchor
	keyed      map[string]*group      // by key
	changed    map[string]bool        // keys of which something else is known
}

func newGroups() *groups {
	return &groups{identities: make(map[string]*identity), named: make(map[string][]*identity), anchored: make(map[string]*group),
		keyed: make(map[string]*group), changed: make(map[string]bool)}
}

// take returns the keys that changed since it was asked last, in order.
func (g *groups) take() []string {
	var keys []string
	for key := range g.changed {
		keys = append(keys, key)
	}
	clear(g.changed)
	slices.Sort(keys)
	return keys
}

// put adds an announcement in the place of an old one, which may be nil.
func (g *groups) put(a, old *announcement, tokens []string) bool {
	if old != nil && slices.Equal(old.identity.tokens, tokens) {
		i := old.identity
		i.announcements[slices.Index(i.announcements, old)] = a
		a.identity, old.identity = i, nil
		g.touch(i.group)
		return true
	}
	ok := g.add(a, tokens)
	if ok && old != nil {
		g.remove(old)
	}
	return ok
}

// add puts an announcement to the others of its device. It reports false when there are too many of them.
func (g *groups) add(a *announcement, tokens []string) bool {
	id := strings.Join(tokens, "\x00")
	i := g.identities[id]
	if i == nil {
		if len(g.anchored) >= discovery.MaxDevices {
			return false
		}
		for _, token := range tokens {
			if len(g.named[token]) >= maxIdentities {
				return false
			}
		}
		i = &identity{tokens: tokens}
		g.identities[id] = i
		for _, token := range tokens {
			g.named[token] = append(g.named[token], i)
		}
		g.anchor(i)
		g.anchorOthers(i)
	}
	if len(i.announcements) >= maxAnnouncements {
		return false
	}
	i.announcements = append(i.announcements, a)
	a.identity = i
	g.touch(i.group)
	return true
}

// remove takes an announcement away.
func (g *groups) remove(a *announcement) {
	i := a.identity
	i.announcements = slices.DeleteFunc(i.announcements, func(other *announcement) bool { return other == a })
	a.identity = nil
	g.touch(i.group)
	if len(i.announcements) > 0 {
		return
	}
	delete(g.identities, i.id())
	for _, token := range i.tokens {
		rest := slices.DeleteFunc(g.named[token], func(other *identity) bool { return other == i })
		if g.named[token] = rest; len(rest) == 0 {
			delete(g.named, token)
		}
	}
	g.leave(i)
	g.anchorOthers(i)
}

// anchorOthers finds the group anew of those that have a token in common with one that came or went: of several the anchor
// can only have changed when they became two, or one.
func (g *groups) anchorOthers(i *identity) {
	for _, token := range i.tokens {
		if others := g.named[token]; len(others) <= 2 {
			for _, other := range others {
				g.anchor(other)
			}
		}
	}
}

// anchor puts an identity into the group of the first of its tokens that others have, too; of its first one when there is none.
func (g *groups) anchor(i *identity) {
	anchor := i.tokens[0]
	for _, token := range i.tokens {
		if len(g.named[token]) > 1 {
			anchor = token
			break
		}
	}
	if i.group != nil && i.group.anchor == anchor {
		return
	}
	key := ""
	if was := i.group; was != nil && was.given {
		key = was.key
	}
	g.leave(i)
	to := g.anchored[anchor]
	if to == nil {
		to = &group{anchor: anchor}
		g.anchored[anchor] = to
	}
	to.identities = append(to.identities, i)
	i.group = to
	if key == i.tokens[0] && !to.given {
		g.call(to, key) // it is the same device, by another of its tokens
		to.given = true
	}
	g.touch(to)
}

// leave takes an identity out of its group.
func (g *groups) leave(i *identity) {
	from := i.group
	if from == nil {
		return
	}
	i.group = nil
	from.identities = slices.DeleteFunc(from.identities, func(other *identity) bool { return other == i })
	if len(from.identities) == 0 {
		delete(g.anchored, from.anchor)
	}
	g.touch(from)
}

// touch notes that something else is known of a group, and finds its key.
func (g *groups) touch(of *group) {
	if of == nil {
		return
	}
	if key := of.choose(); key != of.key || g.keyed[key] != of {
		g.call(of, key)
	}
	if of.key != "" {
		g.changed[of.key] = true
	}
}

// call gives a group another key.
func (g *groups) call(of *group, key string) {
	if of.key != "" && g.keyed[of.key] == of {
		delete(g.keyed, of.key)
		g.changed[of.key] = true
	}
	if of.key != key {
		of.key, of.given = key, false
	}
	if key != "" {
		g.keyed[key] = of
		g.changed[key] = true
	}
}

// choose is the key: the one that was given out while an announcement begins with it; else the first token of most
// announcements, an identifier before a connection, the first in the alphabet of several.
func (of *group) choose() string {
	counts := make(map[string]int)
	for _, i := range of.identities {
		counts[i.tokens[0]] += len(i.announcements)
	}
	if _, ok := counts[of.key]; ok && of.given {
		return of.key
	}
	best := ""
	better := func(a, b string) bool {
		ca, cb := strings.HasPrefix(a, "connection:"), strings.HasPrefix(b, "connection:")
		switch {
		case ca != cb:
			return cb
		case counts[a] != counts[b]:
			return counts[a] > counts[b]
		}
		return a < b
	}
	for key := range counts {
		if best == "" || better(key, best) {
			best = key
		}
	}
	return best
}

// announcements of the group, by their places.
func (of *group) announcements() []*announcement {
	var all []*announcement
	for _, i := range of.identities {
		all = append(all, i.announcements...)
	}
	slices.SortFunc(all, func(a, b *announcement) int { return strings.Compare(a.place.id(), b.place.id()) })
	return all
}

// strangers are tokens of the group that lead to the devices of others.
func (of *group) strangers(g *groups) []string {
	var keys []string
	for _, i := range of.identities {
		for _, token := range i.tokens {
			if other := g.anchored[token]; other != nil && other != of && !slices.Contains(keys, other.key) {
				keys = append(keys, other.key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

const (
	maxIdentities    = 64  // that have one token in common
	maxAnnouncements = 600 // of one identity
)
