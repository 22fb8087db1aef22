package mapping

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidings/devices"
)

var (
	num     = devices.Number
	boo     = devices.Bool
	errGone = errors.New("serial port gone")
)

func TestPresenceOfAReading(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	w.announce(greenhouseInfo())
	w.want("0s appeared greenhouse")
	w.link("greenhouse", true, nil)
	w.want() // an open port says nothing about what is at its other end
	w.wait(3 * time.Second)
	w.read("greenhouse", "temperature", num(214))
	w.want("3s greenhouse online: 21.4 °C")
	w.wait(time.Second)
	w.read("greenhouse", "humidity", num(48))
	w.read("greenhouse", "temperature", num(230))
	w.want() // at most one in ten seconds, the latest wins
	w.wait(20 * time.Second)
	w.want("13s greenhouse online: 23.0 °C · 48 %")
	w.read("greenhouse", "temperature", num(231))
	w.wait(20 * time.Second)
	w.want() // within the deadband
	w.read("greenhouse", "temperature", num(232))
	w.want("44s greenhouse online: 23.2 °C · 48 %")
	w.wait(20 * time.Second)
	w.read("greenhouse", "pump", boo(true))
	w.wait(20 * time.Second)
	w.want() // not a primary point
	if state, _ := w.reg.Point("greenhouse", "temperature"); state.Value != num(23.2) {
		t.Errorf("the registry holds %v, not the mapped value", state.Value)
	}
}

func TestPresenceOfSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	w.announce(greenhouseInfo())
	w.link("greenhouse", true, nil)
	w.wait(9 * time.Second)
	w.want("0s appeared greenhouse")
	w.wait(time.Second)
	w.want("10s greenhouse offline: no reading yet")
	w.read("greenhouse", "temperature", num(214))
	w.wait(10 * time.Second)
	w.want("20s greenhouse online: 21.4 °C")
	w.wait(3 * time.Minute)
	w.want(
		"1m10s greenhouse online away: 21.4 °C",
		"2m20s greenhouse offline: silent for 2 min",
	)
	if online, why := w.rules.Online("greenhouse"); online || why != "silent for 2 min" {
		t.Errorf("online = %v, %q", online, why)
	}
	w.wait(time.Hour)
	w.want() // how long it is silent goes on, but is no news
	w.read("greenhouse", "temperature", num(200))
	w.wait(10 * time.Second)
	w.want("1h3m30s greenhouse online: 20.0 °C")
}

func TestPresenceOfALateReading(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	w.announce(greenhouseInfo())
	w.link("greenhouse", true, nil)
	w.read("greenhouse", "temperature", num(214))
	w.wait(90 * time.Second)
	w.read("greenhouse", "temperature", num(214))
	w.want("0s appeared greenhouse", "0s greenhouse online: 21.4 °C", "1m0s greenhouse online away: 21.4 °C", "1m30s greenhouse online: 21.4 °C")
}

func TestPresenceOfTheLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	w.announce(doorInfo())
	w.want("0s appeared front-door") // settle is 0, and its driver has not said yet whether it is there
	w.link("front-door", true, nil)
	w.want("0s front-door online: no reading yet")
	w.read("front-door", "open", boo(false))
	w.want("0s front-door online: closed") // the first reading is what people wait for
	w.wait(10 * time.Second)
	w.link("front-door", false, errors.New("chip gone\nreally"))
	w.want("10s front-door offline: chip gone really")
	w.wait(time.Hour)
	w.link("front-door", false, errors.New("permission denied"))
	w.want("1h0m10s front-door offline: permission denied")
	if online, why := w.rules.Online("front-door"); online || why != "permission denied" {
		t.Errorf("online = %v, %q", online, why)
	}
	w.link("front-door", false, errors.New("permission denied"))
	w.want()
	w.step(Change{Withdraw: &Withdrawal{ID: "front-door", Why: devices.Restarting}})
	w.wait(time.Minute)
	w.want("1h0m20s front-door offline: its driver is being restarted")
	w.step(Change{Withdraw: &Withdrawal{ID: "front-door", Why: devices.Gone}})
	w.want("1h1m10s gone front-door")
	if _, ok := w.reg.State("front-door"); ok {
		t.Error("it is still in the registry")
	}
	w.link("front-door", true, nil)
	w.read("front-door", "open", boo(false))
	w.wait(time.Hour)
	w.want()
}

func TestPresenceOfAFlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	w.announce(greenhouseInfo())
	w.link("greenhouse", true, nil)
	w.read("greenhouse", "temperature", num(214))
	w.take()
	w.link("greenhouse", false, errGone)
	w.wait(9 * time.Second)
	w.link("greenhouse", true, nil)
	w.wait(20 * time.Second)
	w.want()
	w.link("greenhouse", false, errGone)
	w.wait(10 * time.Second)
	w.want("39s greenhouse offline: serial port gone")
}

func TestPresenceOfFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	w.announce(greenhouseInfo())
	w.link("greenhouse", true, nil)
	w.read("greenhouse", "temperature", num(2140))
	w.want("0s appeared greenhouse", "0s greenhouse online: temperature fault: 214.0 °C is above 80.0 °C")
	w.wait(10 * time.Second)
	w.step(Change{Readings: []devices.Reading{{Device: "greenhouse", Point: "temperature", Quality: devices.Unknown}}})
	w.want("10s greenhouse online: temperature unknown")
	w.wait(10 * time.Second)
	w.read("greenhouse", "temperature", devices.Text("E7"))
	w.want(`20s greenhouse online: temperature fault: the device said "E7", which is not a number`)
	w.wait(10 * time.Second)
	w.read("greenhouse", "temperature", num(210))
	w.want("30s greenhouse online: 21.0 °C")
	w.read("greenhouse", "nonsense", num(1)) // dropped
	w.read("nobody", "temperature", num(1))
}

func TestPresenceOfADisabledDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	info := doorInfo()
	info.Disabled = true
	w.announce(info)
	w.link("front-door", true, nil)
	w.read("front-door", "open", boo(true))
	w.wait(time.Hour)
	w.want("0s appeared front-door", "0s front-door online xa: disabled")
	w.announce(doorInfo())
	w.want("1h0m0s appeared front-door", "1h0m0s front-door online: open")
	w.announce(info)
	w.want("1h0m0s appeared front-door", "1h0m0s front-door online xa: disabled")
}

// A device that is not there is said to be offline after a while, also where settle would have it at once.
func TestPresenceOfADeviceNeverThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	w.announce(doorInfo())
	w.link("front-door", false, errors.New("chip gone"))
	w.wait(time.Minute)
	w.want("0s appeared front-door", "5s front-door offline: chip gone")
}

// Alerts about a disabled device end and do not begin; enabled again it is as if it were new.
func TestAlertsOfADisabledDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house+`
[alerts.open]
device = "front-door"
when = "open"
to = ["alice@example.org"]
[alerts.off]
device = "front-door"
when = "offline"
to = ["alice@example.org"]
`)
	w.announce(doorInfo())
	w.link("front-door", true, nil)
	w.read("front-door", "open", boo(true))
	w.take()
	w.announce(devices.Info{ID: "front-door", Driver: "pins", Disabled: true})
	w.want("0s appeared front-door", "0s over open/front-door to alice@example.org: Front door was disabled (open over)", "0s front-door online xa: disabled")
	w.link("front-door", false, nil)
	w.wait(time.Hour)
	w.want()
	w.announce(doorInfo())
	w.link("front-door", true, nil)
	w.read("front-door", "open", boo(true))
	if got := strings.Join(w.take(), "\n"); !strings.Contains(got, "alert open/front-door") || strings.Contains(got, "off/") {
		t.Error(got)
	}
}

func TestAnnounceAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	w.announce(doorInfo())
	w.link("front-door", true, nil)
	w.read("front-door", "open", boo(true))
	w.wait(time.Minute)
	w.take()
	w.announce(doorInfo())
	w.want() // nothing new
	info := doorInfo()
	info.Model = "reed contact"
	w.announce(info)
	w.wait(time.Minute)
	w.want("1m0s appeared front-door")
	info.Points = info.Points[:1]
	w.announce(info)
	w.want("2m0s appeared front-door")
	if d := w.rules.Device("front-door"); len(d.Points) != 1 || d.Model != "reed contact" || d.Name != "Front door" {
		t.Errorf("model = %+v", d)
	}
	if n := len(w.rules.shapes); n != 1 {
		t.Errorf("%d shapes are kept for one device", n)
	}
}

