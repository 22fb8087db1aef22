package iot

// spelled are the words of XEP-0323 and XEP-0325, in the spelling that slixmpp's plugins send and read. Smack, which sends
// the same but for one type, reads booleans and leaves out numeric fields.
var spelled = vocabulary{
	id: "seqnr", node: "node", nodeID: "nodeId", field: "field", name: "name",
	values: "fields", time: "timestamp", value: "value", unit: "unit", enumType: "dataType",
	automatic: "automaticReadout", writable: "writable",
	categories: [categories][]string{{"momentary"}, {"peak"}, {"status"}, {"computed"}, {"identity"}, {}},
	periods: [periods][]string{{"historicalOther", "historical", "historicalSecond"}, {"historicalMinute"}, {"historicalHour"}, {"historicalDay"},
		{"historicalWeek"}, {"historicalMonth"}, {"historicalQuarter"}, {"historicalYear"}},
	fields: [...]string{BoolField: "boolean", NumberField: "numeric", TextField: "string", EnumField: "enum"},
	params: map[string]literal{
		"boolean": booleanLiteral, "bool": booleanLiteral /* Smack */, "int": intLiteral, "long": longLiteral, "double": doubleLiteral, "string": textLiteral,
		"enum": textLiteral, "color": otherLiteral, "date": otherLiteral, "dateTime": otherLiteral, "duration": otherLiteral,
		"time": otherLiteral,
	},
	paramError: "var",
}

// xep is that dialect. It has no event subscriptions; values always come by message, and a refusal says so in an element
// of its own beside the error.
var xep = &Dialect{Data: "urn:xmpp:iot:sensordata", Control: "urn:xmpp:iot:control", ByMessage: true, words: &spelled}
