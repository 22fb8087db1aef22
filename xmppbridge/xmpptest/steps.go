//go:build servers

package xmpptest

import (
	"cmp"
	"errors"
	"strings"
	"testing"
	"time"
)

// Client is a slixmpp client. Its methods fail the test when the step does; those called Try return the error, as does
// [Script.Try]. It grants every subscription asked of it, answers receipts and verifies certificates and their names.
type Client struct {
	*Script
	// JID is the full JID after Login.
	JID string
}

// Stanza is a message or presence a client received.
type Stanza struct {
	Kind, From, To, ID, Type string // Type of a presence without one: "available"
	Show, Status, Priority   string // of a presence
	Body                     string // of a message
	Error                    *StanzaError
	XML                      string
}

// Expect describes a stanza waited for; an empty member leaves it open.
type Expect struct {
	From     string // full JID, or bare for any resource of it
	Type     string // "available", "unavailable", "subscribe", "chat" …
	Show     *string
	Status   string // whole
	Body     string // whole
	Contains string // part of the status or the body
	XML      string // part of the stanza, as slixmpp writes it
}

func (e Expect) args(kind string) map[string]any {
	args := map[string]any{"kind": kind, "sender": e.From, "type": e.Type, "contains": e.Contains, "xml": e.XML}
	if e.Show != nil {
		args["show"] = *e.Show
	}
	if e.Status != "" {
		args["status"] = e.Status
	}
	if e.Body != "" {
		args["body"] = e.Body
	}
	return args
}

// RosterItem is a contact.
type RosterItem struct {
	Name, Subscription, Ask string
	Groups                  []string // sorted
}

// Item is one of a disco#items answer, as which commands are listed.
type Item struct{ JID, Node, Name string }

// Info is a disco#info answer.
type Info struct {
	Features   []string // sorted
	Identities []struct{ Category, Type, Name string }
	Forms      []Form
}

// Command is what came back from a stage of an ad-hoc command (XEP-0050).
type Command struct {
	Node, Session, Status string   // Status: executing, completed or canceled
	Actions               []string // offered: prev, next, complete
	Execute               string   // the default one
	Notes                 []struct{ Type, Text string }
	Form                  *Form
}

// Form is a data form (XEP-0004).
type Form struct {
	Type, Title, Instructions string
	Fields                    []Field
	Reported                  []struct{ Var, Label string }
	Items                     []map[string]string // rows: var to value
}

// Field is one of a form. Datatype and Range ("" for an open end) are from XEP-0122.
type Field struct {
	Var, Type, Label string
	Values           []string
	Required         bool
	Options          []struct{ Label, Value string }
	Datatype         string
	Range            []string
}

// Stage is a request in an ad-hoc command.
type Stage struct {
	Action  string         // "execute" when empty
	Session string         // of the stage before; empty at the first
	Fields  map[string]any // submitted as a form when not nil: var to string or []string
}

// StartClient starts a client that logs out with the test, with env added to its environment.
func StartClient(t testing.TB, env ...string) *Client {
	t.Helper()
	return &Client{Script: Slixmpp(t, clientSource, env...)}
}

// TryLogin logs in, fetches the roster and sends presence.
func (c *Client) TryLogin(l Login) error {
	var answer struct{ JID string }
	err := c.Try("login", map[string]any{
		"jid": l.JID, "password": l.Password, "host": l.Host, "port": l.Port, "ca_file": l.CAFile, "direct_tls": l.DirectTLS,
		"plugins": append([]string{}, l.Plugins...), "preauth": l.Preauth,
	}, &answer)
	c.JID = answer.JID
	return err
}

// Login is TryLogin that must succeed.
func (c *Client) Login(l Login) {
	c.t.Helper()
	if err := c.TryLogin(l); err != nil {
		c.t.Fatal(err)
	}
}

// Logout closes the stream; Drop loses the connection without a word. Either way Login may follow.
func (c *Client) Logout() { c.t.Helper(); c.Do("logout", nil, nil) }

// Drop loses the connection without a word.
func (c *Client) Drop() { c.t.Helper(); c.Do("drop", nil, nil) }

// Cut loses the connection of a client whose stream may be resumed (plugin xep_0198); Reconnect connects again and reports whether
// it was.
func (c *Client) Cut() { c.t.Helper(); c.Do("cut", nil, nil) }

// Reconnect connects again and reports whether the stream was resumed.
func (c *Client) Reconnect() bool {
	c.t.Helper()
	var answer struct{ Resumed bool }
	c.Do("reconnect", nil, &answer)
	return answer.Resumed
}

// Roster fetches the roster, by bare JID.
func (c *Client) Roster() map[string]RosterItem {
	c.t.Helper()
	var answer struct{ Items map[string]RosterItem }
	c.Do("roster", nil, &answer)
	return answer.Items
}

// Pushes is how often the server has told of a change of each contact, by bare JID.
func (c *Client) Pushes() map[string]int {
	c.t.Helper()
	var answer struct{ Pushes map[string]int }
	c.Do("pushes", nil, &answer)
	return answer.Pushes
}

