package chart

import (
	"bytes"
	"fmt"
	"image/png"
	"math"
	"time"
)

// Width and Height are the size of every chart, in pixels.
const (
	Width  = 800
	Height = 400
)

// Columns is how many spans a chart has room for: one is two pixels wide. More are drawn, to no use.
const Columns = 340

// A Chart is what a picture shows. Its zero value is an empty one.
type Chart struct {
	Title string // of what: "Greenhouse: temperature"; cut to what fits
	Note  string // the essence in words, under the title: "min 18.2 · mean 21.4 · max 31 °C"
	Unit  string // of the numbers; empty: none

	From, To time.Time      // what the axis shows
	Zone     *time.Location // of the clock on the axis; nil: UTC

	// Spans cut the time from From to To into equal parts, oldest first.
	Spans []Span
	// On and Off are the states of a switch, whose spans are of zeros and ones. Empty: it is a number.
	On, Off string

	Lines []Line
	Dark  bool
}

// A Span sums up what was known in some time. Where nothing was (Count is 0) nothing is drawn.
type Span struct {
	Count                int
	Min, Mean, Max, Last float64
}

// A Line is a threshold across the chart.
type Line struct {
	Value float64
	Label string // "alert above 35 °C"; empty: none
}

// PNG draws the chart. It fails for a time that ends before it begins.
func (c Chart) PNG() ([]byte, error) {
	if !c.To.After(c.From) {
		return nil, fmt.Errorf("chart: from %v to %v is no time", c.From, c.To)
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	p, err := newPainter(&c)
	if err != nil {
		return nil, err
	}
	p.frame()
	p.grid()
	p.series()
	p.words()
	p.lines()
	var out bytes.Buffer
	err = png.Encode(&out, p.canvas.img)
	return out.Bytes(), err
}

// number reports whether the chart is of a number.
func (c *Chart) number() bool { return c.On == "" && c.Off == "" }

// A reading is a span that has some, and when it is.
type reading struct {
	Span
	index      int           // among the spans
	start, end time.Duration // since From
}

func (r reading) middle() time.Duration { return (r.start + r.end) / 2 }

// readings are the spans with something in them that can be drawn.
func (c *Chart) readings() []reading {
	total := c.To.Sub(c.From)
	var out []reading
	for i, s := range c.Spans {
		if s.Count > 0 && finite(s.Min, s.Mean, s.Max, s.Last) {
			n := float64(len(c.Spans))
			out = append(out, reading{s, i, time.Duration(float64(total) * float64(i) / n), time.Duration(float64(total) * float64(i+1) / n)})
		}
	}
	return out
}

func finite(numbers ...float64) bool {
	for _, f := range numbers {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return false
		}
	}
	return true
}

// runs cuts readings where nothing was known in between.
func runs(all []reading) [][]reading {
	var out [][]reading
	start := 0
	for i := 1; i <= len(all); i++ {
		if i == len(all) || all[i].index > all[i-1].index+1 {
			out = append(out, all[start:i])
			start = i
		}
	}
	return out
}
