package template

import (
	"math"
	"slices"
	"strings"
	"unicode"
)

// Filters, functions, tests and methods. What Home Assistant and Jinja both have is Home Assistant's.

var filters = map[string]builtin{
	"float":     {"value default?", floatOf},
	"int":       {"value default? base?", intOf},
	"bool":      {"value default?", boolOf},
	"is_number": {"value", looksNumeric},
	"round":     {"value precision? method? default?", round},
	"abs":       {"value", abs},
	"add":       {"value amount default?", amount("+")},
	"multiply":  {"value amount default?", amount("*")},
	"log":       {"value base? default?", logarithm},
	"sqrt":      {"value default?", realFunction(math.Sqrt)},
	"sin":       {"value default?", realFunction(math.Sin)},
	"cos":       {"value default?", realFunction(math.Cos)},
	"tan":       {"value default?", realFunction(math.Tan)},
	"asin":      {"value default?", realFunction(math.Asin)},
	"acos":      {"value default?", realFunction(math.Acos)},
	"atan":      {"value default?", realFunction(math.Atan)},
	"clamp":     {"value min_value max_value", clamp},
	"average":   {"value **", mean},
	"median":    {"value **", median},

	"bitwise_and": {"first_value second_value", bitwise(func(a, b int64) int64 { return a & b })},
	"bitwise_or":  {"first_value second_value", bitwise(func(a, b int64) int64 { return a | b })},
	"bitwise_xor": {"first_value second_value", bitwise(func(a, b int64) int64 { return a ^ b })},

	"lower":         {"s", textFilter(lower)},
	"upper":         {"s", textFilter(upper)},
	"title":         {"s", textFilter(title)},
	"capitalize":    {"s", textFilter(capitalize)},
	"escape":        {"s", longerFilter(escape, 5)},
	"e":             {"s", longerFilter(escape, 5)},
	"safe":          {"s", stringOf},
	"string":        {"s", stringOf},
	"trim":          {"value chars?", trim("lr")},
	"replace":       {"s old new count?", replace},
	"truncate":      {"s length? killwords? end? leeway?", shorten},
	"format":        {"value **", percentFilter},
	"slugify":       {"value separator?", slugify},
	"ord":           {"value", ordinal},
	"base64_decode": {"value encoding?", decodeBase64},
	"base64_encode": {"value", encodeBase64},

	"regex_match":         {"value find? ignorecase?", regexMatch},
	"regex_search":        {"value find? ignorecase?", regexSearch},
	"regex_findall":       {"value find? ignorecase?", regexFindall},
	"regex_findall_index": {"value find? index? ignorecase?", regexFindallIndex},
	"regex_replace":       {"value find? replace? ignorecase?", regexReplace},

	"default":    {"value default_value? boolean?", defaultOf},
	"d":          {"value default_value? boolean?", defaultOf},
	"is_defined": {"value", isDefined},
	"iif":        {"value if_true? if_false? if_none?", iif},
	"attr":       {"obj name", attrFilter},
	"typeof":     {"value", typeOf},

	"length":     {"obj", length},
	"count":      {"obj", length},
	"first":      {"seq", first},
	"last":       {"seq", last},
	"list":       {"value", listOf},
	"reverse":    {"value", reverse},
	"join":       {"value d? attribute?", join},
	"sum":        {"iterable attribute? start?", sum},
	"min":        {"value case_sensitive? attribute?", extreme(false)},
	"max":        {"value case_sensitive? attribute?", extreme(true)},
	"sort":       {"value reverse? case_sensitive? attribute?", sortFilter},
	"unique":     {"value case_sensitive? attribute?", unique},
	"map":        {"value attribute? default?", apply},
	"select":     {"value", choose(true)},
	"reject":     {"value", choose(false)},
	"selectattr": {"value attribute", choose(true)},
	"rejectattr": {"value attribute", choose(false)},
	"items":      {"value", entriesOf},
	"dictsort":   {"value case_sensitive? by? reverse?", dictsort},
	"contains":   {"value item", containsTest},

	"tojson":    {"value indent?", toJSON},
	"to_json":   {"value ensure_ascii? pretty_print? sort_keys?", toCompactJSON},
	"from_json": {"value default?", fromJSON},

	"as_timestamp":     {"value default?", asTimestamp},
	"as_datetime":      {"value default?", asDatetime},
	"as_local":         {"value", asLocal},
	"timestamp_custom": {"value format_string? local? default?", timestampCustom},
	"timestamp_local":  {"value default?", timestampISO(true)},
	"timestamp_utc":    {"value default?", timestampISO(false)},
	"today_at":         {"time_str?", todayAt},
}

