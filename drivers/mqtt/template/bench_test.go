package template

import (
	"strings"
	"testing"
)

// zigbee is a message as Zigbee2MQTT sends it.
const zigbee = `{"battery":87,"humidity":48.21,"last_seen":"2026-03-01T12:00:00+01:00","linkquality":120,"pressure":1013.2,"state":"ON",` +
	`"temperature":21.54,"update":{"installed_version":16777225,"latest_version":16777241,"state":"available"},"voltage":2950}`

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("{{ value_json.temperature | float | round(1) }}"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExecute(b *testing.B) {
	for _, c := range []struct{ name, source string }{
		{"value", "{{ value_json.temperature }}"},
		{"round", "{{ value_json.temperature | float | round(1) }}"},
		{"if", "{% if value_json.state == 'ON' %}on{% elif value_json.state == 'OFF' %}off{% else %}None{% endif %}"},
		{"map", "{% set values = {None:None,'ON':'on','OFF':'off'} %}{{ values[value_json.state] }}"},
		{"for", "{% for k, v in value_json.items() %}{% if v is number %}{{ k }}={{ v }} {% endif %}{% endfor %}"},
		{"regex", "{{ value_json.last_seen | regex_findall_index('[0-9]+') | int }}"},
	} {
		tmpl, err := Parse(c.source)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			p := &Payload{Text: zigbee}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tmpl.Execute(p); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/with JSON", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tmpl.Execute(&Payload{Text: zigbee}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkJSON(b *testing.B) {
	b.SetBytes(int64(len(zigbee)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := JSON(zigbee); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHostile is the longest that templates work before they are ended.
func BenchmarkHostile(b *testing.B) {
	for _, name := range []string{"loops", "work in a loop", "regex input", "regex compiled in a loop", "wide list compared", "split"} {
		for _, c := range hostile {
			if c.name != name {
				continue
			}
			tmpl, err := Parse(c.source)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
				for b.Loop() {
					if _, err := tmpl.Execute(&Payload{Text: c.text}); err == nil {
						b.Fatal("it ran")
					}
				}
			})
		}
	}
}
