package local

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"tidings/xmppbridge/stream"
)

const (
	// What one account may keep in nodes: so many nodes, so many items in one, so many bytes in one item and in all. A
	// person has a bookmark a room, a set of keys and an avatar a client, and little else.
	maxNodes        = 128
	maxNodeItems    = 512
	maxItemBytes    = 160 << 10
	maxPEPBytes     = 2 << 20
	maxNodeName     = 512 // bytes of a node's name and of an item's id
	nsNodeConfig    = nsPubSub + "#node_config"
	nsPubOptions    = nsPubSub + "#publish-options"
	accessOpen      = "open"
	accessNormal    = "presence"
	accessWhitelist = "whitelist"
	lastNever       = "never"
	lastNormal      = "on_sub_and_presence"
)

// Nodes remembers what people publish (XEP-0163), a text for each node.
type Nodes interface {
	// Nodes returns all of an account, by name.
	Nodes(ctx context.Context, account string) (map[string][]byte, error)
	// PutNode keeps a node in place of what was kept of it.
	PutNode(ctx context.Context, account, node string, content []byte) error
	// DeleteNode forgets a node; it is no error if there is none.
	DeleteNode(ctx context.Context, account, node string) error
}

// A node is never changed once it can be seen: a copy takes its place.
type node struct {
	Access        string     `json:"access"` // accessOpen, accessNormal or accessWhitelist, which is for the account alone
	Last          string     `json:"last"`   // when the newest item is sent: lastNormal, on_sub, lastNever
	MaxItems      int        `json:"max_items"`
	Persist       bool       `json:"persist"`
	NotifyRetract bool       `json:"notify_retract"`
	Items         []nodeItem `json:"items,omitempty"` // the newest last
}

type nodeItem struct {
	ID      string `json:"id"`
	XML     string `json:"xml"` // of the payload
	payload *stream.Element
}

func newNode() *node {
	return &node{Access: accessNormal, Last: lastNormal, MaxItems: 1, Persist: true}
}

func newNodeItem(id string, payload *stream.Element) nodeItem {
	if id == "" {
		id = newID()
	}
	payload = payload.Clone()
	return nodeItem{ID: id, XML: string(payload.AppendXML(nil)), payload: payload}
}

// put adds an item, in place of the one of the same id; the oldest go.
func (n *node) put(item nodeItem) {
	n.Items = slices.DeleteFunc(n.Items, func(i nodeItem) bool { return i.ID == item.ID })
	n.Items = append(n.Items, item)
	n.trim()
}

func (n *node) trim() {
	if over := len(n.Items) - n.MaxItems; over > 0 {
		n.Items = slices.Delete(n.Items, 0, over)
	}
}

func (n *node) bytes() int {
	total := 0
	for _, i := range n.Items {
		total += len(i.XML) + len(i.ID)
	}
	return total
}

