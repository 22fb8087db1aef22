package homeassistant

import (
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"slices"
	"strings"

	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/discovery/homeassistant/component"
)

// Options are what can be set.
type Options struct {
	Prefix string // of the topics; empty: homeassistant
}

// A Convention is Home Assistant's discovery. It belongs to one goroutine.
type Convention struct {
	options   Options
	seed      maphash.Seed
	announced map[string]*announcement // by topic
	owners    map[string][]*entry      // by component and unique_id, the first first
	groups    *groups
	templates component.Templates
	reports   []string
}

// An announcement is one that is known.
type announcement struct {
	place    place
	sum      uint64 // of its payload
	identity *identity
	about    about
	entries  []*entry
	leaving  bool // another announcement will take over
}

// An entry is one component of an announcement.
type entry struct {
	announcement *announcement
	kind, object string
	uid          string // component and unique_id; empty: none
	base         string // the name of its points; it stays when the device is called something else
	label        string // with the device's name before it, maybe
	minor        bool   // it is for configuring or diagnosing the device
	disabled     bool
	built        component.Built
	err          error // why there are no points of it
}

// id is what stays the same of a component.
func (e *entry) id() string {
	if e.announcement.place.kind == "device" {
		return e.announcement.place.id() + "/" + e.object
	}
	return e.announcement.place.id()
}

// New makes the convention.
func New(o Options) *Convention {
	if o.Prefix = strings.Trim(o.Prefix, "/"); o.Prefix == "" {
		o.Prefix = "homeassistant"
	}
	return &Convention{options: o, seed: maphash.MakeSeed(), announced: make(map[string]*announcement), owners: make(map[string][]*entry),
		groups: newGroups()}
}

// Filters are the topics of announcements with and without a node.
func (c *Convention) Filters() []string {
	return []string{c.options.Prefix + "/+/+/config", c.options.Prefix + "/+/+/+/config"}
}

// Start has nothing to ask for.
func (c *Convention) Start() []discovery.Message { return nil }

// Take hears an announcement.
func (c *Convention) Take(m *discovery.Message) ([]string, []discovery.Message) {
	rest, ok := strings.CutPrefix(m.Topic, c.options.Prefix+"/")
	if !ok {
		return nil, nil
	}
	p, ok := parsePlace(rest)
	if !ok {
		return nil, nil
	}
	old := c.announced[m.Topic]
	if len(m.Payload) == 0 {
		if old != nil {
			delete(c.announced, m.Topic)
			c.groups.remove(old)
			c.disown(old)
		}
		return c.groups.take(), nil
	}
	if len(m.Payload) > discovery.MaxAnnouncement {
		c.report("%s: the announcement has %d bytes: at most %d are read", m.Topic, len(m.Payload), discovery.MaxAnnouncement)
		return nil, nil
	}
	sum := maphash.Bytes(c.seed, m.Payload)
	if old != nil && old.sum == sum && !old.leaving {
		return nil, nil
	}
	said, err := parse(p, m.Payload)
	switch {
	case err != nil: // what it said before holds, as in Home Assistant
		c.report("%s: %v", m.Topic, err)
		return nil, nil
	case said.handOver:
		if old != nil {
			old.leaving = true
			c.touch(old)
		}
		return c.groups.take(), nil
	}
	a := &announcement{place: p, sum: sum, about: said.about}
	a.entries = c.entries(a, old, said)
	tokens := said.tokens
	if len(tokens) == 0 {
		tokens = []string{alone(a)}
	}
	if !c.groups.put(a, old, tokens) {
		c.report("%s: there are too many devices, or too many announcements of this one", m.Topic)
		return c.groups.take(), nil
	}
	c.announced[m.Topic] = a
	c.own(a, old)
	return c.groups.take(), nil
}

// Report returns what was not understood since it was last asked.
func (c *Convention) Report() []string {
	reports := c.reports
	c.reports = nil
	return reports
}

func (c *Convention) report(format string, args ...any) {
	if len(c.reports) < discovery.MaxNotes {
		c.reports = append(c.reports, fmt.Sprintf(format, args...))
	}
}