// Subscribe asks for jid's presence.
func (c *Client) Subscribe(jid string) { c.t.Helper(); c.SendPresence(jid, "subscribe") }

// SendPresence sends presence of a type ("" for available), directed where to is not empty.
func (c *Client) SendPresence(to, kind string) {
	c.t.Helper()
	args := map[string]any{}
	if to != "" {
		args["to"] = to
	}
	if kind != "" {
		args["type"] = kind
	}
	c.Do("presence", args, nil)
}

// Say sends a chat message and returns its id.
func (c *Client) Say(to, body string) string {
	c.t.Helper()
	var answer struct {
		StanzaID string `json:"stanza_id"`
	}
	c.Do("message", map[string]any{"to": to, "body": body}, &answer)
	return answer.StanzaID
}

// ExpectPresence waits for a presence and takes it off the list of those received. Others before it stay on the list.
func (c *Client) ExpectPresence(e Expect) Stanza { c.t.Helper(); return c.expect("presence", e) }

// ExpectMessage waits for a message and takes it off the list of those received. Others before it stay on the list.
func (c *Client) ExpectMessage(e Expect) Stanza { c.t.Helper(); return c.expect("message", e) }

func (c *Client) expect(kind string, e Expect) Stanza {
	c.t.Helper()
	var answer struct{ Stanza Stanza }
	c.Do("expect", e.args(kind), &answer)
	return answer.Stanza
}

// ExpectNoMessage fails the test when such a message is there or comes within the time given.
func (c *Client) ExpectNoMessage(e Expect, within time.Duration) {
	c.t.Helper()
	c.expectNone("message", e, within)
}

// ExpectNoPresence fails the test when such a presence is there or comes within the time given.
func (c *Client) ExpectNoPresence(e Expect, within time.Duration) {
	c.t.Helper()
	c.expectNone("presence", e, within)
}

func (c *Client) expectNone(kind string, e Expect, within time.Duration) {
	c.t.Helper()
	var answer struct{ Stanza Stanza }
	if err := c.TryFor(within, "expect", e.args(kind), &answer); err == nil {
		c.t.Errorf("unexpected %s: %s", kind, answer.Stanza.XML)
	}
}

// Seen returns what came from a JID (full, or bare for any resource; empty for all) and no step has taken yet.
func (c *Client) Seen(kind, from string) []Stanza {
	c.t.Helper()
	var answer struct{ Stanzas []Stanza }
	c.Do("seen", map[string]any{"kind": kind, "sender": from}, &answer)
	return answer.Stanzas
}

// Forget empties the list of stanzas received.
func (c *Client) Forget() { c.t.Helper(); c.Do("seen", map[string]any{"clear": true}, nil) }

// Latest returns the last presence, available or unavailable, of every full JID.
func (c *Client) Latest() map[string]Stanza {
	c.t.Helper()
	var answer struct{ Presences map[string]Stanza }
	c.Do("latest", nil, &answer)
	return answer.Presences
}

// TryItems asks for a JID's items (disco#items).
func (c *Client) TryItems(jid, node string) ([]Item, error) {
	var answer struct{ Items []Item }
	err := c.Try("items", map[string]any{"jid": jid, "node": node}, &answer)
	return answer.Items, err
}

// Commands lists a JID's ad-hoc commands.
func (c *Client) Commands(jid string) []Item {
	c.t.Helper()
	items, err := c.TryItems(jid, "http://jabber.org/protocol/commands")
	if err != nil {
		c.t.Fatal(err)
	}
	return items
}

// TryInfo asks for a JID's features (disco#info).
func (c *Client) TryInfo(jid, node string) (Info, error) {
	var answer Info
	err := c.Try("info", map[string]any{"jid": jid, "node": node}, &answer)
	return answer, err
}

// TryCommand takes one stage of an ad-hoc command.
func (c *Client) TryCommand(jid, node string, s Stage) (Command, error) {
	args := map[string]any{"jid": jid, "node": node}
	if s.Action != "" {
		args["action"] = s.Action
	}
	if s.Session != "" {
		args["session"] = s.Session
	}
	if s.Fields != nil {
		args["fields"] = s.Fields
	}
	var answer struct{ Command Command }
	err := c.Try("command", args, &answer)
	return answer.Command, err
}

// Command is TryCommand that must succeed.
func (c *Client) Command(jid, node string, s Stage) Command {
	c.t.Helper()
	command, err := c.TryCommand(jid, node, s)
	if err != nil {
		c.t.Fatal(err)
	}
	return command
}

// TryIQ sends an IQ of a type ("get" or "set") with payload, an element in XML, and returns the answer as XML.
func (c *Client) TryIQ(to, kind, payload string) (string, error) {
	var answer struct{ XML string }
	err := c.Try("iq", map[string]any{"to": to, "type": kind, "payload": payload}, &answer)
	return answer.XML, err
}

// Heard is one thing slixmpp's plugin for XEP-0323 calls back with.
type Heard struct {
	Result, From, Node, Error string // Result: accepted, fields, done, rejected, failure …
	Fields                    []struct {
		Name, Typename, Value, Unit string
		Flags                       map[string]string
	}
}

