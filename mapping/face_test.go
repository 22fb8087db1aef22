package mapping

import (
	"slices"
	"testing"

	"tidings/devices"
)

func TestFace(t *testing.T) {
	t.Parallel()
	point := func(name, class, unit string) Point { return Point{Name: name, Class: class, Unit: unit} }
	for _, tt := range []struct {
		class   string
		points  []Point
		primary []int
		want    string
	}{
		{"light", []Point{point("temperature", "", "°C")}, []int{0}, "light"},
		{"spaceship", nil, nil, "spaceship"}, // whoever has pictures knows of no such
		{"sensor", nil, nil, "sensor"},
		{"sensor", []Point{point("x", "", "furlong"), point("t", "", "°C")}, []int{0}, "temperature"},
		{"sensor", []Point{point("h", "humidity", "%"), point("t", "temperature", "°C")}, []int{1, 0}, "temperature"},
		{"sensor", []Point{point("open", "window", "")}, []int{0}, "window"},
		{"switch", []Point{{Name: "power", Kind: devices.KindSwitch, Writable: true}}, []int{0}, "switch"},
		{"switch", []Point{point("t", "", "°C"), {Name: "pump", Kind: devices.KindSwitch, Writable: true}}, []int{0}, "temperature"},
		{"switch", []Point{point("pump", "", "")}, []int{0}, "switch"},
		{"switch", []Point{{Name: "power", Class: "outlet", Kind: devices.KindSwitch, Writable: true}}, []int{0}, "outlet"},
	} {
		d := Device{Class: tt.class, Points: tt.points, Primary: tt.primary}
		if got := d.Face(); got != tt.want {
			t.Errorf("%s %v: %s, want %s", tt.class, tt.points, got, tt.want)
		}
	}
	for class := range pointFaces {
		_, number := numberClasses[class]
		_, onOff := switchClasses[class]
		if !number && !onOff && !slices.Contains(otherClasses, class) {
			t.Errorf("there is no class %s", class)
		}
	}
}
