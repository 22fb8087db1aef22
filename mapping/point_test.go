package mapping

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidings/devices"
)

// point is a writable point of the house with changes.
func point(kind devices.PointKind, change func(*Point)) *Point {
	p := mergePoint(&devices.Point{Name: "target", Kind: kind, Readable: true, Writable: true, Confirms: true}, nil, "")
	if change != nil {
		change(&p)
	}
	return &p
}

func number(change func(*Point)) *Point { return point(devices.KindNumber, change) }

func sw(class string) *Point {
	return point(devices.KindSwitch, func(p *Point) { p.Class = class })
}

func choice(options ...string) *Point {
	return point(devices.KindChoice, func(p *Point) { p.Options = options })
}

func celsius(p *Point) { p.Unit, p.Range, p.Step = "°C", Span{5, 30}, 0.5 }

func TestFormat(t *testing.T) {
	t.Parallel()
	unit := func(unit string, precision int) *Point {
		return number(func(p *Point) { p.Unit, p.Precision = unit, precision })
	}
	for _, c := range []struct {
		point *Point
		value devices.Value
		want  string
	}{
		{unit("°C", 1), num(21.44), "21.4 °C"},
		{unit("°C", 1), num(-0.04), "0.0 °C"},
		{unit("°C", 0), num(-0.6), "-1 °C"},
		{unit("%", -1), num(48), "48 %"},
		{unit("", -1), num(1234.5), "1234.5"},
		{unit("°", 0), num(270), "270°"},
		{sw(""), boo(true), "on"},
		{sw(""), boo(false), "off"},
		{sw("door"), boo(true), "open"},
		{sw("window"), boo(false), "closed"},
		{sw("lock"), boo(false), "locked"},
		{sw("motion"), boo(true), "motion"},
		{choice("Auto"), devices.Text("Auto"), "Auto"},
		{point(devices.KindText, nil), devices.Text("a\nb\x00"), "a b "},
		{point(devices.KindText, nil), devices.Text(strings.Repeat("ä", 500)), strings.Repeat("ä", 60) + "…"},
		{point(devices.KindText, nil), devices.Text("\xff"), "�"},
		{unit("°C", 1), devices.Value{}, "unknown"},
	} {
		if got := c.point.Format(c.value); got != c.want {
			t.Errorf("Format(%v) = %q, want %q", c.value, got, c.want)
		}
	}
}

