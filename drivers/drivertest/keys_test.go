package drivertest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestReadKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, source := range map[string]string{
		"driver.go": `package d
import ("fmt"; log "log/slog")
func build(c connection) {
	port := c.Table.String("port")
	baud := c.Table.Int("baud", 9600)
	c.Table.Errorf("mode", "%q is no mode", port)
	_ = fmt.Errorf("lower")
	_ = log.String("key", port)
	other.Errorf("a sentence %d", baud)
	c.Table.String(name)
}`,
		"driver_test.go": `package d
func f() { t.String("test") }`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := slices.Sorted(maps.Keys(readKeys(t, dir)))
	if want := []string{"baud", "mode", "port"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
}