// boolean reads one as XEP-0004 has it.
func boolean(text string, otherwise bool) (bool, error) {
	switch text {
	case "":
		return otherwise, nil
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, stream.NewStanzaError(stream.BadRequest, "neither true nor false")
}

// pepForm reads the form within an element: the fields there are, by name. No element and no form are no fields.
func pepForm(e *stream.Element) (map[string]string, error) {
	x := e.Child(nsForm, "x")
	if x == nil {
		return nil, nil
	}
	fields := make(map[string]string)
	for f := range x.Children() {
		if f.Is(nsForm, "field") {
			fields[f.Attr("var")] = f.ChildText(nsForm, "value")
		}
	}
	if typ := fields["FORM_TYPE"]; x.Attr("type") != "submit" || typ != nsNodeConfig && typ != nsPubOptions {
		return nil, stream.NewStanzaError(stream.BadRequest, "not a form to configure a node with")
	}
	return fields, nil
}

// configure takes the fields of a form. Those it does not know are passed over: none of them lets anybody read who could not.
func (n *node) configure(fields map[string]string) error {
	for name, value := range fields {
		var err error
		switch name {
		case "pubsub#access_model":
			if !slices.Contains([]string{accessOpen, accessNormal, accessWhitelist}, value) {
				return pepError(stream.NotAcceptable, "unsupported-access-model")
			}
			n.Access = value
		case "pubsub#send_last_published_item":
			if !slices.Contains([]string{lastNever, "on_sub", lastNormal}, value) {
				return stream.NewStanzaError(stream.NotAcceptable, name)
			}
			n.Last = value
		case "pubsub#max_items":
			if n.MaxItems, err = maxItems(value); err != nil {
				return err
			}
		case "pubsub#persist_items":
			n.Persist, err = boolean(value, true)
		case "pubsub#notify_retract":
			n.NotifyRetract, err = boolean(value, false)
		}
		if err != nil {
			return err
		}
	}
	n.trim()
	return nil
}

func maxItems(value string) (int, error) {
	if value == "max" {
		return maxNodeItems, nil
	}
	k, err := strconv.Atoi(value)
	if err != nil || k < 1 {
		return 0, stream.NewStanzaError(stream.NotAcceptable, "pubsub#max_items is a number from 1 on, or max")
	}
	return min(k, maxNodeItems), nil
}

// meets reports whether a node is as the options of a publication want it (XEP-0060 §7.1.5).
func (n *node) meets(fields map[string]string) bool {
	as := *n
	as.Items = nil
	now := as
	return as.configure(fields) == nil && as.Access == now.Access && as.Last == now.Last && as.MaxItems == now.MaxItems && as.Persist == now.Persist &&
		as.NotifyRetract == now.NotifyRetract
}

// form is the configuration as its owner may change it.
func (n *node) form() *stream.Element {
	x := stream.New(nsForm, "x", "type", "form")
	field := func(name, typ, value string, options ...string) {
		f := stream.New(nsForm, "field", "var", name, "type", typ).Add(stream.New(nsForm, "value").AddText(value))
		for _, o := range options {
			f.Add(stream.New(nsForm, "option").Add(stream.New(nsForm, "value").AddText(o)))
		}
		x.Add(f)
	}
	most := strconv.Itoa(n.MaxItems)
	if n.MaxItems == maxNodeItems {
		most = "max"
	}
	field("FORM_TYPE", "hidden", nsNodeConfig)
	field("pubsub#access_model", "list-single", n.Access, accessOpen, accessNormal, accessWhitelist)
	field("pubsub#send_last_published_item", "list-single", n.Last, lastNever, "on_sub", lastNormal)
	field("pubsub#max_items", "text-single", most)
	field("pubsub#persist_items", "boolean", strconv.FormatBool(n.Persist))
	field("pubsub#notify_retract", "boolean", strconv.FormatBool(n.NotifyRetract))
	return x
}

// loadNodes has an account's nodes in memory.
func (s *Server) loadNodes(ctx context.Context, a *account) error {
	a.publishing.Lock()
	defer a.publishing.Unlock()
	s.mu.Lock()
	loaded := a.nodes != nil
	s.mu.Unlock()
	if loaded {
		return nil
	}
	kept, err := s.store.Nodes(ctx, a.name)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	nodes := make(map[string]*node, len(kept))
	for name, content := range kept {
		n := newNode()
		err := json.Unmarshal(content, n)
		for i := range n.Items {
			if err == nil {
				n.Items[i].payload, err = stream.Parse([]byte(n.Items[i].XML))
			}
		}
		if err != nil {
			s.log.Error("a node is damaged: left out", "account", a.name, "node", name, "err", err)
			continue
		}
		nodes[name] = n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a.nodes = nodes
	return nil
}

// changeNode is the one way a node changes: a copy is changed, stored, and then seen; done is called with Server.mu held. made
// says that there was none. If do fails nothing changes.
func (s *Server) changeNode(ctx context.Context, a *account, name string, do func(n *node, made bool) error, done func(*node)) error {
	a.publishing.Lock()
	defer a.publishing.Unlock()
	s.mu.Lock()
	was := a.nodes[name]
	others, total := len(a.nodes), 0
	for other, n := range a.nodes {
		if other != name {
			total += n.bytes() + len(other)
		}
	}
	s.mu.Unlock()
	n := newNode()
	if was != nil {
		*n = *was
		n.Items = slices.Clone(was.Items)
	}
	if err := do(n, was == nil); err != nil {
		return err
	}
	if was == nil && others >= maxNodes || total+n.bytes()+len(name) > maxPEPBytes {
		return stream.NewStanzaError(stream.ResourceConstraint, "you keep too much here already")
	}
	kept := n
	if !n.Persist {
		forgetful := *n
		forgetful.Items = nil
		kept = &forgetful
	}
	content, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if err := s.store.PutNode(ctx, a.name, name, content); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a.nodes[name] = n
	if done != nil {
		done(n)
	}
	return nil
}