var functions = map[string]builtin{
	"namespace": {"**", entries(space)},
	"dict":      {"**", entries(dict)},
	"zip":       {"*", zip},
	"range":     {"start stop? step?", numberRange},
	"min":       {"**", extremeOf(false)},
	"max":       {"**", extremeOf(true)},
	"list":      {"value?", listOf},
	"tuple":     {"value", tupleOf},
	"now":       {"", now},
	"utcnow":    {"", utcnow},
	"timedelta": {"days? seconds? microseconds? milliseconds? minutes? hours? weeks?", timedelta},
	"strptime":  {"string format default?", strptime},
	"today_at":  {"time_str?", todayAt},
}

// fromKeys is Home Assistant's dict.from_keys, a dict of pairs.
var fromKeys = builtin{"dict pairs", dictOfPairs}

// asFunctions are the filters that are functions, too.
var asFunctions = []string{"float", "int", "bool", "is_number", "iif", "log", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "clamp",
	"average", "median", "bitwise_and", "bitwise_or", "bitwise_xor", "as_timestamp", "as_datetime", "as_local", "slugify", "typeof"}

// function is a function by its name.
func function(name string) (builtin, bool) {
	if slices.Contains(asFunctions, name) {
		return filters[name], true
	}
	b, ok := functions[name]
	return b, ok
}

var tests = map[string]builtin{
	"defined":     {"value", test(func(v Value) bool { return !v.isUndefined() })},
	"undefined":   {"value", test(Value.isUndefined)},
	"none":        {"value", test(func(v Value) bool { return v.kind == none })},
	"number":      {"value", test(Value.numeric)},
	"integer":     {"value", test(func(v Value) bool { return v.kind == integer })},
	"float":       {"value", test(func(v Value) bool { return v.kind == float })},
	"string":      {"value", test(func(v Value) bool { return v.kind == text })},
	"string_like": {"value", test(func(v Value) bool { return v.kind == text })},
	"boolean":     {"value", test(func(v Value) bool { return v.kind == boolean })},
	"true":        {"value", test(func(v Value) bool { return v == Bool(true) })},
	"false":       {"value", test(func(v Value) bool { return v == Bool(false) })},
	"mapping":     {"value", test(func(v Value) bool { return v.kind == dict })},
	"list":        {"value", test(func(v Value) bool { return v.kind == list })},
	"tuple":       {"value", test(func(v Value) bool { return v.kind == tuple })},
	"datetime":    {"value", test(func(v Value) bool { return v.kind == moment })},
	"sequence":    {"value", test(isSequence)},
	"iterable":    {"value", test(isSequence)},
	"odd":         {"value", divides(2, 1)},
	"even":        {"value", divides(2, 0)},
	"divisibleby": {"value num", divisible},
	"sameas":      {"value other", same},
	"in":          {"value seq", inTest},
	"contains":    {"value item", containsTest},
	"lower":       {"value", cased(unicode.IsLower, unicode.IsUpper)},
	"upper":       {"value", cased(unicode.IsUpper, unicode.IsLower)},
	"is_number":   {"value", looksNumeric},
	"match":       {"value find? ignorecase?", regexMatch},
	"search":      {"value find? ignorecase?", regexSearch},
	"eq":          {"value other", comparing("==")},
	"equalto":     {"value other", comparing("==")},
	"ne":          {"value other", comparing("!=")},
	"lt":          {"value other", comparing("<")},
	"lessthan":    {"value other", comparing("<")},
	"le":          {"value other", comparing("<=")},
	"gt":          {"value other", comparing(">")},
	"greaterthan": {"value other", comparing(">")},
	"ge":          {"value other", comparing(">=")},
	"==":          {"value other", comparing("==")},
	"!=":          {"value other", comparing("!=")},
	"<":           {"value other", comparing("<")},
	"<=":          {"value other", comparing("<=")},
	">":           {"value other", comparing(">")},
	">=":          {"value other", comparing(">=")},
}