// own notes the unique_ids of an announcement, which takes the place of an old one.
func (c *Convention) own(a, old *announcement) {
	for _, e := range a.entries {
		if e.uid == "" {
			continue
		}
		owners := c.owners[e.uid]
		i := slices.IndexFunc(owners, func(was *entry) bool { return was.announcement == old })
		if i < 0 {
			owners = append(owners, e)
		} else {
			owners[i] = e
		}
		c.owners[e.uid] = owners
		c.touchOwners(e.uid)
	}
	if old != nil {
		c.disown(old)
	}
}

// disown forgets the unique_ids of an announcement.
func (c *Convention) disown(a *announcement) {
	for _, e := range a.entries {
		if e.uid == "" {
			continue
		}
		owners := slices.DeleteFunc(c.owners[e.uid], func(other *entry) bool { return other == e })
		if c.owners[e.uid] = owners; len(owners) == 0 {
			delete(c.owners, e.uid)
		}
		c.touchOwners(e.uid)
	}
}

// alone is the token of a component without a device.
func alone(a *announcement) string {
	token := "topic:" + a.place.id()
	if len(a.entries) == 1 && a.entries[0].uid != "" {
		token = "entity:" + a.entries[0].uid
	}
	if len(token) <= maxKey {
		return token
	}
	sum := fnv.New64a()
	sum.Write([]byte(token))
	return fmt.Sprintf("%s…%016x", token[:maxKey-20], sum.Sum64())
}

// entries builds the components of an announcement. What was called something before keeps its name.
func (c *Convention) entries(a, old *announcement, said *parsed) []*entry {
	entries := make([]*entry, 0, len(said.raws))
	for _, r := range said.raws {
		e := &entry{announcement: a, kind: r.kind, object: r.object}
		e.label = cleanName(r.config.Text("name", ""))
		e.minor = r.config.Has("entity_category")
		e.disabled = !r.config.Flag("enabled_by_default", true)
		if uid := r.config.Text("unique_id", ""); uid != "" && len(uid) <= maxToken && printable(uid) {
			e.uid = r.kind + ":" + uid
		}
		owners := c.owners[e.uid]
		if len(owners) >= maxOwners && !slices.ContainsFunc(owners, func(was *entry) bool { return was.announcement == old }) {
			e.uid, e.err = "", errors.New("its unique_id is the one of many others")
		}
		if !e.disabled && e.err == nil {
			e.built, e.err = component.Build(r.kind, r.config, &c.templates)
		}
		if len(said.tokens) == 0 {
			a.about.name = cleanName(r.config.Text("name", r.object))
			e.label = ""
		}
		if e.base = c.keptBase(e, old); e.base == "" {
			e.base = baseName(e, said, r.config.Text("device_class", ""))
		}
		entries = append(entries, e)
	}
	return entries
}

// maxOwners bounds the components that say that they are the same one.
const maxOwners = 16

// keptBase is the name that a component had in the announcement before, or in the one that hands it over.
func (c *Convention) keptBase(e *entry, old *announcement) string {
	if old != nil {
		for _, was := range old.entries {
			if was.kind == e.kind && was.object == e.object {
				return was.base
			}
		}
	}
	if owners := c.owners[e.uid]; e.uid != "" && len(owners) > 0 && owners[0].announcement.leaving {
		return owners[0].base
	}
	return ""
}

// touch notes that something else is known of the device of an announcement, and of others that want its unique_ids.
func (c *Convention) touch(a *announcement) {
	if a.identity != nil {
		c.groups.touch(a.identity.group)
	}
	for _, e := range a.entries {
		if e.uid != "" {
			c.touchOwners(e.uid)
		}
	}
}

func (c *Convention) touchOwners(uid string) {
	if owners := c.owners[uid]; len(owners) > 1 {
		for _, e := range owners {
			if e.announcement.identity != nil {
				c.groups.touch(e.announcement.identity.group)
			}
		}
	}
	if owners := c.owners[uid]; len(owners) == 1 && owners[0].announcement.identity != nil {
		c.groups.touch(owners[0].announcement.identity.group)
	}
}

// owner is the entry that a unique_id belongs to: the first that is not leaving.
func (c *Convention) owner(uid string) *entry {
	owners := c.owners[uid]
	for _, e := range owners {
		if !e.announcement.leaving {
			return e
		}
	}
	if len(owners) > 0 {
		return owners[0]
	}
	return nil
}