func TestRulesAdoptARegistry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	w.announce(doorInfo())
	w.link("front-door", true, nil)
	w.read("front-door", "open", boo(true))
	w.take()
	w.rules = NewRules(mustParse(t, house), w.reg, RulesOptions{})
	w.step(Change{})
	w.want("0s appeared front-door", "0s front-door online: open")
}

func TestReload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	w.announce(greenhouseInfo())
	w.announce(doorInfo())
	w.link("greenhouse", true, nil)
	w.link("front-door", true, nil)
	w.read("greenhouse", "temperature", num(214))
	w.read("front-door", "open", boo(true))
	w.wait(30 * time.Second)
	w.take()
	w.note(w.rules.Reload(mustParse(t, house), RulesOptions{}, w.now))
	w.want()
	w.note(w.rules.Reload(mustParse(t, strings.Replace(house, "scale = 0.1", "scale = 0.2", 1)), RulesOptions{}, w.now))
	w.want("30s appeared greenhouse", "30s greenhouse online: 42.8 °C")
	w.note(w.rules.Reload(mustParse(t, strings.Replace(house, `name = "Front door"`, `name = "Entrance"`, 1)), RulesOptions{}, w.now))
	w.wait(time.Minute)
	w.want("30s appeared front-door", "30s appeared greenhouse", "40s greenhouse online: 21.4 °C", "1m0s greenhouse online away: 21.4 °C")
}

// A change of the online state that is shorter than settle announces nothing, however often it happens; one that is
// longer announces exactly that state.
func TestFlapsAnnounceNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, house)
		w.announce(greenhouseInfo())
		w.link("greenhouse", true, nil)
		w.read("greenhouse", "temperature", num(214))
		w.take()
		for range rapid.IntRange(1, 20).Draw(rt, "flaps") {
			w.link("greenhouse", false, errGone)
			w.wait(time.Duration(rapid.Int64Range(0, int64(10*time.Second)-1).Draw(rt, "off")))
			w.link("greenhouse", true, nil)
			w.read("greenhouse", "temperature", num(214))
			w.wait(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(rt, "on")))
		}
		if got := w.take(); len(got) > 0 {
			rt.Fatalf("announced %q", got)
		}
		w.link("greenhouse", false, errGone)
		w.wait(10 * time.Second)
		if got := w.take(); len(got) != 1 || !strings.HasSuffix(got[0], "offline: serial port gone") {
			rt.Fatalf("announced %q", got)
		}
	})
}

// Whatever happens, presences never come faster than the rules allow, never repeat, and end with the truth.
func TestPresenceIsDampedAndTrue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, house)
		w.announce(greenhouseInfo())
		last, seen := Presence{}, false
		sent := w.now
		observe := func(intents []Intent) {
			for _, intent := range intents {
				p, ok := intent.(Presence)
				if !ok {
					continue
				}
				if seen && p == last {
					rt.Fatalf("the same presence twice: %+v", p)
				}
				if seen && p.Online == last.Online && p.Show == last.Show && w.now.Sub(sent) < defaultInterval {
					rt.Fatalf("two presences in %v: %+v, %+v", w.now.Sub(sent), last, p)
				}
				last, seen, sent = p, true, w.now
			}
		}
		wait := func(d time.Duration) {
			for end := w.now.Add(d); ; {
				next := w.rules.Next()
				if next.IsZero() || next.After(end) {
					w.now = end
					return
				}
				w.now = next
				observe(w.rules.Step(w.now, Change{}))
			}
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				up := rapid.Bool().Draw(rt, "up")
				l := Link{ID: "greenhouse", Up: up}
				if !up {
					l.Cause = errGone
				}
				observe(w.rules.Step(w.now, Change{Link: &l}))
			case 1:
				v := num(float64(rapid.IntRange(180, 240).Draw(rt, "raw")))
				observe(w.rules.Step(w.now, Change{Readings: []devices.Reading{{Device: "greenhouse", Point: "temperature", Value: v}}}))
			default:
				wait(time.Duration(rapid.IntRange(0, 40).Draw(rt, "seconds")) * time.Second)
			}
		}
		observe(w.rules.Step(w.now, Change{Link: &Link{ID: "greenhouse", Up: true}}))
		observe(w.rules.Step(w.now, Change{Readings: []devices.Reading{{Device: "greenhouse", Point: "temperature", Value: num(300)}}}))
		wait(30 * time.Second)
		if !last.Online || last.Status != "30.0 °C" || last.Show != "" {
			rt.Fatalf("at the end: %+v", last)
		}
	})
}