// ReadSensor reads a device with slixmpp's plugin for XEP-0323; flags are those of the request, such as momentary, and
// from=2026-09-22T15:22:33Z.
func (c *Client) ReadSensor(jid string, nodes, fields []string, flags ...string) []Heard {
	c.t.Helper()
	args := map[string]any{"jid": jid}
	if nodes != nil {
		args["nodes"] = nodes
	}
	if fields != nil {
		args["fields"] = fields
	}
	if flags != nil {
		set := map[string]string{}
		for _, f := range flags {
			name, value, _ := strings.Cut(f, "=")
			set[name] = cmp.Or(value, "true")
		}
		args["flags"] = set
	}
	var answer struct{ Heard []Heard }
	c.Do("sensor_read", args, &answer)
	return answer.Heard
}

// Parameter is one to set: Type is boolean, int, double, string …
type Parameter struct{ Name, Type, Value string }

// SetParameters sets parameters with slixmpp's plugin for XEP-0325 and returns the response code.
func (c *Client) SetParameters(jid string, nodes []string, parameters ...Parameter) (code string) {
	c.t.Helper()
	var answer struct{ Result string }
	c.Do("control_set", parameterArgs(jid, nodes, parameters), &answer)
	return answer.Result
}

// CommandParameters is SetParameters by message, which is not answered.
func (c *Client) CommandParameters(jid string, nodes []string, parameters ...Parameter) {
	c.t.Helper()
	c.Do("control_command", parameterArgs(jid, nodes, parameters), nil)
}

func parameterArgs(jid string, nodes []string, parameters []Parameter) map[string]any {
	fields := [][]string{}
	for _, p := range parameters {
		fields = append(fields, []string{p.Name, p.Type, p.Value})
	}
	args := map[string]any{"jid": jid, "fields": fields}
	if nodes != nil {
		args["nodes"] = nodes
	}
	return args
}

// VCard is who somebody is (XEP-0054), the picture as its length and its SHA-1.
type VCard struct {
	Name, Type, Hash string
	Bytes            int
}

// VCard fetches the vCard of a bare JID with slixmpp's plugin.
func (c *Client) VCard(jid string) VCard {
	c.t.Helper()
	var answer VCard
	c.Do("vcard", map[string]any{"jid": jid}, &answer)
	return answer
}

// NodeItem is an item of a node (XEP-0060).
type NodeItem struct{ ID, XML string }

// TrySubscribeNode subscribes to a node with slixmpp's plugin and returns the state of the subscription.
func (c *Client) TrySubscribeNode(jid, node string) (string, error) {
	var answer struct{ State string }
	err := c.Try("node_subscribe", map[string]any{"jid": jid, "node": node}, &answer)
	return answer.State, err
}

// UnsubscribeNode ends that.
func (c *Client) UnsubscribeNode(jid, node string) {
	c.t.Helper()
	c.Do("node_unsubscribe", map[string]any{"jid": jid, "node": node}, nil)
}

// TryNodeItems fetches the items of a node.
func (c *Client) TryNodeItems(jid, node string) ([]NodeItem, error) {
	var answer struct{ Items []NodeItem }
	err := c.Try("node_items", map[string]any{"jid": jid, "node": node}, &answer)
	return answer.Items, err
}

// Nodes lists the nodes at an address, and those of them that the client has subscribed to.
func (c *Client) Nodes(jid string) (nodes, subscribed []string) {
	c.t.Helper()
	var answer struct{ Nodes, Subscribed []string }
	c.Do("node_list", map[string]any{"jid": jid}, &answer)
	return answer.Nodes, answer.Subscribed
}

// TryPublish publishes an item that nobody asked for.
func (c *Client) TryPublish(jid, node string) error {
	return c.Try("node_publish", map[string]any{"jid": jid, "node": node}, nil)
}

// Listen tells everybody by presence that items of a node are wanted.
func (c *Client) Listen(node string) { c.t.Helper(); c.Do("listen", map[string]any{"node": node}, nil) }

// Ping waits for the answer of jid ("" for the server) to a ping.
func (c *Client) Ping(jid string) {
	c.t.Helper()
	args := map[string]any{}
	if jid != "" {
		args["jid"] = jid
	}
	c.Do("ping", args, nil)
}

// Raw writes to the stream as it is.
func (c *Client) Raw(xml string) { c.t.Helper(); c.Do("raw", map[string]any{"xml": xml}, nil) }

// Condition returns the condition of the stanza error behind err, such as "item-not-found"; empty if there is none.
func Condition(err error) string {
	if step, ok := errors.AsType[*StepError](err); ok && step.Stanza != nil {
		return step.Stanza.Condition
	}
	return ""
}

// Application returns the application's own conditions of the stanza error behind err.
func Application(err error) []string {
	if step, ok := errors.AsType[*StepError](err); ok && step.Stanza != nil {
		return step.Stanza.Application
	}
	return nil
}
