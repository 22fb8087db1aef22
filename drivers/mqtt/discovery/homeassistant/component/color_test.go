package component

import (
	"math"
	"testing"

	"tidings/devices"
)

// TestColors: primaries as the gamut of the conversion has them, which are those that Philips publishes for Hue, and hues as
// anyone's colour wheel has them.
func TestColors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		form  colorForm
		value devices.Value
		want  []float64
	}{
		{xy, devices.Color(255, 0, 0), []float64{0.701, 0.299}},
		{xy, devices.Color(0, 255, 0), []float64{0.172, 0.747}},
		{xy, devices.Color(0, 0, 255), []float64{0.136, 0.04}},
		{xy, devices.Color(255, 255, 255), []float64{0.323, 0.329}},
		{hs, devices.Color(255, 0, 0), []float64{0, 100}},
		{hs, devices.Color(255, 136, 0), []float64{32, 100}},
		{hs, devices.Color(0, 128, 128), []float64{180, 100}},
		{hs, devices.Color(128, 64, 128), []float64{300, 50}},
		{hs, devices.Color(90, 90, 90), []float64{0, 0}},
		{rgbw, devices.Color(255, 255, 255), []float64{0, 0, 0, 255}},
		{rgbw, devices.Color(255, 128, 128), []float64{255, 0, 0, 128}},
		{rgbww, devices.Color(1, 2, 3), []float64{1, 2, 3, 0, 0}},
		{rgb, devices.Color(1, 2, 3), []float64{1, 2, 3}},
	} {
		got, err := test.form.of(test.value)
		if err != nil || len(got) != len(test.want) {
			t.Errorf("%s of %v: %v, %v", colorForms[test.form], test.value, got, err)
			continue
		}
		for i := range got {
			if math.Abs(got[i]-test.want[i]) > 0.02 {
				t.Errorf("%s of %v: %v, want %v", colorForms[test.form], test.value, got, test.want)
			}
		}
	}
	if _, err := rgb.of(devices.Text("red")); err == nil {
		t.Error("a text is a colour")
	}
}

// TestColorsComeBack: what was set and is said again looks the same, as bright as can be where the form has no brightness.
func TestColorsComeBack(t *testing.T) {
	t.Parallel()
	for form, near := range map[colorForm]uint8{rgb: 0, rgbww: 0, hs: 1, xy: 4, rgbw: 60} {
		for _, c := range [][3]uint8{{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 136, 0}, {255, 255, 255}, {12, 34, 255}} {
			n, err := form.of(devices.Color(c[0], c[1], c[2]))
			if err != nil {
				t.Fatal(err)
			}
			r, g, b, _ := form.value(n).Color()
			for i, got := range []uint8{r, g, b} {
				if max(got, c[i])-min(got, c[i]) > near {
					t.Errorf("%s: %v came back as %d %d %d", colorForms[form], c, r, g, b)
					break
				}
			}
		}
	}
	for _, text := range []string{"", "1,2", "1,2,x", "1,2,NaN", "1,2,3,4"} {
		if v, err := rgb.parse(text); err == nil {
			t.Errorf("%q is %v", text, v)
		}
	}
}
