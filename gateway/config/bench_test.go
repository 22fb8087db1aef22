package config

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkLoad loads a file of many MQTT devices with three points each.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		var text strings.Builder
		text.WriteString("[xmpp]\nmode = 'component'\naddress = 'things.example.org'\nsecret = 'x'\n[drivers.house]\ntype = 'mqtt'\nbroker = 'mqtt://127.0.0.1:1883'\n")
		for i := range n {
			fmt.Fprintf(&text, "[devices.d%d]\ndriver = 'house'\n", i)
			for _, point := range []string{"temperature", "humidity", "battery"} {
				fmt.Fprintf(&text, "[devices.d%d.points.%s]\nsource = 'home/d%d/%s'\nclass = '%s'\n", i, point, i, point, point)
			}
		}
		path := filepath.Join(b.TempDir(), "gateway.toml")
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("devices=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			before := liveHeap()
			var cfg *Config
			for b.Loop() {
				var err error
				if cfg, err = Load(path, options(nil)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(liveHeap()-before)/float64(n), "live-B/device")
			runtime.KeepAlive(cfg)
		})
	}
}
