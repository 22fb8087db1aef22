package mapping

import (
	"testing"
	"time"
	"unsafe"

	"tidings/devices"
)

// clockSet is t as it reads once the wall clock was set forward by so many days: the monotonic clock knows nothing of it. It needs
// to know how time.Time keeps the two: the seconds of the wall clock begin at bit 30.
func clockSet(t time.Time, days uint64) time.Time {
	type parts struct {
		wall uint64
		ext  int64
		loc  *time.Location
	}
	(*parts)(unsafe.Pointer(&t)).wall += days * 24 * 3600 << 30
	return t
}

// A board without a clock of its own starts in the past. What happens after it was told the time is of that time, and nothing has
// lasted for days.
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	start := time.Now()
	const days = 40
	if set := clockSet(start, days); set.Sub(start) != 0 || set.Round(0).Sub(start.Round(0)) != days*24*time.Hour {
		t.Fatal("time.Time is another one now")
	}
	alert := &AlertConfig{Name: "open", Device: "door", To: []string{"alice@example.org"}}
	var err error
	if alert.when, err = parseExpression("open"); err != nil {
		t.Fatal(err)
	}
	cfg := &Config{Devices: map[devices.ID]*DeviceConfig{}, Alerts: []*AlertConfig{alert}}
	r := NewRules(cfg, devices.NewRegistry(), RulesOptions{})
	info := devices.Info{ID: "door", Points: []devices.Point{{Name: "open", Kind: devices.KindSwitch, Readable: true}}}
	r.Step(start, Change{Announce: &info})
	r.Step(start, Change{Link: &Link{ID: "door", Up: true}})
	now := clockSet(start.Add(time.Minute), days)
	got := 0
	for _, i := range r.Step(now, Change{Readings: []devices.Reading{{Device: "door", Point: "open", Value: devices.Bool(true), At: now}}}) {
		if a, ok := i.(Alert); ok {
			got++
			if off := now.Round(0).Sub(a.At.Round(0)); off != 0 {
				t.Errorf("the alert is dated %v back", off)
			}
		}
	}
	if got != 1 {
		t.Errorf("%d alerts", got)
	}
	for _, s := range r.Snapshot().Alerts {
		if off := now.Round(0).Sub(s.Since.Round(0)); off != 0 {
			t.Errorf("its state is dated %v back", off)
		}
	}
}
