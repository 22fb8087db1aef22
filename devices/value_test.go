package devices

import (
	"math"
	"strconv"
	"testing"

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
