package xmpptest

import (
	"fmt"
	"strings"
)

// A BadInput is an IQ that is wrong in one way, and the error that it gets. It is sent by an admin and changes nothing.
type BadInput struct {
	Name    string
	To      string // "lamp", "warm", "hub", or an address of its own
	Type    string // of the IQ
	Payload string // in XML; SESSION is that of a command that asks for a value of warm
	Error   string // the condition
	App     string // the application's own condition in the error; empty: none
}

// A BadHouse is a house to send bad input to: a lamp with a switch called power, and something with a number called target, which
// takes neither 0.1 nor 9999, and a dangerous switch.
type BadHouse struct {
	Lamp, Warm, Hub string // addresses
	Danger          string // the dangerous switch of Warm
}

// slug is what a device is called in nodes.
func slug(address string) string { return address[strings.LastIndexByte(address, '/')+1:] }

// BadInputs are the table: every dialect of the IoT IQs, commands, and what is wrong in any IQ.
func BadInputs(h BadHouse) []BadInput {
	rows := anyIQ(h)
	rows = append(rows, badCommands(h)...)
	for _, ns := range []string{"urn:ieee:iot", "urn:nf:iot", "urn:nfi:iot"} {
		rows = append(rows, words{
			ns: ns, data: ns + ":sd:1.0", events: ns + ":events:1.0", control: ns + ":ctr:1.0",
			id: "id", node: "nd", nodeID: "id", field: "f", name: "n", value: "v", momentary: "m",
			boolean: "b", number: "db", integer: "i", text: "s",
		}.rows(h)...)
	}
	return append(rows, words{
		ns: "XEP-0323", data: "urn:xmpp:iot:sensordata", control: "urn:xmpp:iot:control",
		id: "seqnr", node: "node", nodeID: "nodeId", field: "field", name: "name", value: "value", momentary: "momentary",
		boolean: "boolean", number: "double", integer: "int", text: "string",
	}.rows(h)...)
}

