package chart

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"testing"
	"time"
)

var (
	from = time.Date(2026, 9, 22, 12, 0, 0, 0, time.UTC)
	to   = from.Add(24 * time.Hour)
)

// base is a chart of a day without readings.
func base() Chart {
	return Chart{Title: "Greenhouse: temperature", Unit: "°C", From: from, To: to, Spans: make([]Span, Columns)}
}

func one(v float64) Span { return Span{Count: 1, Min: v, Mean: v, Max: v, Last: v} }

// fill gives the spans from one on and before another a value.
func (c Chart) fill(first, end int, v float64) Chart {
	for i := first; i < end; i++ {
		c.Spans[i] = one(v)
	}
	return c
}

// picture is the picture, as a client decodes it.
func picture(t *testing.T, c Chart) image.Image {
	t.Helper()
	data, err := c.PNG()
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// where are the places of a chart, as its painter finds them.
func where(t *testing.T, c Chart) *painter {
	t.Helper()
	c.Zone = time.UTC
	p, err := newPainter(&c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// inks counts the pixels of some inks in a part of a picture.
func inks(img image.Image, at image.Rectangle, wanted ...color.RGBA) int {
	n := 0
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			got := color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)
			for _, w := range wanted {
				if got == w {
					n++
				}
			}
		}
	}
	return n
}

// at is the middle of a span, in pixels.
func (p *painter) at(span int) int {
	return int(p.x(time.Duration(float64(p.c.To.Sub(p.c.From)) * (float64(span) + 0.5) / float64(len(p.c.Spans)))))
}

func TestSize(t *testing.T) {
	t.Parallel()
	for _, c := range []Chart{base(), base().fill(0, Columns, 21), {From: from, To: to, Dark: true}} {
		img := picture(t, c)
		if img.Bounds() != image.Rect(0, 0, Width, Height) {
			t.Errorf("it is %v", img.Bounds())
		}
		ground := light.ground
		if c.Dark {
			ground = dark.ground
		}
		if n := inks(img, img.Bounds(), ground); n < Width*Height/2 {
			t.Errorf("%d pixels are of the ground: it has to be one of its own", n)
		}
		if opaque := img.(interface{ Opaque() bool }).Opaque(); !opaque {
			t.Error("what it lies on shines through")
		}
	}
	if _, err := (Chart{From: to, To: from}).PNG(); err == nil {
		t.Error("a time that ends before it begins was drawn")
	}
}

func TestSameBytes(t *testing.T) {
	t.Parallel()
	c := base().fill(10, 200, 21)
	c.Spans[40] = Span{Count: 3, Min: 12, Mean: 20, Max: 30, Last: 21}
	a, errA := c.PNG()
	b, errB := c.PNG()
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Error("the same chart gives other bytes:", errA, errB)
	}
}