func TestStatusNamesWhatWouldBeUnclear(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
[devices.box]
driver = "pins"
settle = "0s"
offline_after = "0s"
primary = ["count", "power", "valve", "said"]
[devices.box.points.count]
kind = "number"
[devices.box.points.power]
[devices.box.points.valve]
class = "valve"
[devices.box.points.said]
kind = "text"
[devices.bell]
driver = "pins"
name = "Bell"
[devices.bell.points.ring]
kind = "action"
`)
	box := devices.Info{ID: "box", Driver: "pins", Silence: time.Minute}
	for name, kind := range map[string]devices.PointKind{"said": devices.KindText, "valve": devices.KindSwitch, "power": devices.KindSwitch, "count": devices.KindNumber} {
		box.Points = append(box.Points, devices.Point{Name: name, Kind: kind, Readable: true})
	}
	w.announce(box)
	w.link("box", true, nil)
	w.take()
	w.step(Change{Readings: []devices.Reading{
		{Device: "box", Point: "said", Value: devices.Text("hello")}, {Device: "box", Point: "valve", Value: boo(true)},
		{Device: "box", Point: "power", Value: boo(false)}, {Device: "box", Point: "count", Value: num(12)},
	}})
	w.want("0s box online: count 12 · power off · open · hello")
	w.wait(time.Hour)
	w.want() // its driver knows when it goes
	w.announce(devices.Info{ID: "bell", Driver: "pins", Silence: time.Minute, Points: []devices.Point{{Name: "ring", Kind: devices.KindAction, Writable: true}}})
	w.link("bell", true, nil)
	w.wait(time.Hour)
	w.want("1h0m0s appeared bell", "1h0m0s bell online: ") // nothing to read, so its silence means nothing
	if online, why := w.rules.Online("bell"); !online || why != "" {
		t.Errorf("online = %v, %q", online, why)
	}
	if online, why := w.rules.Online("nobody"); online || why == "" {
		t.Errorf("a device that is not there: %v, %q", online, why)
	}
}

// A line has no room for what a device sent instead of a reading; the status of the point has.
func TestPresenceOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	w.announce(greenhouseInfo())
	w.link("greenhouse", true, nil)
	garbage := errors.New(`payload: "\xff\x00{\"battery\"" is not JSON`)
	fault := func(point string, err error) devices.Reading {
		return devices.Reading{Device: "greenhouse", Point: point, Quality: devices.Faulty, Err: err}
	}
	w.step(Change{Readings: []devices.Reading{fault("temperature", garbage), fault("humidity", garbage)}})
	w.want("0s appeared greenhouse", "0s greenhouse online: temperature, humidity unreadable")
	state, _ := w.reg.State("greenhouse")
	if got := w.rules.Device("greenhouse").Summary(state); got != "temperature, humidity unreadable" {
		t.Errorf("summary: %s", got)
	}
	w.wantState("greenhouse", "temperature", "fault: "+garbage.Error())
	w.wait(20 * time.Second)
	w.read("greenhouse", "humidity", num(48))
	w.wait(20 * time.Second)
	w.want("20s greenhouse online: 48 % · temperature unreadable")
	w.step(Change{Readings: []devices.Reading{fault("temperature", errors.New("wire broken"))}})
	w.wait(20 * time.Second)
	w.want("40s greenhouse online: temperature fault: wire broken · 48 %")
}
