package mapping

import "tidings/devices/schema"

// DriverKeys are mapping's keys of a table of [drivers].
var DriverKeys = []schema.Key{
	{Name: "offline_after", Kind: schema.Duration, Help: "its devices are offline after this much silence, unless they say otherwise"},
}

// DeviceKeys are mapping's keys of a table of [devices].
var DeviceKeys = []schema.Key{
	{Name: "driver", Kind: schema.String, Help: "the table of [drivers] it is reached through; required, unless all points are computed"},
	{Name: "name", Kind: schema.String, Help: "what people see; default: the table's name"},
	{Name: "location", Kind: schema.String, Help: "the group it is in in people's contact lists"},
	{Name: "class", Kind: schema.String, Help: "sensor, light, cover, lock, valve, …; default by its points"},
	{Name: "enabled", Kind: schema.Bool, Default: "true", Help: "false disables the device: it is shown as disabled, keeps its address and contacts, and nothing is read or done"},
	{Name: "labels", Kind: schema.Strings, Help: "words for programs that look after many devices"},
	{Name: "offline_after", Kind: schema.Duration, Help: "offline after this much silence; 0: only its driver decides"},
	{Name: "settle", Kind: schema.Duration, Default: "5s", Help: "a change of online state shorter than this is not announced"},
	{Name: "primary", Kind: schema.Strings, Help: "the points its presence shows; default: the first two"},
	{Name: "points", Kind: schema.Named, Help: "what it measures and does"},
	{Name: "match", Kind: schema.String, Help: "the discovered device this table is about, as `tidings devices` prints it: what the table says goes before what the device does"},
}

// PointKeys are mapping's keys of a point's table.
var PointKeys = []schema.Key{
	{Name: "kind", Kind: schema.String, Help: "number, switch, text, choice, action, image, color, time or event; default: switch where on or off is given, else by the driver"},
	{Name: "class", Kind: schema.String, Help: "Home Assistant's device class: brings a unit, or words such as open and closed"},
	{Name: "unit", Kind: schema.String, Help: "of a number; default by its class, or what the device says; another unit for the same than the device says is converted to, both ways"},
	{Name: "scale", Kind: schema.Float, Default: "1", Help: "value = raw × scale + offset, and back when written"},
	{Name: "offset", Kind: schema.Float, Default: "0", Help: "see scale"},
	{Name: "precision", Kind: schema.Int, Help: "digits shown after the point; default: as it comes"},
	{Name: "min", Kind: schema.Float, Help: "a reading below is a fault"},
	{Name: "max", Kind: schema.Float, Help: "a reading above is a fault"},
	{Name: "deadband", Kind: schema.Float, Default: "0", Help: "smaller changes are recorded, not announced"},
	{Name: "range", Kind: schema.Floats, Help: "the lowest and the highest value that may be commanded"},
	{Name: "step", Kind: schema.Float, Help: "a commanded value is rounded to this"},
	{Name: "options", Kind: schema.Strings, Help: "the values of a choice"},
	{Name: "danger", Kind: schema.Bool, Default: "false", Help: "asks \"Really?\", whichever way a command comes"},
	{Name: "programs", Kind: schema.Bool, Help: "whether IoT IQs may set it, unasked; default: false where danger is true, else true"},
	{Name: "confirm_within", Kind: schema.Duration, Default: "2s", Help: "how long the device has to confirm a command"},
	{Name: "safe", Kind: schema.Scalar, Help: "what it is set to when the gateway stops"},
	{Name: "history", Kind: schema.Bool, Default: "true", Help: "whether its readings are kept, where there is a [history]"},
	{Name: "value", Kind: schema.String, Help: "what a point without a source is computed from: points by name, others as devices.NAME.POINT; [Computed points](computed.md) says how"},
	{Name: "delay_on", Kind: schema.Duration, Default: "0s", Help: "a switch that is only read has to stay on this long to be shown as on"},
	{Name: "delay_off", Kind: schema.Duration, Default: "0s", Help: "it has to stay off this long to be shown as off: motion is shown for two minutes after the last one"},
}

// AlertKeys are the keys of a table of [alerts].
var AlertKeys = []schema.Key{
	{Name: "device", Kind: schema.String, Required: true, Help: "the device it is about; a pattern such as \"door*\" makes one alert a device"},
	{Name: "when", Kind: schema.String, Required: true, Help: "the condition: points by name, others as devices.NAME.POINT, offline, online"},
	{Name: "until", Kind: schema.String, Help: "when it is over; default: when `when` no longer holds"},
	{Name: "for", Kind: schema.Duration, Default: "0s", Help: "`when` has to hold this long"},
	{Name: "to", Kind: schema.Strings, Required: true, Help: "who is told"},
	{Name: "level", Kind: schema.String, Default: "warning", Choices: levelNames[:], Help: "critical shows in the device's presence, too"},
	{Name: "text", Kind: schema.String, Help: "the message; {{.temperature}} is a point with its unit, {{.device}} and {{.location}} are the device's"},
	{Name: "enabled", Kind: schema.Bool, Default: "true", Help: "false takes the alert out"},
	{Name: "repeat", Kind: schema.Duration, Help: "said again this often until someone acknowledges it; default: never"},
	{Name: "escalate", Kind: schema.SubTable, Spec: &schema.Spec{Keys: escalateKeys}, Help: "who else is told when nobody acknowledges it"},
	{Name: "quiet", Kind: schema.SubTable, Spec: &schema.Spec{Keys: quietKeys}, Help: "hours of the day without messages, in the timezone of [gateway]; what is still so is said at their end"},
	{Name: "offer", Kind: schema.Strings, Help: "commands of the device to have at hand under the message, as in [\"pump on\"]; whoever may not control it gets none"},
	{Name: "chart", Kind: schema.Duration, Help: "a picture of so much of the time before goes with it"},
}

var escalateKeys = []schema.Key{
	{Name: "after", Kind: schema.Duration, Required: true, Help: "how long nobody has acknowledged it; at once when it reached nobody"},
	{Name: "to", Kind: schema.Strings, Required: true, Help: "who is told then"},
}

var quietKeys = []schema.Key{
	{Name: "from", Kind: schema.String, Required: true, Help: "their beginning, as in \"22:00\""},
	{Name: "to", Kind: schema.String, Required: true, Help: "their end; earlier than from: on the next day"},
	{Name: "except", Kind: schema.String, Choices: levelNames[:], Help: "alerts of this level and above are said all the same"},
}

// AccessSpec describes the table form of a line of [access]; the other form is a role alone.
var AccessSpec = schema.Spec{Keys: []schema.Key{
	{Name: "role", Kind: schema.String, Required: true, Choices: roleNames[1:], Help: "viewer, operator or admin"},
	{Name: "devices", Kind: schema.Strings, Help: "the devices it is limited to; patterns such as \"door*\""},
}}
