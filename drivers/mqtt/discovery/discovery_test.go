package discovery

import (
	"regexp"
	"testing"
)

func TestPointName(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"Temperature": "temperature", "Soil moisture": "soil_moisture", "  PM2.5 ": "pm2_5", "Außen-Fühler 2": "aussen_fuehler_2",
		"__x__": "x", "2nd relay": "p2nd_relay", "温度": "value", "": "value", "Température": "temperature",
	} {
		if got := PointName(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

func FuzzPointName(f *testing.F) {
	f.Add("Küche/Temp\x00")
	f.Fuzz(func(t *testing.T, s string) {
		if name := PointName(s); !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(name) || len(name) > 48 {
			t.Errorf("%q: %q", s, name)
		}
	})
}

func TestMessageJSON(t *testing.T) {
	t.Parallel()
	if tree, err := NewMessage("t", []byte(`{"a":1}`)).JSON(); err != nil || tree == nil {
		t.Error(tree, err)
	}
	for _, bad := range []string{"", "{", `{} {}`, "ON"} {
		if tree, err := NewMessage("t", []byte(bad)).JSON(); err == nil || tree != nil {
			t.Errorf("%q: %v", bad, tree)
		}
	}
}
