package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad: whatever a file holds, the load ends without a panic, with a configuration or with mistakes that each
// say where they are.
func FuzzLoad(f *testing.F) {
	cases, err := filepath.Glob("testdata/cases/*/gateway.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(cases, "../../gateway.toml") {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ReplaceAll(text, "include", "exclude") // patterns of chance could search the whole disk
		own := filepath.Join(t.TempDir(), "gateway.toml")
		if err := os.WriteFile(own, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(own, options(nil))
		if (cfg == nil) != (err != nil) {
			t.Fatalf("configuration %v with error %v", cfg != nil, err)
		}
		if err == nil {
			return
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.HasPrefix(line, own+":") {
				t.Errorf("a mistake without a place, or over two lines: %q", line)
			}
		}
	})
}