// anyIQ is what is wrong whatever is asked.
func anyIQ(h BadHouse) []BadInput {
	unknown := h.Lamp[:strings.LastIndexByte(h.Lamp, '/')] + "/nobody"
	return []BadInput{
		{"a namespace nobody knows", "lamp", "get", "<query xmlns='urn:example:none'/>", "service-unavailable", ""},
		{"a known name elsewhere", "lamp", "get", "<ping xmlns='urn:example:none'/>", "service-unavailable", ""},
		{"a set of what is asked", "lamp", "set", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable", ""},
		{"a resource that is not", unknown, "get", "<ping xmlns='urn:xmpp:ping'/>", "item-not-found", ""},
		{"info of a node that is not", "lamp", "get", "<query xmlns='http://jabber.org/protocol/disco#info' node='nowhere'/>", "item-not-found", ""},
		{"info of another's caps", "lamp", "get", "<query xmlns='http://jabber.org/protocol/disco#info' node='https://tidings.example/caps#x'/>", "item-not-found", ""},
		{"items of a node that is not", "hub", "get", "<query xmlns='http://jabber.org/protocol/disco#items' node='nowhere'/>", "item-not-found", ""},
	}
}

// badCommands are of XEP-0050.
func badCommands(h BadHouse) []BadInput {
	const ns = "http://jabber.org/protocol/commands"
	warm := slug(h.Warm)
	set := warm + "/target/set"
	in := func(attrs, inner string) string {
		return fmt.Sprintf("<command xmlns='%s' %s>%s</command>", ns, attrs, inner)
	}
	form := func(typ, inner string) string {
		return in("node='"+set+"' sessionid='SESSION' action='complete'", "<x xmlns='jabber:x:data' type='"+typ+"'>"+inner+"</x>")
	}
	field := func(v string) string { return "<field var='value'><value>" + v + "</value></field>" }
	return []BadInput{
		{"a command that is not", "lamp", "set", in("node='lamp/power/explode'", ""), "item-not-found", ""},
		{"a command of nothing", "lamp", "set", in("", ""), "item-not-found", ""},
		{"a command of another address", "lamp", "set", in("node='nobody/power/on'", ""), "item-not-found", ""},
		{"a command asked for", "lamp", "get", in("node='lamp/power/on'", ""), "service-unavailable", ""},
		{"an action that is not", "lamp", "set", in("node='lamp/power/on' action='dance'", ""), "bad-request", "malformed-action"},
		{"an end before the beginning", "lamp", "set", in("node='lamp/power/on' action='complete'", ""), "bad-request", "bad-action"},
		{"a session that is not", "warm", "set", in("node='"+set+"' sessionid='nobody' action='complete'", ""), "bad-request", "bad-sessionid"},
		{"a session of another command", "warm", "set", in("node='"+warm+"/status' sessionid='SESSION' action='complete'", ""), "bad-request", "bad-sessionid"},
		{"an action that is not offered", "warm", "set", in("node='"+set+"' sessionid='SESSION' action='prev'", ""), "bad-request", "bad-action"},
		{"no form", "warm", "set", in("node='"+set+"' sessionid='SESSION' action='complete'", ""), "bad-request", "bad-payload"},
		{"a form of another type", "warm", "set", form("result", field("100")), "bad-request", "bad-payload"},
		{"a form without the field", "warm", "set", form("submit", ""), "bad-request", "bad-payload"},
		{"a field without a value", "warm", "set", form("submit", "<field var='value'/>"), "bad-request", "bad-payload"},
		{"two values", "warm", "set", form("submit", "<field var='value'><value>100</value><value>101</value></field>"), "bad-request", "bad-payload"},
		{"a value of the wrong type", "warm", "set", form("submit", field("warm")), "bad-request", "bad-payload"},
		{"a value that is none", "warm", "set", form("submit", field("NaN")), "bad-request", "bad-payload"},
		{"a value out of range", "warm", "set", form("submit", field("9999")), "bad-request", "bad-payload"},
		{"a value below", "warm", "set", form("submit", field("0.1")), "bad-request", "bad-payload"},
		{"a form without end", "warm", "set", form("submit", field(strings.Repeat("9", 4000))), "bad-request", "bad-payload"},
	}
}

// words are those of a dialect.
type words struct {
	ns, data, events, control                 string
	id, node, nodeID, field, name, value      string
	momentary, boolean, number, integer, text string
}

func (w words) rows(h BadHouse) []BadInput {
	rows := append(w.read(), w.set(h)...)
	if w.events != "" {
		rows = append(rows, w.watch()...)
	}
	for i := range rows {
		rows[i].Name = w.ns + ": " + rows[i].Name
	}
	return rows
}

// nodes and fields name things.
func (w words) nodes(id string) string    { return fmt.Sprintf("<%s %s='%s'/>", w.node, w.nodeID, id) }
func (w words) fields(name string) string { return fmt.Sprintf("<%s %s='%s'/>", w.field, w.name, name) }

// read is of sensor data.
func (w words) read() []BadInput {
	req := func(attrs, inner string) string {
		return fmt.Sprintf("<req xmlns='%s' %s>%s</req>", w.data, attrs, inner)
	}
	id := w.id + "='7' "
	many := func(one func(string) string, n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(one(fmt.Sprint("x", i)))
		}
		return b.String()
	}
	return []BadInput{
		{"read without an id", "lamp", "get", req("", ""), "bad-request", ""},
		{"read with an endless id", "lamp", "get", req(w.id+"='"+strings.Repeat("7", 300)+"'", ""), "bad-request", ""},
		{"read, a word that is no boolean", "lamp", "get", req(id+w.momentary+"='maybe'", ""), "bad-request", ""},
		{"read, from no time", "lamp", "get", req(id+"from='yesterday'", ""), "bad-request", ""},
		{"read, to before from", "lamp", "get", req(id+"from='2026-01-02T00:00:00Z' to='2026-01-01T00:00:00Z'", ""), "bad-request", ""},
		{"read, some time", "lamp", "get", req(id+"when='soon'", ""), "bad-request", ""},
		{"read, in a hundred years", "lamp", "get", req(id+"when='2126-01-01T00:00:00Z'", ""), "not-acceptable", ""},
		{"read a node without an id", "hub", "get", req(id, "<"+w.node+"/>"), "bad-request", ""},
		{"read a node that is not", "hub", "get", req(id, w.nodes("nobody")), "item-not-found", ""},
		{"read another node", "lamp", "get", req(id, w.nodes("nobody")), "item-not-found", ""},
		{"read a field without a name", "lamp", "get", req(id, "<"+w.field+"/>"), "bad-request", ""},
		{"read a field that is not", "lamp", "get", req(id, w.fields("nothing")), "item-not-found", ""},
		{"read too many fields", "lamp", "get", req(id, many(w.fields, 201)), "bad-request", ""},
		{"read too many nodes", "hub", "get", req(id, many(w.nodes, 1001)), "bad-request", ""},
		{"read by a set", "lamp", "set", req(id, ""), "service-unavailable", ""},
		{"cancel nothing", "lamp", "get", fmt.Sprintf("<cancel xmlns='%s'/>", w.data), "bad-request", ""},
		{"cancel what is not", "lamp", "get", fmt.Sprintf("<cancel xmlns='%s' %s/>", w.data, id), "item-not-found", ""},
		{"another version", "lamp", "get", fmt.Sprintf("<req xmlns='%s' %s/>", w.data+"1", id), "service-unavailable", ""},
		{"read in the namespace of control", "lamp", "get", fmt.Sprintf("<req xmlns='%s' %s/>", w.control, id), "service-unavailable", ""},
	}
}

