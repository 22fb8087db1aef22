package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidings/drivers"
)

// The sample is made of blocks between empty lines. A line that begins with # and no space is a setting commented out.

func sample(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "gateway.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n\n")
}

func uncomment(block string) string {
	lines := strings.Split(block, "\n")
	for i, line := range lines {
		if len(line) > 1 && line[0] == '#' && line[1] != ' ' {
			lines[i] = line[1:]
		}
	}
	return strings.Join(lines, "\n")
}

// loadSample loads blocks with the files they name next to them.
func loadSample(t *testing.T, blocks []string) *Config {
	t.Helper()
	cert, key := keyPair(t)
	cfg, _, err := load(t, options(nil), strings.Join(blocks, "\n\n"), map[string]string{
		"xmpp.secret": "one\n", "room.secret": "three\n", "mqtt.secret": "two\n", "broker.users": "", "home.crt": cert, "home.key": key,
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return cfg
}

// TestSample loads the sample as it is, with all that is commented out, and with each other way to join the network.
func TestSample(t *testing.T) {
	t.Parallel()
	blocks := sample(t)
	var plain, full, others, elsewhere []string
	for _, block := range blocks {
		switch {
		case strings.HasPrefix(block, "#[xmpp]"):
			others = append(others, uncomment(block))
		case strings.HasPrefix(block, "#[rooms."): // not with the server inside
			elsewhere = append(elsewhere, uncomment(block))
		default:
			plain, full = append(plain, block), append(full, uncomment(block))
		}
	}
	cfg := loadSample(t, plain)
	if cfg.XMPP.Mode != Local || len(cfg.Drivers) != 3 || len(cfg.Mapping.Devices) != 4 || len(cfg.Mapping.Alerts) != 2 || cfg.Broker == nil {
		t.Errorf("the sample is %+v", cfg)
	}
	for _, d := range cfg.Drivers {
		if d.Driver == nil {
			t.Errorf("%s was not built", d.Name)
		}
	}
	if all := loadSample(t, full); len(all.Drivers) != 8 || all.Control.Socket != "/run/tidings/tidings.sock" {
		t.Errorf("with everything: %+v", all)
	}
	modes := ""
	for _, other := range others {
		var with []string
		for _, block := range plain {
			switch {
			case strings.HasPrefix(block, "[xmpp]"):
				with = append(with, other)
			case strings.HasPrefix(block, "[xmpp.local]"):
			default:
				with = append(with, block)
			}
		}
		cfg := loadSample(t, append(with, elsewhere...))
		if modes += cfg.XMPP.Mode + " "; len(cfg.Rooms) != 1 {
			t.Errorf("the rooms are %+v", cfg.Rooms)
		}
	}
	if modes != "component client " {
		t.Errorf("the other modes are %s", modes)
	}
}

// TestReference: docs/configuration.md is what `go generate ./gateway/config` makes.
func TestReference(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != string(Reference(drivers.Types(drivers.Backends{}))) {
		t.Error("docs/configuration.md is not up to date: go generate ./gateway/config")
	}
}

// TestWrongValues puts values of every type behind every key of the sample: each load ends in a configuration or in
// mistakes with a place, and a value of the wrong type is told at its own line.
func TestWrongValues(t *testing.T) {
	t.Parallel()
	var blocks []string
	for _, block := range sample(t) {
		if !strings.HasPrefix(block, "#[xmpp]") {
			blocks = append(blocks, uncomment(block))
		}
	}
	lines := strings.Split(strings.Join(blocks, "\n\n"), "\n")
	cert, key := keyPair(t)
	dir := write(t, map[string]string{"mqtt.secret": "two\n", "broker.users": "", "home.crt": cert, "home.key": key})
	path := filepath.Join(dir, "gateway.toml")
	values := []string{`-1`, `nan`, `true`, `""`, `"\n\u0000"`, `[1, "a"]`, `{ a = 1 }`, `[{}]`}
	for i, line := range lines {
		key, old, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "[") {
			continue
		}
		for _, value := range values {
			lines[i] = key + "= " + value
			if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path, options(nil))
			if err != nil {
				for mistake := range strings.SplitSeq(err.Error(), "\n") {
					if !strings.HasPrefix(mistake, path+":") {
						t.Errorf("%s: %q", lines[i], mistake)
					}
				}
			}
			if here := fmt.Sprintf("%s:%d: ", path, i+1); value == `[{}]` && (err == nil || !strings.Contains(err.Error(), here)) {
				t.Errorf("line %d, %s: %v", i+1, lines[i], err)
			}
		}
		lines[i] = key + "=" + old
	}
}
