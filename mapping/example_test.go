package mapping_test

import (
	"fmt"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/mapping"
)

// A reading becomes a presence, and a threshold a message.
func ExampleRules() {
	root, err := schema.Parse("gateway.toml", []byte(`
[access]
"alice@example.org" = "admin"

[devices.greenhouse]
driver = "attic"
name   = "Greenhouse"
[devices.greenhouse.points.temperature]
class = "temperature"
scale = 0.1

[alerts.too-hot]
device = "greenhouse"
when   = "temperature > 35"
to     = ["alice@example.org"]
`))
	if err != nil {
		panic(err)
	}
	cfg := mapping.Read(root, mapping.ReadOptions{Mode: mapping.Component, Domain: "things.example.org", Hub: "home"})
	rules := mapping.NewRules(cfg, devices.NewRegistry(), mapping.RulesOptions{})

	for _, c := range []mapping.Change{
		{Announce: &devices.Info{ID: "greenhouse", Driver: "attic", Points: []devices.Point{{Name: "temperature", Readable: true}}}},
		{Link: &mapping.Link{ID: "greenhouse", Up: true}},
		{Readings: []devices.Reading{{Device: "greenhouse", Point: "temperature", Value: devices.Number(362)}}},
	} {
		for _, intent := range rules.Step(time.Now(), c) {
			switch i := intent.(type) {
			case mapping.Appeared:
				fmt.Println("new:", i.Device.Name)
			case mapping.Presence:
				fmt.Println("online:", i.Online, i.Status)
			case mapping.Alert:
				fmt.Println(i.Level, i.To, i.Text)
			}
		}
	}
	// Output:
	// new: Greenhouse
	// online: true no reading yet
	// warning [alice@example.org] Greenhouse: temperature is 36.2 °C (too-hot)
	// online: true 36.2 °C
}
