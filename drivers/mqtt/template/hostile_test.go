package template

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// hostile are templates and payloads that must end with a sentence, without much memory and at once.
var hostile = []struct {
	name, source, text, want string
}{
	{"include", "{% include '/etc/passwd' %}", "", "include would read another one"},
	{"import", "{% import 'x' as x %}", "", "import would read another one"},
	{"from", "{% from 'x' import y %}", "", "from would read another one"},
	{"extends", "{% extends 'x' %}", "", "extends would read another one"},
	{"block", "{% block x %}{% endblock %}", "", "nothing whose block could be replaced"},
	{"macro", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "", "macros are not understood"},
	{"call", "{% call f() %}{% endcall %}", "", "macros are not understood"},
	{"filter tag", "{% filter upper %}x{% endfilter %}", "", "a filter tag is not understood"},
	{"recursive loop", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "", "recursive loops are not understood"},
	{"argument list", "{{ max(*value) }}", "", "cannot come from a list"},
	{"states", "{{ states('sensor.x') }}", "", "states() needs Home Assistant"},
	{"states of a domain", "{{ states.sensor.x.state }}", "", "states() needs Home Assistant"},
	{"is_state", "{% if is_state('sun.sun', 'up') %}x{% endif %}", "", "is_state() needs Home Assistant"},
	{"long source", strings.Repeat("a", MaxSource) + "{{ 1 }}", "", "longer than 4 KiB"},
	{"parentheses", "{{ " + strings.Repeat("(", 1000) + "1" + strings.Repeat(")", 1000) + " }}", "", "nested too deep"},
	{"lists", "{{ " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + " }}", "", "nested too deep"},
	{"dicts", "{{ " + strings.Repeat("{1:", 1000) + "1" + strings.Repeat("}", 1000) + " }}", "", "nested too deep"},
	{"signs", "{{ " + strings.Repeat("- ", 1000) + "1 }}", "", "nested too deep"},
	{"nots", "{{ " + strings.Repeat("not ", 900) + "1 }}", "", "nested too deep"},
	{"subscripts", "{{ " + strings.Repeat("a[", 1000) + strings.Repeat("]", 1000) + " }}", "", "nested too deep"},
	{"calls", "{{ " + strings.Repeat("int(", 700) + strings.Repeat(")", 700) + " }}", "", "nested too deep"},
	{"ifs", strings.Repeat("{% if 1 %}", 200) + strings.Repeat("{% endif %}", 150), "", "nested too deep"},
	{"inline ifs", "{{ " + strings.Repeat("1 if 0 else ", 300) + "1 }}", "", "nested too deep"},

	{"repeated text", "{{ 'a' * 999999999999 }}", "", "makes too much"},
	{"repeated text, backwards", "{{ 9223372036854775807 * 'ab' }}", "", "makes too much"},
	{"doubled text", "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "", "makes too much"},
	{"doubled text, joined", "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "", "makes too much"},
	{"doubled list", "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "", "makes too much"},
	{"repeated list", "{{ [1, 2] * 99999999999 }}", "", "makes too much"},
	{"repeated in a constant", "{{ ('a' * 200000) ~ ('b' * 200000) }}", "", "makes too much"},
	{"text of payload", "{{ value * 1000 }}", strings.Repeat("x", 1000), "makes too much"},
	{"replace", "{{ value | replace('', value) }}", strings.Repeat("x", 1000), "makes too much"},
	{"replace method", "{{ value.replace('x', value) }}", strings.Repeat("x", 1000), "makes too much"},
	{"join", "{{ range(5000) | join(value) }}", strings.Repeat("x", 1000), "makes too much"},
	{"join method", "{{ value.join(['a'] * 4000) }}", strings.Repeat("x", 1000), "makes too much"},
	{"zfill", "{{ '1'.zfill(2000000000) }}", "", "makes too much"},
	{"ljust", "{{ '1'.ljust(9223372036854775807) }}", "", "makes too much"},
	{"width", "{{ '%999999999d' | format(1) }}", "", "wider than 1000"},
	{"precision", "{{ '%.99999999f' | format(1) }}", "", "wider than 1000"},
	{"width of format", "{{ '{:99999999d}'.format(1) }}", "", "wider than 1000"},
	{"many widths", "{% for i in range(2000) %}{% set x = '%1000d' | format(i) %}{% endfor %}", "", "makes too much"},
	{"range", "{{ range(999999999999) | length }}", "", "makes too much"},
	{"range downwards", "{{ range(9223372036854775807, -9223372036854775807, -1) }}", "", "makes too much"},
	{"loops", "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}", "", "too"},
	{"loops over a text", "{% for a in value %}{% for b in value %}{% for c in value %}{% endfor %}{% endfor %}{% endfor %}", strings.Repeat("x", 1000), "too"},
	{"work in a loop", "{% for a in range(5000) %}{% set x = (1 + 2 * a) ~ 'x' %}{% for b in [1, 2, 3] %}{{ x[0] }}{% endfor %}{% endfor %}", "", "works too long"},
	{"long output", "{% for a in range(2000) %}{{ value }}{% endfor %}", strings.Repeat("x", 100), "prints over 64 KiB"},
	{"long output of one", "{{ value }}{{ value }}", strings.Repeat("x", 40_000), "prints over 64 KiB"},
	{"long output captured", "{% for a in range(300) %}{% set x %}{{ value }}{% endset %}{% endfor %}", strings.Repeat("x", 1000), "makes too much"},
	{"power", "{{ 9 ** 9 ** 9 }}", "", "beyond 64 bits"},
	{"power of floats", "{{ 9.0 ** 999 }}", "", "too large for a float"},
	{"sum beyond", "{{ 9223372036854775807 + 1 }}", "", "beyond 64 bits"},
	{"product beyond", "{{ 9223372036854775807 * 2 }}", "", "beyond 64 bits"},
	{"negative beyond", "{{ -(-9223372036854775807 - 1) }}", "", "beyond 64 bits"},
	{"quotient beyond", "{{ (-9223372036854775807 - 1) // -1 }}", "", "beyond 64 bits"},
	{"absolute beyond", "{{ (-9223372036854775807 - 1) | abs }}", "", "beyond 64 bits"},
	{"literal beyond", "{{ 99999999999999999999 }}", "", "no number of up to 64 bits"},
	{"precision of round", "{{ 1.5 | round(999999999, 'floor') }}", "", "has no default"},

	{"regex length", "{{ value | regex_search('" + strings.Repeat("a", 300) + "') }}", "", "longer than 256 bytes"},
	{"regex repetition", "{{ value | regex_search('((((a{10}){10}){10}){10}){10}') }}", "", "not understood"},
	{"regex size", "{{ value | regex_search('" + strings.Repeat("(abcdefgh){100}", 10) + "') }}", "", "repeats too much"},
	{"many regexes", strings.Repeat("{{ value | regex_search('(abcdefgh){20}') }}", 50), "", "too many or repeat too much"},
	{"regex looking around", "{{ value | regex_search('(?<=a)b') }}", "", "looks around"},
	{"regex input", "{{ value | regex_findall('.') }}", strings.Repeat("x", 120_000), "works too long"},
	{"regex matches", "{{ value | regex_findall('') }}", strings.Repeat("x", 7_000), "makes too much"},
	{"regex groups", "{{ value | regex_findall('" + strings.Repeat("(x)", 80) + "') }}", strings.Repeat("x", 30_000), "makes too much"},
	{"regex replacement", `{{ value | regex_replace('(x)', '\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1') }}`, strings.Repeat("x", 6_000), "makes too much"},
	{"regex compiled in a loop", "{% for i in range(5000) %}{{ value | regex_search('a' ~ i) }}{% endfor %}", "", "works too long"},

	{"split", "{{ value.split('x') }}", strings.Repeat("x", 30_000), "makes too much"},
	{"split at spaces", "{{ value.split() }}", strings.Repeat("x ", 30_000), "makes too much"},
	{"list of a text", "{{ value | list }}", strings.Repeat("x", 30_000), "makes too much"},
	{"slice", "{% for i in range(3000) %}{% set x = value[::-1] %}{% endfor %}", strings.Repeat("x", 1000), "makes too much"},
	{"slice step", "{{ value[::9223372036854775807] }}{{ value[-9223372036854775807:9223372036854775807] }}{{ value[::0] }}", "abc", "step of a slice is zero"},
	{"deep list", "{% set ns = namespace(x=[]) %}{% for i in range(500) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", "", "nested too deep"},
	{"deep list compared", "{% set ns = namespace(x=[], y=[]) %}{% for i in range(500) %}{% set ns.x = [ns.x] %}{% set ns.y = [ns.y] %}{% endfor %}{{ ns.x == ns.y }}", "", "nested too deep"},
	{"deep list as JSON", "{% set ns = namespace(x=[]) %}{% for i in range(500) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson }}", "", "nested too deep"},
	{"wide list", "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}", "", "too"},
	{"wide list compared", "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}", "", "works too long"},
	{"wide list in order", "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x < ns.y }}", "", "works too long"},
	{"a namespace in itself", "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns.x.x.x == ns }}{{ [ns] }}{{ ns | tojson }}", "", "a namespace cannot be JSON"},
	{"a loop outside", "{% set ns = namespace() %}{% for i in [1] %}{% set ns.l = loop %}{% endfor %}{{ ns.l.index }}{{ ns.l.cycle(1) }}", "", "cycle needs values"},
	{"JSON in JSON", "{{ value | from_json }}", "[" + strings.Repeat("[],", 30_000) + "1]", "makes too much"},
	{"sorted", "{{ range(5000) | map('string') | sort | unique | map('int') | sort | list | length }}", "", "makes too much"},
	{"far years", "{{ now() + timedelta(days=99999999) }}", "", "span of time"},
	{"far stamps", "{{ 1e300 | timestamp_utc }}", "", "has no default"},
	{"attributes of Python", "{{ ''.__class__.__mro__ }}", "", "undefined"},
	{"method of Python", "{{ ''.__class__() }}", "", "no method"},
	{"a call of a value", "{{ (value)(1) }}", "", "only functions"},
	{"a long number of names", "{% for a, b in [[1, 2, 3]] %}{% endfor %}", "", "2 names for 3 values"},
}

func TestHostile(t *testing.T) {
	t.Parallel()
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := run(t, c.source, &Payload{Text: c.text})
			var located *Error
			switch {
			case err == nil:
				t.Fatal("it ran")
			case !errors.As(err, &located):
				t.Errorf("%T", err)
			case !strings.Contains(err.Error(), c.want):
				t.Errorf("%q does not say %q", err, c.want)
			case strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > 300:
				t.Errorf("more than a line: %q", err)
			}
		})
	}
}

// TestMemory adds up all that the hostile templates allocate, which is more than they have at once.
func TestMemory(t *testing.T) {
	for _, c := range hostile {
		most := uint64(8 << 20)
		if strings.HasPrefix(c.name, "regex") {
			most = 96 << 20 // package regexp makes its state anew now and then, under the race detector often
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := run(t, c.source, &Payload{Text: c.text}); err == nil {
			t.Errorf("%s: it ran", c.name)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > most {
			t.Errorf("%s: %d KiB", c.name, n>>10)
		}
	}
}
