package config

import (
	"time"

	"tidings/devices/schema"
)

// What [history] can be. The file has to have room for what was read lately beside what it is to keep; a batch that is written
// more often than once a second spares nothing.
const (
	leastKeep, leastSize        = time.Hour, 10_000_000
	leastFlush, mostFlush       = time.Second, time.Hour
	defaultKeep, defaultMaxSize = 90 * 24 * time.Hour, 200_000_000
	defaultFlush                = 30 * time.Second
)

// readHistory reads [history].
func readHistory(t *schema.Table) *History {
	h := &History{Keep: t.Duration("keep", defaultKeep), MaxSize: t.Size("max_size", defaultMaxSize), Flush: t.Duration("flush", defaultFlush)}
	if h.Keep < leastKeep {
		t.Errorf("keep", "keep: at least an hour: leave [history] out to keep nothing")
	}
	if h.MaxSize < leastSize {
		t.Errorf("max_size", "max_size: at least 10MB: leave [history] out to keep nothing")
	}
	if h.Flush < leastFlush || h.Flush > mostFlush {
		t.Errorf("flush", "flush: between a second and an hour: it is what a crash may lose")
	}
	return h
}
