// Package mapping is what a reading means: it gives the points of the drivers their units, names and ranges, computes
// points from others, decides when a device is online and what its presence says, runs the alerts, knows who may see and
// do what, and which address belongs to which device.
//
// The package is pure. It has no goroutine, no clock of its own, does no input or output and knows nothing of XML:
// [Rules.Step] takes the present time and one [Change] and answers with [Intent]s; [Rules.Next] says when it wants
// to be called again although nothing happened. Rules belong to one goroutine, the router's, which through them is
// the only writer of the [devices.Registry]. [Device], [Point] and [Config] never change after they were made and may
// be read from anywhere; [Access] and [Addresses] are safe for concurrent use.
//
// Two sets of values meet here. A reading from a driver is raw; what the registry holds, what people see and what
// they ask for is mapped: value = raw × scale + offset. [Point.FromRaw] and [Point.ToRaw] go between the two.
//
// [Rules.Reload] puts another configuration in the place of the present one without a blink; [Rules.Snapshot] and
// [Rules.Restore] carry what is running over a restart.
//
//	cfg := mapping.Read(root, mapping.ReadOptions{Mode: mapping.Component, Domain: "things.example.org", Hub: "home"})
//	rules := mapping.NewRules(cfg, devices.NewRegistry(), mapping.RulesOptions{})
//	for _, intent := range rules.Step(time.Now(), mapping.Change{Readings: readings}) {
//		switch i := intent.(type) {
//		case mapping.Presence: // i.Device is online or not, and says i.Status
//		case mapping.Alert: // i.Text for everyone in i.To
//		}
//	}
//	timer.Reset(time.Until(rules.Next()))
package mapping
