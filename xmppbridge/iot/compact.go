package iot

// compact are the words of the dialects that IEEE and the Neuro-Foundation keep: single letters, in three namespaces.
var compact = vocabulary{
	id: "id", node: "nd", nodeID: "id", field: "f", name: "n",
	values: "resp", time: "ts", value: "v", unit: "u", enumType: "t",
	automatic: "ar", writable: "ctr",
	categories: [categories][]string{{"m"}, {"p"}, {"s"}, {"c"}, {"i"}, {"h"}},
	fields:     [...]string{BoolField: "b", NumberField: "q", TextField: "s", EnumField: "e"},
	params: map[string]literal{
		"b": booleanLiteral, "i": intLiteral, "l": longLiteral, "db": doubleLiteral, "s": textLiteral, "e": textLiteral,
		"cl": otherLiteral, "d": otherLiteral, "dt": otherLiteral, "dr": otherLiteral, "t": otherLiteral,
	},
	paramError: "n",
}

// The dialects with these words, the namespaces apart.
var (
	ieee = family("urn:ieee:iot:")
	nf   = family("urn:nf:iot:")
	nfi  = family("urn:nfi:iot:")
)

func family(prefix string) *Dialect {
	return &Dialect{Data: prefix + "sd:1.0", Control: prefix + "ctr:1.0", Events: prefix + "events:1.0", words: &compact}
}