var methods = map[kind]map[string]builtin{
	text: {
		"split":        {"s sep? maxsplit?", split},
		"rsplit":       {"s sep? maxsplit?", rsplit},
		"splitlines":   {"s", splitLines},
		"lower":        {"s", textFilter(lower)},
		"casefold":     {"s", textFilter(lower)},
		"upper":        {"s", textFilter(upper)},
		"title":        {"s", textFilter(titleMethod)},
		"capitalize":   {"s", textFilter(capitalize)},
		"strip":        {"s chars?", trim("lr")},
		"lstrip":       {"s chars?", trim("l")},
		"rstrip":       {"s chars?", trim("r")},
		"replace":      {"s old new count?", replaceMethod},
		"removeprefix": {"s prefix", remove(strings.TrimPrefix)},
		"removesuffix": {"s suffix", remove(strings.TrimSuffix)},
		"startswith":   {"s prefix", affix(strings.HasPrefix)},
		"endswith":     {"s suffix", affix(strings.HasSuffix)},
		"find":         {"s sub", find(false, false)},
		"rfind":        {"s sub", find(true, false)},
		"index":        {"s sub", find(false, true)},
		"rindex":       {"s sub", find(true, true)},
		"count":        {"s sub", countMethod},
		"join":         {"s iterable", joinMethod},
		"format":       {"s **", formatMethod},
		"zfill":        {"s width", justify('0', true)},
		"rjust":        {"s width fillchar?", justify(' ', true)},
		"ljust":        {"s width fillchar?", justify(' ', false)},
		"isdigit":      {"s", every(unicode.IsDigit)},
		"isdecimal":    {"s", every(unicode.IsDigit)},
		"isnumeric":    {"s", every(unicode.IsNumber)},
		"isalpha":      {"s", every(unicode.IsLetter)},
		"isalnum":      {"s", every(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })},
		"isspace":      {"s", every(unicode.IsSpace)},
		"islower":      {"s", cased(unicode.IsLower, unicode.IsUpper)},
		"isupper":      {"s", cased(unicode.IsUpper, unicode.IsLower)},
	},
	dict: {
		"get":    {"d key default?", getMethod},
		"items":  {"d", entriesOf},
		"keys":   {"d", keysOf},
		"values": {"d", valuesOf},
		"copy":   {"d", itself},
	},
	list: {
		"index": {"l value", indexMethod},
		"count": {"l value", countMethod},
		"copy":  {"l", itself},
	},
	tuple: {
		"index": {"t value", indexMethod},
		"count": {"t value", countMethod},
	},
	moment: {
		"timestamp":  {"t", timestampMethod},
		"isoformat":  {"t sep?", isoformat},
		"strftime":   {"t format", strftimeMethod},
		"weekday":    {"t", weekday(0)},
		"isoweekday": {"t", weekday(1)},
		"replace":    {"t year? month? day? hour? minute? second? microsecond?", replaceTime},
	},
	integer: {
		"bit_length": {"n", bitLength},
	},
	float: {
		"is_integer": {"x", isWhole},
	},
	span: {
		"total_seconds": {"d", totalSeconds},
	},
	cycle: {
		"cycle": {"loop *", loopCycle},
	},
}
