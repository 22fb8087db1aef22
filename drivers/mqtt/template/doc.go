// Package template runs the templates of Home Assistant's MQTT discovery: a subset of Jinja2, with the filters and functions that
// Home Assistant adds. A value template makes a value of a message, a command template a message of a value.
//
//	t, err := template.Parse("{{ value_json.temperature | float | round(1) }}")
//	message := &template.Payload{Text: `{"temperature": 21.54}`}
//	out, err := t.Execute(message) // out.Text is "21.5"
//
// Templates come from whatever announces itself on the broker, so nothing of one is trusted. There is no loader: include,
// import and extends, blocks and macros are refused when the template is parsed. Its source is bounded (4 KiB), and so are the
// nesting, the output (64 KiB), what it makes on the way (256 KiB) and its work (50,000 steps: nodes, elements, and pieces of
// 32 bytes of text). What would be made is counted before it is made. No Go value is reached by reflection; a variable is
// one of the kinds of Value. Errors are one line that says what and where. Many devices announce the same templates: whoever
// parses them may share one Template between all that have its source.
//
// A Template, a Value and a Payload are safe for concurrent use, and the package starts no goroutine.
//
// Where it differs from Python:
//   - Integers have 64 bits; what is beyond fails, and becomes a float in JSON.
//   - Regular expressions are RE2's: no looking around and no references within them, \d and \w are ASCII's, and $ is the end
//     only. An empty match beside another one is left out.
//   - map, select and the like give lists at once, and so do keys, values and items.
//   - A dict's own key wins over a method that is not called: value_json.values is the key.
//   - What asks for states, as states() and is_state(), is refused: there is no Home Assistant here.
//
// gonja, a library for the same language, was weighed and not taken. v2.9.1 adds 3.9 MB to the program and bounds neither work nor
// memory: two loops of 3,000 in each other took 43 seconds, "a" * 500000000 took 2.4 GB, and a macro that calls itself ended the
// process.
package template
