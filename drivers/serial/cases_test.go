package serial

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidings/drivers/drivertest"
)

var update = flag.Bool("update", false, "write what the cases give into their want files")

// TestCases runs what boards were heard to say through the codec, whole, byte by byte and cut in two at every place.
func TestCases(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("testdata/cases/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			config, input := readFile(t, dir, "config.toml"), readFile(t, dir, "input")
			d := built(t, config)
			got := transcript(d, input)
			if *update {
				if err := os.WriteFile(filepath.Join(dir, "want"), []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := readFile(t, dir, "want"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			bytes := strings.Split(input, "")
			if each := transcript(d, bytes...); each != got {
				t.Errorf("byte by byte:\n%s\nwhole:\n%s", each, got)
			}
			for cut := range input {
				if cut > 600 && cut < len(input)-100 {
					continue // deep within a line that is too long
				}
				if two := transcript(d, input[:cut], input[cut:]); two != got {
					t.Fatalf("cut at %d:\n%s\nwhole:\n%s", cut, two, got)
				}
			}
		})
	}
}

func readFile(t *testing.T, elem ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// transcript is what the driver makes of a line's pieces: a line a reading, then what was counted.
func transcript(d *listener, pieces ...string) string {
	sink := &drivertest.Sink{}
	for _, dev := range d.devices {
		sink.Announce(d.info(dev))
		sink.Link(dev.id, true, nil)
	}
	r := newReader(d, sink)
	for _, p := range pieces {
		r.decoder.feed([]byte(p), time.Now())
	}
	var b strings.Builder
	for _, e := range sink.Events() {
		if e.Kind != drivertest.Read {
			continue
		}
		fmt.Fprintf(&b, "%s %s %s", e.ID, e.Reading.Point, e.Reading.Quality)
		if !e.Reading.Value.IsZero() {
			fmt.Fprintf(&b, " %q", e.Reading.Value)
		}
		if e.Reading.Err != nil {
			fmt.Fprintf(&b, " (%v)", e.Reading.Err)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%+v\n", r.tally)
	return b.String()
}
