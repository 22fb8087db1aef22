package mapping

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"tidings/devices"
)

// BenchmarkStep is a reading that changes a primary point, through the rules of a device with three alerts on it.
func BenchmarkStep(b *testing.B) {
	w := hot(b, tooHot+`
[alerts.cold]
device = "*"
when = "temperature < 5 and not pump or humidity > 90"
to = ["alice@example.org"]
[alerts.gone]
device = "*"
when = "offline"
for = "5m"
to = ["alice@example.org"]
`)
	w.read("greenhouse", "humidity", num(48))
	w.read("greenhouse", "pump", boo(true))
	readings := []devices.Reading{{Device: "greenhouse", Point: "temperature"}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.now = w.now.Add(10 * time.Millisecond)
		readings[0].Value, readings[0].At = num(float64(200+i%100)), w.now
		w.rules.Step(w.now, Change{Readings: readings})
	}
}

// BenchmarkStepComputed is a reading that changes two computed points: one is calculated from it, the other from its mean of ten
// minutes.
func BenchmarkStepComputed(b *testing.B) {
	w := newWorld(b, house+`
[devices.greenhouse.points.dewpoint]
value = "temperature - (100 - humidity) / 5"
[devices.greenhouse.points.mean]
value = "mean(temperature, '10m')"
`)
	w.announce(greenhouseInfo())
	w.link("greenhouse", true, nil)
	w.read("greenhouse", "humidity", num(48))
	readings := []devices.Reading{{Device: "greenhouse", Point: "temperature"}}
	step := func(i int) {
		w.now = w.now.Add(time.Second)
		readings[0].Value, readings[0].At = num(float64(200+i%100)), w.now
		w.rules.Step(w.now, Change{Readings: readings})
	}
	for i := range 1000 { // the window is full
		step(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		step(i)
	}
}

// BenchmarkStepSame is a reading that says what the one before said.
func BenchmarkStepSame(b *testing.B) {
	w := hot(b, tooHot)
	readings := []devices.Reading{{Device: "greenhouse", Point: "temperature", Value: num(200)}}
	b.ReportAllocs()
	for b.Loop() {
		w.now = w.now.Add(10 * time.Millisecond)
		readings[0].At = w.now
		w.rules.Step(w.now, Change{Readings: readings})
	}
}

// BenchmarkMemory is what a device costs in the rules, the registry and the addresses, when ten thousand of three
// points are online.
func BenchmarkMemory(b *testing.B) {
	const n = 10_000
	cfg := mustParse(b, `
[access]
"alice@example.org" = "admin"
[devices.some]
driver = "attic"
[devices.some.points.temperature]
[alerts.gone]
device = "*"
when = "offline"
for = "5m"
to = ["alice@example.org"]
`)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		reg := devices.NewRegistry()
		rules := NewRules(cfg, reg, RulesOptions{})
		addresses := NewAddresses(Component, LayoutContact, "things.example.org", "home", nil)
		now := time.Now()
		for i := range n {
			info := devices.Info{
				ID: devices.ID(fmt.Sprintf("device-%05d", i)), Driver: "house", Address: fmt.Sprintf("zigbee/device-%05d", i), Silence: 5 * time.Minute,
				Points: []devices.Point{
					{Name: "temperature", Kind: devices.KindNumber, Unit: "°C", Readable: true},
					{Name: "humidity", Kind: devices.KindNumber, Unit: "%", Readable: true},
					{Name: "power", Kind: devices.KindSwitch, Readable: true, Writable: true},
				},
			}
			rules.Step(now, Change{Announce: &info})
			rules.Step(now, Change{Link: &Link{ID: info.ID, Up: true}})
			rules.Step(now, Change{Readings: []devices.Reading{
				{Device: info.ID, Point: "temperature", Value: num(float64(i) / 100), At: now},
				{Device: info.ID, Point: "humidity", Value: num(float64(i % 100)), At: now},
				{Device: info.ID, Point: "power", Value: boo(i%2 == 0), At: now},
			}})
			addresses.Device(info.ID)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/device")
		runtime.KeepAlive(rules)
		runtime.KeepAlive(addresses)
		runtime.KeepAlive(reg)
	}
}

// BenchmarkTimers is a tick of ten thousand devices whose readings fell late at the same time.
func BenchmarkTimers(b *testing.B) {
	const n = 10_000
	cfg := mustParse(b, "")
	for b.Loop() {
		b.StopTimer()
		rules := NewRules(cfg, devices.NewRegistry(), RulesOptions{})
		now := time.Now()
		for i := range n {
			info := devices.Info{ID: devices.ID(fmt.Sprint("d", i)), Silence: time.Minute, Points: []devices.Point{{Name: "t", Readable: true}}}
			rules.Step(now, Change{Announce: &info})
			rules.Step(now, Change{Link: &Link{ID: info.ID, Up: true}})
			rules.Step(now, Change{Readings: []devices.Reading{{Device: info.ID, Point: "t", Value: num(1)}}})
		}
		b.StartTimer()
		if got := len(rules.Step(now.Add(45*time.Second), Change{})); got != n {
			b.Fatalf("%d intents", got)
		}
	}
}