// set is of control.
func (w words) set(h BadHouse) []BadInput {
	const wrong = "paramError"
	set := func(inner string) string { return fmt.Sprintf("<set xmlns='%s'>%s</set>", w.control, inner) }
	param := func(typ, name, value string) string {
		return fmt.Sprintf("<%s %s='%s' %s='%s'/>", typ, w.name, name, w.value, value)
	}
	form := func(typ, inner string) string { return "<x xmlns='jabber:x:data' type='" + typ + "'>" + inner + "</x>" }
	field := func(name, v string) string { return "<field var='" + name + "'><value>" + v + "</value></field>" }
	many := ""
	for i := range 101 {
		many += param(w.boolean, fmt.Sprint("x", i), "true")
	}
	on := param(w.boolean, "power", "true")
	return []BadInput{
		{"set nothing", "lamp", "set", set(""), "bad-request", ""},
		{"set a word that is no boolean", "lamp", "set", set(param(w.boolean, "power", "maybe")), "bad-request", wrong},
		{"set no value", "lamp", "set", set(param(w.boolean, "power", "")), "bad-request", wrong},
		{"set without a name", "lamp", "set", set(fmt.Sprintf("<%s %s='true'/>", w.boolean, w.value)), "bad-request", ""},
		{"set a type that is not", "lamp", "set", set(param("matrix", "power", "true")), "bad-request", ""},
		{"set another type", "lamp", "set", set(param(w.text, "power", "on")), "bad-request", wrong},
		{"set a number by a boolean", "warm", "set", set(param(w.boolean, "target", "true")), "bad-request", wrong},
		{"set what is not there", "lamp", "set", set(param(w.boolean, "nothing", "true")), "item-not-found", wrong},
		{"set a word for a number", "warm", "set", set(param(w.number, "target", "warm")), "bad-request", wrong},
		{"set no number", "warm", "set", set(param(w.number, "target", "NaN")), "bad-request", wrong},
		{"set infinity", "warm", "set", set(param(w.number, "target", "INF")), "bad-request", wrong},
		{"set beyond an integer", "warm", "set", set(param(w.integer, "target", "99999999999999999999")), "bad-request", wrong},
		{"set out of range", "warm", "set", set(param(w.number, "target", "9999")), "bad-request", wrong},
		{"set what is dangerous", "warm", "set", set(param(w.boolean, h.Danger, "true")), "forbidden", wrong},
		{"set twice", "lamp", "set", set(on + on), "bad-request", wrong},
		{"set one right and one wrong", "lamp", "set", set(on + param(w.boolean, "nothing", "true")), "item-not-found", wrong},
		{"set too much", "lamp", "set", set(many), "bad-request", ""},
		{"set a node without an id", "hub", "set", set("<" + w.node + "/>" + on), "bad-request", ""},
		{"set a node that is not", "hub", "set", set(w.nodes("nobody") + on), "item-not-found", ""},
		{"set one that is and one that is not", "hub", "set", set(w.nodes("lamp") + w.nodes("nobody") + on), "item-not-found", ""},
		{"set all of the house", "hub", "set", set(on), "bad-request", ""},
		{"set by a get", "lamp", "get", set(on), "service-unavailable", ""},
		{"set in the namespace of data", "lamp", "set", fmt.Sprintf("<set xmlns='%s'>%s</set>", w.data, on), "service-unavailable", ""},
		{"a form and parameters", "lamp", "set", set(on + form("submit", field("power", "1"))), "bad-request", ""},
		{"two forms", "lamp", "set", set(form("submit", field("power", "1")) + form("submit", field("power", "0"))), "bad-request", ""},
		{"a form of another type", "lamp", "set", set(form("form", field("power", "1"))), "bad-request", ""},
		{"an empty form", "lamp", "set", set(form("submit", "")), "bad-request", ""},
		{"a form for what is not there", "lamp", "set", set(form("submit", field("nothing", "1"))), "item-not-found", wrong},
		{"a form with a wrong value", "lamp", "set", set(form("submit", field("power", "maybe"))), "bad-request", wrong},
		{"a form out of range", "warm", "set", set(form("submit", field("target", "9999"))), "bad-request", wrong},
		{"a form of two values", "warm", "set", set(form("submit", "<field var='target'><value>20</value><value>21</value></field>")), "bad-request", wrong},
		{"ask for a form of all", "hub", "get", fmt.Sprintf("<getForm xmlns='%s'/>", w.control), "bad-request", ""},
		{"ask for a form of what is not", "hub", "get", fmt.Sprintf("<getForm xmlns='%s'>%s</getForm>", w.control, w.nodes("nobody")), "item-not-found", ""},
	}
}