// TestLine looks for the line where the readings are, and for nothing where there are none.
func TestLine(t *testing.T) {
	t.Parallel()
	c := base().fill(0, 100, 20).fill(100, 200, 30)
	c = c.fill(260, Columns, 25)
	img, p := picture(t, c), where(t, c)
	for span, v := range map[int]float64{10: 20, 90: 20, 110: 30, 190: 30, 270: 25, Columns - 5: 25} {
		x, y := p.at(span), int(p.y(v))
		if n := inks(img, image.Rect(x, y-1, x+1, y+1), p.line); n == 0 {
			t.Errorf("no line at span %d, value %v", span, v)
		}
	}
	gap := image.Rect(p.at(200)+lineWidth, plotTop, p.at(259)-lineWidth, plotBelow-1)
	if n := inks(img, gap, p.line, p.band); n != 0 || gap.Dx() < 80 {
		t.Errorf("%d pixels of the line in a gap of %d", n, gap.Dx())
	}
	if n := inks(img, gap, p.ground, p.theme.grid, p.day); n != gap.Dx()*gap.Dy() {
		t.Errorf("of the gap's %d pixels %d are empty", gap.Dx()*gap.Dy(), n)
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	c := base().fill(0, Columns, 20)
	c.Spans[100] = Span{Count: 9, Min: 5, Mean: 20, Max: 80, Last: 20}
	img, p := picture(t, c), where(t, c)
	x := p.at(100)
	for _, v := range []float64{10, 40, 70} { // a spike of one span is seen
		if n := inks(img, image.Rect(x-3, int(p.y(v)), x+4, int(p.y(v))+1), p.band); n == 0 {
			t.Errorf("nothing of the spike at %v", v)
		}
	}
}

func TestOneReading(t *testing.T) {
	t.Parallel()
	c := base().fill(170, 171, 72)
	img, p := picture(t, c), where(t, c)
	x, y := p.at(170), int(p.y(72))
	if n := inks(img, image.Rect(x-6, y-6, x+6, y+6), p.line); n < 60 {
		t.Errorf("a single reading is a dot of %d pixels", n)
	}
}

func TestThreshold(t *testing.T) {
	t.Parallel()
	for _, darkly := range []bool{false, true} {
		c := base().fill(0, Columns, 20)
		c.Lines, c.Dark = []Line{{Value: 35, Label: "alert above 35 °C"}}, darkly
		img, p := picture(t, c), where(t, c)
		y := int(math.Round(p.y(35)))
		if n := inks(img, image.Rect(p.x0, y, p.x1, y+1), p.alert); n < (p.x1-p.x0)/2 {
			t.Errorf("the threshold has %d pixels at its height", n)
		}
		if n := inks(img, image.Rect(p.x0, plotTop, p.x1, plotBelow), p.alert); n < 3000 {
			t.Errorf("%d pixels of its colour: has it a label?", n)
		}
		if low, high := p.scale.low, p.scale.high; low > 20 || high < 35 {
			t.Errorf("the axis goes from %v to %v: it has to show the threshold", low, high)
		}
	}
}

// TestLabelKeepsOff: the label of a threshold stands where no reading is, also where that is in the middle.
func TestLabelKeepsOff(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string][][2]int{
		"left": {{0, 170}}, "right": {{170, Columns}}, "both ends": {{0, 110}, {230, Columns}},
	} {
		c := base()
		for _, part := range parts {
			c = c.fill(part[0], part[1], 33)
			c.Spans[part[0]] = Span{Count: 2, Min: 30, Mean: 33, Max: 36, Last: 33}
		}
		c.Lines = []Line{{Value: 33, Label: "33 °C"}}
		p := where(t, c)
		at := p.place(int(p.y(33)), 100)
		for _, r := range p.all {
			if x := int(p.x(r.middle())); x >= at.Min.X && x < at.Max.X && at.Dx() > 0 && at.Min.Y < int(p.y(r.Min)) && at.Max.Y > int(p.y(r.Max)) {
				t.Errorf("readings at %s: the label is at %v, over one", name, at)
				break
			}
		}
		if at.Empty() {
			t.Errorf("readings at %s: there is no label", name)
		}
	}
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	c := base().fill(0, 100, 0).fill(100, 150, 1).fill(150, 250, 0)
	c.On, c.Off = "on", "off"
	img, p := picture(t, c), where(t, c)
	for span, want := range map[int]float64{50: 0, 120: 1, 200: 0} {
		x, y := p.at(span), int(p.y(want))
		if n := inks(img, image.Rect(x, y-1, x+1, y+1), p.line); n == 0 {
			t.Errorf("span %d is not at %v", span, want)
		}
		if n := inks(img, image.Rect(x, int(p.y(0.5)), x+1, int(p.y(0.5))+1), p.band); (n > 0) != (want == 1) {
			t.Errorf("span %d: filled %v", span, n > 0)
		}
	}
	if n := inks(img, image.Rect(p.at(250)+lineWidth, plotTop, p.x1, plotBelow-1), p.line, p.band); n != 0 {
		t.Errorf("%d pixels where nothing is known of the switch", n)
	}
}

// TestOddNumbers: whatever a device measures, something is drawn and nothing panics.
func TestOddNumbers(t *testing.T) {
	t.Parallel()
	inf := math.Inf(1)
	for _, v := range []float64{0, -1e-9, 1e-300, 5e-324, 1e300, math.MaxFloat64, -273.15, 1e15, 1234567.25, math.NaN(), inf, -inf} {
		for _, w := range []float64{0, v, -v, v / 2} {
			c := base().fill(0, 10, v).fill(20, 30, w)
			c.Lines = []Line{{Value: v, Label: "here"}}
			picture(t, c)
		}
	}
	c := base()
	c.Title, c.Unit, c.Note = "🌡\x00\n", "m/s² ½", string(make([]rune, 500))
	picture(t, c)
}

func BenchmarkPNG(b *testing.B) {
	c := base()
	for i := range c.Spans {
		v := 20 + 5*math.Sin(float64(i)/20)
		c.Spans[i] = Span{Count: 254, Min: v - 1, Mean: v, Max: v + 1, Last: v}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.PNG(); err != nil {
			b.Fatal(err)
		}
	}
}
