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

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/c", false}, {"a/b", "a", false}, {"a", "a/b", false}, {"+/+/b", "x/y/b", true},
		{"+/+/b", "x/b", false}, {"+/+/b", "x/y/c", false}, {"+/b", "/b", true}, {"a/+/b", "a//b", true},
	} {
		if got := Matches(test.filter, test.topic); got != test.want {
			t.Errorf("%s, %s: %v", test.filter, test.topic, got)
		}
	}
}
