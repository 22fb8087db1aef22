package gateway

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidings/devices"
)

// recorded are the values kept of a point, as text; a gap is "-".
func (x *trial) recorded(id devices.ID, point string) string {
	on := x.history.Load()
	if on == nil {
		return "off"
	}
	list, err := on.Records(x.context(), id, point, time.Time{}, time.Now().Add(time.Second), 100)
	if err != nil {
		x.t.Fatal(err)
	}
	var out []string
	for _, r := range list {
		if r.Value.IsZero() {
			out = append(out, "-")
		} else {
			out = append(out, r.Value.String())
		}
	}
	return strings.Join(out, " ")
}

func (x *trial) recordedIs(id devices.ID, point, want string) {
	x.t.Helper()
	x.eventually(fmt.Sprintf("%s of %s: %q", point, id, want), func() bool { return x.recorded(id, point) == want })
}

// Readings are kept, from a driver to the disk and over a restart. What the gateway does not know is a gap: the loss of a
// device, and the time when it did not run.
func TestHistoryOfAHouse(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	file := strings.Replace(trialFile, "source = \"OUT2\"\n", "source = \"OUT2\"\nhistory = false\n", 1) + "[history]\n"
	reload := func(text string) {
		t.Helper()
		x.write(text)
		if err := x.Reload(x.context()); err != nil {
			t.Fatal(err)
		}
	}
	x.write(file)
	x.start()
	x.recordedIs("door", "open", "true")
	x.shows("door", true, "")
	x.chips["a"].Press("IN")
	x.recordedIs("door", "open", "true false")
	x.recordedIs("heater", "power", "false")
	if got := x.recorded("heater", "boost"); got != "" {
		t.Errorf("history = false: %q", got)
	}

	// Its driver is taken out, and comes again.
	reload(strings.Replace(file, "[drivers.a]\n", "[drivers.a]\nenabled = false\n", 1))
	x.recordedIs("door", "open", "true false -")
	reload(file)
	x.recordedIs("door", "open", "true false - false")
	// A point whose readings are not to be kept any more ends.
	reload(strings.Replace(file, "source = \"IN\"\n", "source = \"IN\"\nhistory = false\n", 1))
	x.recordedIs("door", "open", "true false - false -")
	if got := x.recorded("heater", "power"); got != "false" {
		t.Errorf("the heater, which nobody touched: %q", got)
	}

	// No history, and then there is one: from what is known at that moment.
	reload(trialFile)
	if got := x.recorded("heater", "power"); got != "off" || x.bridgeHistory(x.config.Load()) != nil {
		t.Errorf("without [history]: %q", got)
	}
	x.shows("heater", true, "")
	reload(file)
	x.recordedIs("heater", "power", "false - false")
	reload(file + "keep = \"1d\"\n")
	x.recordedIs("heater", "power", "false - false")
	if err := x.stop(); err != nil {
		t.Fatal(err)
	}
	x.write(file)
	x.start()
	x.recordedIs("heater", "power", "false - false - false")
}

// A history that cannot be opened keeps a reload, and a start, from happening: the way out is in the error.
func TestHistoryThatCannotBe(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	x.start()
	if err := os.Mkdir(filepath.Join(x.dir, "history.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	x.write(trialFile + "[history]\n")
	if err := x.Reload(x.context()); err == nil || !strings.Contains(err.Error(), "history") {
		t.Errorf("reload: %v", err)
	}
	x.shows("door", true, "open")
	if x.history.Load() != nil || x.config.Load().History != nil {
		t.Error("there is a history all the same")
	}
}
