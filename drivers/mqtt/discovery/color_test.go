package discovery

import (
	"testing"

	"tidings/devices"
)

func TestHSV(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ r, g, b uint8 }{{255, 0, 0}, {0, 128, 0}, {0, 0, 0}, {255, 255, 255}, {12, 200, 99}, {255, 0, 1}} {
		h, s, v := ToHSV([3]float64{float64(c.r), float64(c.g), float64(c.b)})
		if got := RGB(HSV(h, s, v)); got != devices.Color(c.r, c.g, c.b) {
			t.Errorf("%v: %v %v %v is %v", c, h, s, v, got)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	if n, ok := Numbers("1, 2.5,-3", 3); !ok || n[0] != 1 || n[1] != 2.5 || n[2] != -3 {
		t.Error(n, ok)
	}
	for _, text := range []string{"", "1,2", "1,2,3,4", "1,2,", "1,2,x", "nan,1,1", "1,inf,1"} {
		if n, ok := Numbers(text, 3); ok {
			t.Errorf("%q: %v", text, n)
		}
	}
}
