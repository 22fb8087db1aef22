package devices

import (
	"math"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    Value
		kind ValueKind
		text string
	}{
		{Value{}, None, ""},
		{Number(math.NaN()), None, ""},
		{Number(math.Inf(-1)), None, ""},
		{Number(21.5), NumberKind, "21.5"},
		{Number(math.Copysign(0, -1)), NumberKind, "0"},
		{Number(-0.000001), NumberKind, "-0.000001"},
		{Number(1e-9), NumberKind, "1e-09"},
		{Number(100000), NumberKind, "100000"},
		{Bool(true), BoolKind, "true"},
		{Bool(false), BoolKind, "false"},
		{Text(""), TextKind, ""},
		{Text("é"), TextKind, "é"},
		{Color(255, 8, 0), ColorKind, "#ff0800"},
		{Color(0, 0, 0), ColorKind, "#000000"},
		{Time(time.Date(2026, 11, 26, 1, 2, 3, 4e6, time.FixedZone("", 3600))), TimeKind, "2026-11-26T00:02:03.004Z"},
		{Time(time.Unix(0, 0)), TimeKind, "1970-01-01T00:00:00Z"},
		{Time(time.Time{}), None, ""},
	} {
		if c.v.Kind() != c.kind || c.v.String() != c.text || c.v.IsZero() != (c.kind == None) {
			t.Errorf("%#v: kind %d, text %q", c.v, c.v.Kind(), c.v)
		}
	}
	if Number(0) != Number(math.Copysign(0, -1)) || Bool(false) == Number(0) || Text("") == (Value{}) {
		t.Error("values that are the same are equal, and no others")
	}
	if _, ok := Bool(true).Number(); ok {
		t.Error("a boolean is no number")
	}
}

// What a number is written as reads back as the same number.
func TestNumberReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Draw(t, "f")
		v := Number(f)
		if v.IsZero() {
			return
		}
		back, err := ParseValue(KindNumber, v.String())
		if err != nil || back != v {
			t.Fatalf("%s read back as %s, %v", v, back, err)
		}
	})
}

func TestParseValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind PointKind
		in   string
		want Value
		ok   bool
	}{
		{KindNumber, " 21.5\n", Number(21.5), true},
		{KindNumber, "-1e3", Number(-1000), true},
		{KindNumber, "nan", Value{}, false},
		{KindNumber, "inf", Value{}, false},
		{KindNumber, "1e999", Value{}, false},
		{KindNumber, "0x10", Value{}, false},
		{KindNumber, "1_000", Value{}, false},
		{KindNumber, "", Value{}, false},
		{KindNumber, "on", Value{}, false},
		{KindSwitch, "ON", Bool(true), true},
		{KindSwitch, " closed ", Bool(false), true},
		{KindSwitch, "1", Bool(true), true},
		{KindSwitch, "2", Value{}, false},
		{KindSwitch, "", Value{}, false},
		{KindText, " kept ", Text(" kept "), true},
		{KindChoice, "eco", Text("eco"), true},
		{KindColor, " #FF8800 ", Color(255, 136, 0), true},
		{KindColor, "255,136, 0", Color(255, 136, 0), true},
		{KindColor, "256,0,0", Value{}, false},
		{KindColor, "#ff880", Value{}, false},
		{KindColor, "red", Value{}, false},
		{KindTime, "2026-11-26T01:02:03Z", Time(time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC)), true},
		{KindTime, "2026-11-26T01:02:03.25+01:00", Time(time.Date(2026, 11, 26, 0, 2, 3, 250e6, time.UTC)), true},
		{KindTime, "2026-11-26", Time(time.Date(2026, 11, 26, 0, 0, 0, 0, time.Local)), true},
		{KindTime, "1700000000", Time(time.Unix(1700000000, 0)), true},
		{KindTime, "1e300", Value{}, false},
		{KindTime, "soon", Value{}, false},
		{KindEvent, "double", Text("double"), true},
	} {
		got, err := ParseValue(c.kind, c.in)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%s %q: %#v, %v", c.kind, c.in, got, err)
		}
	}
}

func TestPointKindWords(t *testing.T) {
	t.Parallel()
	for _, word := range PointKinds() {
		if k, err := ParsePointKind(word); err != nil || k.String() != word {
			t.Errorf("%s: %v, %v", word, k, err)
		}
	}
	if _, err := ParsePointKind("colour"); err == nil {
		t.Error("a kind there is none of: no error")
	}
}

func FuzzParseValue(f *testing.F) {
	for _, s := range []string{"1", "on", "", "1e400", "\xff", "-.5e-7"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for k := range PointKinds() {
			v, err := ParseValue(PointKind(k), s)
			if n, ok := v.Number(); ok && (math.IsNaN(n) || math.IsInf(n, 0)) {
				t.Errorf("%q: %v", s, n)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("%s: an error of %d bytes", strconv.Quote(s), len(err.Error()))
			}
		}
	})
}
