package homeassistant

import (
	"fmt"
	"strings"
	"testing"

	"tidings/drivers/mqtt/discovery"
)

// alike is an announcement of as many components as there may be, of which no name is left.
func alike() []byte {
	var parts []string
	for i := range discovery.MaxPoints {
		parts = append(parts, fmt.Sprintf(`"%c":{"p":"switch","cmd_t":"c%d","stat_t":"s"}`, 0x4e00+i, i))
	}
	return []byte(`{"dev":{"ids":"x"},"o":{"name":"x"},"cmps":{` + strings.Join(parts, ",") + `}}`)
}

func TestAlike(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	c.Take(discovery.NewMessage("homeassistant/device/x/config", alike()))
	d := c.Device("x")
	seen := map[string]bool{}
	for _, p := range d.Points {
		seen[p.Name] = true
	}
	if len(d.Points) != discovery.MaxPoints || len(seen) != discovery.MaxPoints || !seen["switch"] || !seen["switch_switch"] || !seen["switch_switch_2"] || !seen["switch_switch_299"] {
		t.Errorf("%d points, %d names: %v", len(d.Points), len(seen), d.Points[len(d.Points)-1].Name)
	}
}

// BenchmarkAlike is a device of three hundred points that are all called the same.
func BenchmarkAlike(b *testing.B) {
	c := New(Options{})
	c.Take(discovery.NewMessage("homeassistant/device/x/config", alike()))
	for b.Loop() {
		c.Device("x")
	}
}