// watch is of event subscriptions.
func (w words) watch() []BadInput {
	sub := func(attrs, inner string) string {
		return fmt.Sprintf("<subscribe xmlns='%s' %s>%s</subscribe>", w.events, attrs, inner)
	}
	field := func(attrs string) string { return "<f n='power' " + attrs + "/>" }
	return []BadInput{
		{"subscribe without an id", "lamp", "set", sub("", field("")), "bad-request", ""},
		{"subscribe with a word for a number", "lamp", "set", sub("id='7'", field("by='lots'")), "bad-request", ""},
		{"subscribe with a step back", "lamp", "set", sub("id='7'", field("by='-1'")), "bad-request", ""},
		{"subscribe up nowhere", "lamp", "set", sub("id='7'", field("up='NaN'")), "bad-request", ""},
		{"subscribe with an endless value", "lamp", "set", sub("id='7'", field("v='"+strings.Repeat("9", 300)+"'")), "bad-request", ""},
		{"subscribe to a field twice", "lamp", "set", sub("id='7'", field("")+field("")), "bad-request", ""},
		{"subscribe at no interval", "lamp", "set", sub("id='7' minInt='fast'", field("")), "bad-request", ""},
		{"subscribe at an interval back", "lamp", "set", sub("id='7' maxInt='-PT1S'", field("")), "bad-request", ""},
		{"subscribe, the longest before the shortest", "lamp", "set", sub("id='7' minInt='PT1M' maxInt='PT1S'", field("")), "bad-request", ""},
		{"subscribe, perhaps", "lamp", "set", sub("id='7' req='perhaps'", field("")), "bad-request", ""},
		{"subscribe to what is not there", "lamp", "set", sub("id='7'", "<f n='nothing'/>"), "item-not-found", ""},
		{"subscribe at a node that is not", "hub", "set", sub("id='7'", w.nodes("nobody")), "item-not-found", ""},
		{"subscribe in the namespace of data", "lamp", "set", fmt.Sprintf("<subscribe xmlns='%s' id='7'/>", w.data), "service-unavailable", ""},
		{"unsubscribe from nothing", "lamp", "set", fmt.Sprintf("<unsubscribe xmlns='%s'/>", w.events), "bad-request", ""},
		{"unsubscribe from what is not", "lamp", "set", fmt.Sprintf("<unsubscribe xmlns='%s' id='7'/>", w.events), "item-not-found", ""},
	}
}

// Address is where a row goes.
func (b BadInput) Address(h BadHouse) string {
	switch b.To {
	case "lamp":
		return h.Lamp
	case "warm":
		return h.Warm
	case "hub":
		return h.Hub
	}
	return b.To
}
