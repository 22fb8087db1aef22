package store

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"tidings/devices"
)

type packed struct {
	at    int64
	value devices.Value
}

func pack(list []packed) []byte {
	var p packer
	for _, r := range list {
		p.add(r.at, r.value)
	}
	return p.data
}

func unpacked(t interface{ Fatal(...any) }, data []byte) (out []packed) {
	if err := unpack(data, func(at int64, v devices.Value) bool {
		out = append(out, packed{at, v})
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// What was packed comes out as it went in, whatever it is.
func TestPacked(t *testing.T) {
	t.Parallel()
	value := rapid.OneOf(
		rapid.Just(devices.Value{}),
		rapid.Map(rapid.Bool(), devices.Bool),
		rapid.Map(rapid.String(), devices.Text),
		rapid.Map(rapid.Float64(), devices.Number),
		rapid.Map(rapid.IntRange(-400, 1000), func(n int) devices.Value { return devices.Number(float64(n) / 10) }),
		rapid.Map(rapid.Int64(), func(n int64) devices.Value { return devices.Number(float64(n)) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		var want []packed
		at := int64(1_700_000_000_000)
		for range rapid.IntRange(0, 50).Draw(t, "readings") {
			at += rapid.OneOf(rapid.Int64Range(900, 1100), rapid.Int64Range(-1<<40, 1<<40)).Draw(t, "later")
			want = append(want, packed{at, value.Draw(t, "value")})
		}
		got := unpacked(t, pack(want))
		if len(got) != len(want) {
			t.Fatalf("%d readings, want %d", len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("reading %d: %v, want %v", i, got[i], want[i])
			}
		}
	})
}

// What sensors measure is small: a temperature every second about three bytes, the same switch again two.
func TestPackedIsSmall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value func(i int) devices.Value
		most  int // bytes of a thousand readings
	}{
		"temperature": {func(i int) devices.Value { return devices.Number(float64(200+i%30) / 10) }, 3200},
		"pressure":    {func(i int) devices.Value { return devices.Number(float64(101325+7*(i%90)) / 100) }, 3700},
		"counter":     {func(i int) devices.Value { return devices.Number(float64(1_000_000 + i)) }, 3200},
		"switch":      {func(i int) devices.Value { return devices.Bool(i%500 == 0) }, 2200},
		"mean":        {func(i int) devices.Value { return devices.Number(math.Sqrt(float64(i))) }, 11000},
	} {
		var list []packed
		for i := range 1000 {
			list = append(list, packed{1_700_000_000_000 + int64(i)*1000 + int64(i*7919%41), c.value(i)})
		}
		if n := len(pack(list)); n > c.most {
			t.Errorf("%s: %d bytes a thousand, want at most %d", name, n, c.most)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(pack([]packed{{1, devices.Number(1)}, {2, devices.Text("a")}, {3, devices.Value{}}, {4, devices.Bool(true)}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		_ = unpack(data, func(int64, devices.Value) bool { n++; return true })
		if n > len(data) {
			t.Errorf("%d readings in %d bytes", n, len(data))
		}
	})
}
