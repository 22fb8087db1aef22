package homeassistant

import "testing"

func TestShortLabel(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ label, device, want string }{
		{"Küche Öl", "Küche", "Öl"}, {"Kitchen öl", "Kitchen", "Öl"}, {"Plug power", "Plug", "Power"}, {"Plug", "Plug", ""}, {"Plugin", "Plug", "Plugin"}, {"Power", "", "Power"},
		{"Lamp 灯", "Lamp", "灯"},
	} {
		if got := shortLabel(test.label, test.device); got != test.want {
			t.Errorf("%q of %q: %q, want %q", test.label, test.device, got, test.want)
		}
	}
}
