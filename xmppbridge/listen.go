package xmppbridge

import (
	"crypto/rand"
	"slices"
	"strings"
	"sync"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// The bounds of those who listen by presence.
const (
	maxListeners = 1000
	maxFilters   = 500 // nodes that one of them names
	maxAsking    = 1000
	maxKnownCaps = 1000
)

// listeners are clients that want items without having subscribed (XEP-0163 §4.3.2): their capabilities (XEP-0115) name a node
// with "+notify" behind it, and they let us have their presence. What capabilities stand for is asked once for each account and
// version: an answer counts for the account it came from alone, so that nobody can speak for another.
type listeners struct {
	b *Bridge

	mu     sync.Mutex
	live   map[string][]string            // nodes, by full JID
	byNode map[string]map[string]struct{} // full JIDs, by node
	known  map[string][]string            // nodes, by account and version
	asking map[string]capsQuestion        // by the id of the IQ
}

type capsQuestion struct{ full, key string }

func newListeners(b *Bridge) *listeners {
	return &listeners{b: b, live: map[string][]string{}, byNode: map[string]map[string]struct{}{}, known: map[string][]string{},
		asking: map[string]capsQuestion{}}
}

// present takes the presence of somebody who is available.
func (l *listeners) present(full string, st *stream.Element) {
	if !l.b.o.publishesItself() {
		return
	}
	c := st.Child(nsCaps, "c")
	ver := c.Attr("node") + "#" + c.Attr("ver")
	if l.b.access().Role(bareJID(full)) == mapping.None || c.Attr("node") == "" || c.Attr("ver") == "" || bareJID(full) == full {
		return
	}
	key := person(full) + " " + ver
	l.mu.Lock()
	nodes, known := l.known[key]
	id := ""
	if !known && !l.asked(full, key) {
		if len(l.asking) >= maxAsking {
			clear(l.asking) // those who never answered
		}
		id = "caps-" + rand.Text()
		l.asking[id] = capsQuestion{full, key}
	}
	l.mu.Unlock()
	if known {
		l.listen(full, nodes)
	} else if id != "" {
		_, hub := l.b.addresses().Hub()
		l.b.send(stream.New(stream.NS, "iq", "type", "get", "id", id, "from", hub, "to", full).
			Add(stream.New(nsDiscoInfo, "query", "node", ver)))
	}
}

// asked reports whether a question is under way already. l.mu is held.
func (l *listeners) asked(full, key string) bool {
	for _, q := range l.asking {
		if q == (capsQuestion{full, key}) {
			return true
		}
	}
	return false
}

// answered takes the answer to a question of ours.
func (l *listeners) answered(iq *stream.Element) {
	id := iq.Attr("id")
	l.mu.Lock()
	q, asked := l.asking[id]
	if !asked || q.full != iq.Attr("from") {
		l.mu.Unlock()
		return
	}
	delete(l.asking, id)
	var nodes []string
	for f := range iq.Child(nsDiscoInfo, "query").Children() {
		node, notify := strings.CutSuffix(f.Attr("var"), "+notify")
		if f.Name == "feature" && notify && strings.HasPrefix(node, nodePrefix) && len(nodes) < maxFilters {
			nodes = append(nodes, node)
		}
	}
	if len(l.known) >= maxKnownCaps {
		clear(l.known)
	}
	l.known[q.key] = nodes
	l.mu.Unlock()
	l.listen(q.full, nodes)
}

// listen has a client told of nodes from now on, and of what they are now if that is new.
func (l *listeners) listen(full string, nodes []string) {
	l.mu.Lock()
	before := l.live[full]
	if slices.Equal(before, nodes) || len(before) == 0 && len(l.live) >= maxListeners {
		l.mu.Unlock()
		return
	}
	l.remove(full)
	if len(nodes) > 0 {
		l.live[full] = nodes
		for _, n := range nodes {
			if l.byNode[n] == nil {
				l.byNode[n] = map[string]struct{}{}
			}
			l.byNode[n][full] = struct{}{}
		}
	}
	l.mu.Unlock()
	l.b.events.watchAll(len(nodes) - len(before))
	for _, n := range nodes {
		if f, ok := l.b.fieldOf(n); ok && !slices.Contains(before, n) && l.may(f, full) {
			l.b.items.last(f, full)
		}
	}
}

// remove takes a client out. l.mu is held.
func (l *listeners) remove(full string) (n int) {
	nodes := l.live[full]
	for _, node := range nodes {
		if delete(l.byNode[node], full); len(l.byNode[node]) == 0 {
			delete(l.byNode, node)
		}
	}
	delete(l.live, full)
	return len(nodes)
}

// gone forgets a client that is not available any more.
func (l *listeners) gone(full string) {
	l.mu.Lock()
	n := l.remove(full)
	l.mu.Unlock()
	if n > 0 {
		l.b.events.watchAll(-n)
	}
}

// want reports whether anybody listens to a point.
func (l *listeners) want(f changedField) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.byNode) > 0 && len(l.byNode[l.b.nodeOf(f)]) > 0
}

// to are those who listen to a point and may, sorted.
func (l *listeners) to(f changedField) []string {
	l.mu.Lock()
	var out []string
	for full := range l.byNode[l.b.nodeOf(f)] {
		out = append(out, full)
	}
	l.mu.Unlock()
	out = slices.DeleteFunc(out, func(full string) bool { return !l.may(f, full) })
	slices.Sort(out)
	return out
}

// may reports whether somebody sees a device and lets it see their presence.
func (l *listeners) may(f changedField, full string) bool {
	who := person(full)
	if !l.b.access().CanSee(who, f.device) {
		return false
	}
	bare, _ := l.b.addresses().Device(f.device)
	return l.b.o.Audience == Rosters || l.b.roster.get(bare, who).To
}
