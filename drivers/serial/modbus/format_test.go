package modbus

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ, order, data string
		want             float64
	}{
		{"", "", "FF 38", 65336},
		{"int16", "", "FF 33", -205}, // XY-MD02's manual: -20.5 °C
		{"uint16", "BADC", "38 FF", 65336},
		{"int16", "DCBA", "33 FF", -205},
		{"float32", "ABCD", "43 66 33 34", 230.20001}, // Eastron's manual: 230.2 V
		{"float32", "CDAB", "33 34 43 66", 230.20001},
		{"float32", "BADC", "66 43 34 33", 230.20001},
		{"float32", "DCBA", "34 33 66 43", 230.20001},
		{"uint32", "", "00 01 86 A0", 100000},
		{"int32", "CDAB", "FF FE FF FF", -2},
		{"int64", "", "FF FF FF FF FF FF FF FE", -2},
		{"uint64", "CDAB", "00 04 00 03 00 02 00 01", 0x0001_0002_0003_0004},
		{"uint64", "DCBA", "04 00 03 00 02 00 01 00", 0x0001_0002_0003_0004},
		{"float64", "ABCD", "3F F8 00 00 00 00 00 00", 1.5},
		{"bit:0", "", "00 01", 1},
		{"bit:15", "", "80 00", 1},
		{"bit:3", "", "FF F7", 0},
		{"bit:8", "BADC", "00 01", 1},
		{"bit:8", "DCBA", "00 01", 1},
		{"bit:0", "BADC", "01 00", 1},
	} {
		f, err := ParseFormat(c.typ, c.order)
		if err != nil {
			t.Errorf("%s %s: %v", c.typ, c.order, err)
			continue
		}
		data := raw(c.data)
		if 2*f.Registers() != len(data) {
			t.Errorf("%s: %d registers", f, f.Registers())
			continue
		}
		if got := f.Number(data); math.Abs(got-c.want) > 1e-5 {
			t.Errorf("%s %s: % X is %v, want %v", c.typ, c.order, data, got, c.want)
		}
		if f.Type == Bit {
			continue
		}
		if back, err := f.Append(nil, c.want); err != nil || string(back) != string(data) {
			t.Errorf("%s %s: %v makes % X (%v), want % X", c.typ, c.order, c.want, back, err, data)
		}
	}
	for _, c := range [][2]string{{"int8", ""}, {"bit", ""}, {"bit:16", ""}, {"bit:-1", ""}, {"bit:x", ""}, {"float32", "abcd"}, {"byte:1", ""}} {
		if f, err := ParseFormat(c[0], c[1]); err == nil {
			t.Errorf("%q %q: %v", c[0], c[1], f)
		}
	}
}

func TestNumbersThatDoNotFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ    string
		number float64
		want   string
	}{
		{"uint16", -1, "-1 does not fit into uint16, which holds 0 to 65535"},
		{"uint16", 65536, "65536 does not fit into uint16, which holds 0 to 65535"},
		{"int16", 32768, "32768 does not fit into int16, which holds -32768 to 32767"},
		{"uint16", math.NaN(), "NaN does not fit into uint16, which holds 0 to 65535"},
		{"float32", 3.4028236e38, "3.4028236e+38 does not fit into float32, which holds -3.4028234663852886e+38 to 3.4028234663852886e+38"},
		{"float32", math.NaN(), "NaN does not fit into float32, which holds -3.4028234663852886e+38 to 3.4028234663852886e+38"},
		{"float32", 1e39, "1e+39 does not fit into float32, which holds -3.4028234663852886e+38 to 3.4028234663852886e+38"},
		{"float64", math.Inf(1), "+Inf does not fit into float64, which holds -1.7976931348623157e+308 to 1.7976931348623157e+308"},
		{"bit:2", 2, "2 does not fit into bit:2, which holds 0 to 1"},
	} {
		f, err := ParseFormat(c.typ, "")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Append(nil, c.number); err == nil || err.Error() != c.want {
			t.Errorf("%v as %s: % X %v, want %s", c.number, c.typ, got, err, c.want)
		}
	}
	float := Format{Type: Float32}
	for _, number := range []float64{21.3, 0.1, -1e-20, 16777217, 1e30, widen(math.MaxFloat32), widen(-math.MaxFloat32), widen(math.SmallestNonzeroFloat32)} {
		if got, err := float.Append(nil, number); err != nil || float.Number(got) != number && number != 16777217 {
			t.Errorf("%v reads back as %v %v", number, float.Number(got), err)
		}
	}
	f := Format{Type: Uint16}
	if got, err := f.Append(nil, 215.00000000000003); err != nil || f.Number(got) != 215 {
		t.Errorf("a number that arithmetic has blurred: % X %v", got, err)
	}
}

// TestNumbersReadBack: what is written reads back as the same, in every type and order.
func TestNumbersReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := Format{
			Type:  Type(rapid.IntRange(0, int(Bit)).Draw(t, "type")),
			Bit:   uint8(rapid.IntRange(0, 15).Draw(t, "bit")),
			Order: Order(rapid.IntRange(0, 3).Draw(t, "order")),
		}
		low, high := f.limits()
		number := rapid.Float64Range(low, high).Draw(t, "number")
		switch f.Type {
		case Float64:
		case Float32:
			number = widen(rapid.Float32().Draw(t, "float32"))
		default:
			number = math.Round(number)
		}
		data, err := f.Append(nil, number)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) != 2*f.Registers() {
			t.Fatalf("%d bytes", len(data))
		}
		if got := f.Number(data); got != number {
			t.Fatalf("%s: %v reads back as %v (% X)", f, number, got, data)
		}
	})
}

func BenchmarkNumber(b *testing.B) {
	data := raw("33 34 43 66")
	f := Format{Type: Float32, Order: CDAB}
	b.ReportAllocs()
	for b.Loop() {
		if f.Number(data) < 230 {
			b.Fatal("not the number")
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	var buf [8]byte
	f := Format{Type: Float32, Order: CDAB}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Append(buf[:0], 230.2); err != nil {
			b.Fatal(err)
		}
	}
}
