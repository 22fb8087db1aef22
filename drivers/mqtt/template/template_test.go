package template

import "testing"

func run(t *testing.T, source string, vars Vars) (Output, error) {
	t.Helper()
	tmpl, err := Parse(source)
	if err != nil {
		return Output{}, err
	}
	return tmpl.Execute(vars)
}

func TestSmoke(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"{{ value_json.temperature | float | round(1) }}", `{"temperature": 21.54}`, "21.5"},
		{"{% if value == 'ON' %}on{% else %}off{% endif %}", "ON", "on"},
		{"{% for k, v in value_json.items() %}{{ loop.index }}{{k}}={{v}};{% endfor %}", `{"a":1,"b":[1,2.0,null,true,"x"]}`, "1a=1;2b=[1, 2.0, None, True, 'x'];"},
		{"{% set ns = namespace(n=0) %}{% for i in range(5) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "", "10"},
		{"{{ value.split(',')[1] | int + 1 }}", "3,4", "5"},
		{"{{ '%.2f' | format(value | float) }} {{ '{:>5}'.format(value) }}", "1.5", "1.50   1.5"},
		{"{{ {'a': 1, 'b': 2}[value] }}", "b", "2"},
		{"{{ value_json.a.b | default('x') }}", `{"a":{}}`, "x"},
	} {
		out, err := run(t, c[0], &Payload{Text: c[1]})
		if err != nil || out.Text != c[2] {
			t.Errorf("%s of %s: %q, %v, want %q", c[0], c[1], out.Text, err, c[2])
		}
	}
}
