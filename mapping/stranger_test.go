package mapping

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"tidings/devices"
)

// TestSteps: whatever step and range a device announces, a number that is set is a number, and within the range.
func TestSteps(t *testing.T) {
	t.Parallel()
	for _, step := range []float64{0, 1, -1, 1e-300, math.SmallestNonzeroFloat64, 1e300, math.MaxFloat64, math.Inf(1), math.NaN()} {
		for _, span := range []Span{{}, {0, 100}, {-1e308, 1e308}, {-math.MaxFloat64, math.MaxFloat64}, {1e-300, 2e-300}, {100, 0}} {
			p := Point{Name: "p", Label: "P", Kind: devices.KindNumber, Writable: true, Step: step, Range: span, Scale: 1}
			for _, f := range []float64{0, 21.5, 1e308, -1e308, 1.5e-300, span.Low, span.High} {
				v, err := p.Check(devices.Number(f))
				if err != nil {
					continue
				}
				if got, ok := v.Number(); !ok || math.IsNaN(got) || math.IsInf(got, 0) || !span.Contains(got) {
					t.Errorf("step %g, %v: %g becomes %v", step, span, f, v)
				}
			}
		}
	}
}

// TestManyOptions: what is said of a point stays a line, however many options it has.
func TestManyOptions(t *testing.T) {
	t.Parallel()
	p := Point{Name: "p", Label: "P", Kind: devices.KindChoice, Writable: true, Readable: true}
	for i := range 10_000 {
		p.Options = append(p.Options, fmt.Sprint(strings.Repeat("o", 200), i))
	}
	_, err := p.Parse("none of them")
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("%d bytes", len(fmt.Sprint(err)))
	}
	r := p.FromRaw(devices.Reading{Value: devices.Text("none of them")})
	if r.Err == nil || len(r.Err.Error()) > 1000 {
		t.Errorf("%d bytes", len(fmt.Sprint(r.Err)))
	}
}