func TestFormatState(t *testing.T) {
	t.Parallel()
	p := number(celsius)
	for _, c := range []struct {
		state devices.PointState
		want  string
	}{
		{devices.PointState{}, "no reading yet"},
		{devices.PointState{Value: num(21.5), At: time.Now()}, "21.5 °C"},
		{devices.PointState{Quality: devices.Unknown, At: time.Now()}, "unknown"},
		{devices.PointState{Quality: devices.Stale, At: time.Now()}, "out of date"},
		{devices.PointState{Quality: devices.Faulty, At: time.Now()}, "fault"},
		{devices.PointState{Quality: devices.Faulty, At: time.Now(), Err: errors.New("wire broken")}, "fault: wire broken"},
	} {
		if got := p.FormatState(c.state); got != c.want {
			t.Errorf("FormatState(%+v) = %q, want %q", c.state, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		point *Point
		typed string
		want  devices.Value // zero: an error that holds
		err   string
	}{
		{number(celsius), "21.5", num(21.5), ""},
		{number(celsius), " 21,5 °C ", num(21.5), ""},
		{number(celsius), "21.5C", num(21.5), ""},
		{number(celsius), "−3", num(-3), ""},
		{number(celsius), "70 °F", num(21.11), ""},
		{number(celsius), "70 W", devices.Value{}, "give a number in °C"},
		{number(celsius), "warm", devices.Value{}, "give a number in °C"},
		{number(celsius), "", devices.Value{}, "such as 5 °C"},
		{number(celsius), "1,000.5", devices.Value{}, "such as 5 °C"},
		{number(celsius), "1e400", devices.Value{}, "give a number"},
		{number(nil), "NaN", devices.Value{}, "give a number alone"},
		{number(nil), "12 W", devices.Value{}, "give a number alone"},
		{number(func(p *Point) { p.Unit = "%" }), "48%", num(48), ""},
		{number(func(p *Point) { p.Unit = "m³" }), "2 m3", num(2), ""},
		{sw(""), "ON", boo(true), ""},
		{sw(""), "off", boo(false), ""},
		{sw(""), "open", devices.Value{}, `say "on" or "off"`},
		{sw("door"), "Open", boo(true), ""},
		{sw("door"), "close", boo(false), ""},
		{sw("door"), "off", boo(false), ""},
		{sw("lock"), "lock", boo(false), ""},
		{sw("lock"), "unlocked", boo(true), ""},
		{sw("lock"), "maybe", devices.Value{}, `say "unlocked" or "locked"`},
		{choice("Auto", "Heat"), "auto", devices.Text("Auto"), ""},
		{choice("a", "A"), "A", devices.Text("A"), ""},
		{choice("Auto", "Heat"), "cool", devices.Value{}, "choose one of Auto, Heat"},
		{point(devices.KindText, nil), "Hello ", devices.Text("Hello"), ""},
		{point(devices.KindAction, nil), "whatever", boo(true), ""},
	} {
		got, err := c.point.Parse(c.typed)
		if got != c.want || (err != nil) != c.want.IsZero() {
			t.Errorf("Parse(%q) = %v, %v, want %v", c.typed, got, err, c.want)
		}
		if err != nil && (!errors.Is(err, devices.ErrValue) || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("Parse(%q): %v, want %q in it", c.typed, err, c.err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	readOnly := number(func(p *Point) { p.Writable = false })
	odd := number(func(p *Point) { p.Range, p.Step = Span{0, 10}, 4 })
	for _, c := range []struct {
		point *Point
		value devices.Value
		want  devices.Value
		err   error
		text  string
	}{
		{number(celsius), num(21.3), num(21.5), nil, ""},
		{number(celsius), num(30), num(30), nil, ""},
		{number(celsius), num(45), devices.Value{}, devices.ErrRange, "target: 45 °C is out of range: it takes 5 °C to 30 °C"},
		{number(celsius), boo(true), devices.Value{}, devices.ErrValue, "give a number such as 5 °C"},
		{number(celsius), devices.Value{}, devices.Value{}, devices.ErrValue, ""},
		{odd, num(10), num(8), nil, ""},
		{number(func(p *Point) { p.Step = 0.1 }), num(21.34), num(21.3), nil, ""},
		{readOnly, num(1), devices.Value{}, devices.ErrNotWritable, "target is read only"},
		{sw(""), boo(true), boo(true), nil, ""},
		{sw(""), devices.Text("on"), boo(true), nil, ""},
		{sw(""), num(7), devices.Value{}, devices.ErrValue, ""},
		{choice("Auto", "Heat"), devices.Text("heat"), devices.Text("Heat"), nil, ""},
		{choice("Auto", "Heat"), devices.Text("cool"), devices.Value{}, devices.ErrValue, "choose one of"},
		{point(devices.KindText, nil), devices.Text("hi"), devices.Text("hi"), nil, ""},
		{point(devices.KindText, nil), devices.Text("hi\nrelay=on"), devices.Value{}, devices.ErrValue, "line break"},
		{point(devices.KindText, nil), devices.Text(strings.Repeat("x", maxText+1)), devices.Value{}, devices.ErrValue, "longer than"},
		{point(devices.KindText, nil), num(1), devices.Value{}, devices.ErrValue, "give a text"},
		{point(devices.KindAction, nil), devices.Value{}, boo(true), nil, ""},
	} {
		got, err := c.point.Check(c.value)
		if got != c.want || !errors.Is(err, c.err) || c.err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("Check(%v) = %v, %v, want %v, %v (%s)", c.value, got, err, c.want, c.err, c.text)
		}
	}
}

func TestFromRaw(t *testing.T) {
	t.Parallel()
	tenths := number(func(p *Point) { p.Unit, p.Scale, p.Min, p.Max, p.Precision = "°C", 0.1, -40, 80, 1 })
	for _, c := range []struct {
		point *Point
		value devices.Value
		want  devices.Value
		fault string
	}{
		{tenths, num(214), num(21.4), ""},
		{tenths, num(-401), devices.Value{}, "target: -40.1 °C is below -40.0 °C"},
		{tenths, num(801), devices.Value{}, "target: 80.1 °C is above 80.0 °C"},
		{tenths, boo(true), devices.Value{}, `target: the device said "true", which is not a number`},
		{tenths, devices.Value{}, devices.Value{}, "target: the device said nothing, which is not a number"},
		{number(func(p *Point) { p.Scale = 1e300 }), num(1e300), devices.Value{}, "target: too large to be"},
		{sw(""), boo(false), boo(false), ""},
		{sw(""), num(1), devices.Value{}, "neither on nor off"},
		{choice("Auto", "Heat"), devices.Text("HEAT"), devices.Text("Heat"), ""},
		{choice("Auto", "Heat"), devices.Text("dry"), devices.Value{}, "which is none of Auto, Heat"},
		{choice("Auto"), num(1), devices.Value{}, "none of"},
		{choice(), devices.Text("anything"), devices.Text("anything"), ""},
		{point(devices.KindText, nil), num(7), devices.Text("7"), ""},
		{point(devices.KindText, nil), devices.Text(strings.Repeat("ä", maxText)), devices.Text(strings.Repeat("ä", maxText/2)), ""},
		{point(devices.KindAction, nil), boo(true), boo(true), ""},
	} {
		got := c.point.FromRaw(devices.Reading{Value: c.value})
		fault := ""
		if got.Err != nil {
			fault = got.Err.Error()
		}
		if got.Value != c.want || (got.Quality == devices.Faulty) != (c.fault != "") || !strings.Contains(fault, c.fault) {
			t.Errorf("FromRaw(%v) = %+v, want %v %q", c.value, got, c.want, c.fault)
		}
	}
	unknown := devices.Reading{Quality: devices.Unknown, Value: num(3)}
	if got := tenths.FromRaw(unknown); got.Quality != devices.Unknown || !got.Value.IsZero() {
		t.Errorf("an unknown reading became %+v", got)
	}
}

func TestToRawUndoesFromRaw(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := number(func(p *Point) {
			p.Scale = rapid.SampledFrom([]float64{1, 0.1, 0.01, 0.001, 0.5, -1, 2.54, 100, 1.0 / 3}).Draw(t, "scale")
			p.Offset = float64(rapid.IntRange(-1000, 1000).Draw(t, "offset")) / 10
		})
		raw := float64(rapid.IntRange(-1_000_000, 1_000_000).Draw(t, "raw"))
		mapped := p.FromRaw(devices.Reading{Value: num(raw)})
		back, ok := p.ToRaw(mapped.Value).Number()
		if !ok || math.Abs(back-raw) > 1e-5 || p.Scale != 1.0/3 && p.Scale >= 0.01 && back != raw {
			t.Fatalf("%v became %v and came back as %v (scale %v, offset %v)", raw, mapped.Value, back, p.Scale, p.Offset)
		}
		if !p.Same(mapped.Value, mapped.Value) {
			t.Fatalf("%v is not the same as itself", mapped.Value)
		}
	})
}

func TestSame(t *testing.T) {
	t.Parallel()
	tenths := number(func(p *Point) { p.Scale = 0.1 })
	for _, c := range []struct {
		point      *Point
		asked, got devices.Value
		want       bool
	}{
		{number(celsius), num(21.5), num(21.75), true},
		{number(celsius), num(21.5), num(21.76), false},
		{number(func(p *Point) { p.Precision = 1 }), num(21.4), num(21.44), true},
		{number(nil), num(21.4), num(21.44), false},
		{number(nil), num(0.3), num(0.1 + 0.2), true},
		{tenths, num(21.43), num(21.4), true},
		{tenths, num(21.43), num(21.3), false},
		{sw(""), boo(true), boo(true), true},
		{sw(""), boo(true), boo(false), false},
		{sw(""), boo(true), devices.Value{}, false},
		{sw(""), devices.Value{}, devices.Value{}, false},
		{choice("Auto"), devices.Text("Auto"), devices.Text("auto"), true},
		{point(devices.KindText, nil), devices.Text("a"), devices.Text("A"), false},
		{number(nil), num(1), boo(true), false},
	} {
		if got := c.point.Same(c.asked, c.got); got != c.want {
			t.Errorf("Same(%v, %v) = %v", c.asked, c.got, got)
		}
	}
}

// What Parse accepts, Check can round, Format can write, and Parse reads again as the same value.
func FuzzParse(f *testing.F) {
	points := []*Point{number(celsius), number(nil), sw("lock"), choice("Auto", "auto "), point(devices.KindText, nil), point(devices.KindAction, nil)}
	for _, s := range []string{"21,5 °C", "on", "unlocked", "auto", "-0", "1e9", "٣", "\x00", "1.2.3", "+5", "−−1"} {
		f.Add(s, uint8(0))
	}
	f.Fuzz(func(t *testing.T, s string, n uint8) {
		for _, p := range append(points[int(n)%len(points):], points...) {
			v, err := p.Parse(s)
			if err != nil {
				if !errors.Is(err, devices.ErrValue) {
					t.Fatalf("Parse(%q): %v", s, err)
				}
				continue
			}
			if v, err = p.Check(v); err != nil {
				continue
			}
			text := p.Format(v)
			if again, err := p.Parse(text); p.Kind == devices.KindNumber && (err != nil || !p.Same(v, again)) {
				t.Fatalf("%q is %v, written %q, read again %v, %v", s, v, text, again, err)
			}
			if got := p.FromRaw(devices.Reading{Value: p.ToRaw(v)}); got.Quality == devices.Good && !p.Same(v, got.Value) && p.Kind == devices.KindNumber {
				t.Fatalf("%v came back as %v", v, got.Value)
			}
		}
	})
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 ms", 0: "0 ms", 500 * time.Millisecond: "500 ms", 45 * time.Second: "45 s", 2*time.Second + 300*time.Millisecond: "2 s",
		90 * time.Second: "1 min 30 s", 2 * time.Minute: "2 min", 2*time.Minute + 10*time.Second: "2 min",
		90 * time.Minute: "1 h 30 min", 3 * time.Hour: "3 h", 11*time.Hour + 59*time.Minute: "11 h",
		72 * time.Hour: "3 d", 26 * time.Hour: "1 d 2 h", 24*time.Hour + time.Minute: "1 d",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house)
	w.announce(greenhouseInfo())
	d := w.rules.Device("greenhouse")
	if d.Name != "Greenhouse" || d.Location != "Garden" || d.Class != "switch" || d.OfflineAfter != 2*time.Minute || d.Settle != 10*time.Second {
		t.Errorf("device = %+v", d)
	}
	if !slices.Equal(d.Primary, []int{0, 1}) {
		t.Errorf("primary = %v", d.Primary)
	}
	temperature := d.Point("temperature")
	if temperature.Unit != "°C" || temperature.Label != "Temperature" || temperature.Scale != 0.1 || temperature.Writable {
		t.Errorf("temperature = %+v", temperature)
	}
	if p := d.Point("pump"); !p.Danger || !p.Confirms || p.ConfirmWithin != 2*time.Second || p.Safe != boo(false) {
		t.Errorf("pump = %+v", p)
	}
	if d.Point("nothing") != nil || w.rules.Device("nobody") != nil {
		t.Error("found what is not there")
	}
	w.announce(devices.Info{ID: "mqtt:0x1", Driver: "house", Points: []devices.Point{{Name: "soil_moisture", Unit: "μS/cm", Readable: true}}, Silence: time.Hour})
	d = w.rules.Device("mqtt:0x1")
	if d.Name != "mqtt:0x1" || d.OfflineAfter != time.Hour || d.Settle != defaultSettle || d.Class != "sensor" {
		t.Errorf("a device without configuration = %+v", d)
	}
	if p := &d.Points[0]; p.Label != "Soil moisture" || p.Unit != "µS/cm" || p.Precision != -1 {
		t.Errorf("its point = %+v", p)
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house+`
[devices.main-valve]
driver = "attic"
class = "valve"
[devices.main-valve.points.water_valve]
kind = "switch"
class = "valve"
[devices.main-valve.points.open]
kind = "switch"
[devices.main-valve.points.lock]
kind = "switch"
class = "lock"
`)
	names := func(d *Device) string {
		var out []string
		for _, a := range d.Actions() {
			s := a.Node + "=" + a.Name
			if a.Confirm {
				s += "?"
			}
			if a.Really {
				s += "!"
			}
			if a.Ask != a.Value.IsZero() {
				t.Errorf("%s asks for a value and has one, or neither", a.Node)
			}
			out = append(out, s)
		}
		return strings.Join(out, ", ")
	}
	w.announce(greenhouseInfo())
	const greenhouse = "pump/on=Pump on?, pump/on/really=Really pump on!, pump/off=Pump off?, pump/off/really=Really pump off!, target/set=Set target…, mode/set=Set mode…"
	if got := names(w.rules.Device("greenhouse")); got != greenhouse {
		t.Errorf("greenhouse: %s", got)
	}
	w.announce(doorInfo())
	if got := names(w.rules.Device("front-door")); got != "bell/do=Bell" {
		t.Errorf("front-door: %s", got)
	}
	valve := devices.Info{ID: "main-valve"}
	for _, name := range []string{"water_valve", "open", "lock"} {
		valve.Points = append(valve.Points, devices.Point{Name: name, Kind: devices.KindSwitch, Writable: true})
	}
	w.announce(valve)
	if got := names(w.rules.Device("main-valve")); got != "water_valve/on=Open water valve, water_valve/off=Close water valve, open/on=Open, open/off=Close, lock/on=Unlock, lock/off=Lock" {
		t.Errorf("main-valve: %s", got)
	}
}
