package chart

import (
	"image"
	"image/color"
	"math"
	"time"

	"golang.org/x/image/font"
)

// A theme is the inks of a chart. Text is at least 4.5:1 against its ground (WCAG 2.2 §1.4.3), what is drawn 3:1.
type theme struct {
	ground, frame, grid, day color.RGBA
	text, muted              color.RGBA
	line, band, alert, onPin color.RGBA // band lies over the ground; onPin is the text on a label of the alert's colour
}

func rgb(hex uint32) color.RGBA {
	return color.RGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 255}
}

var (
	light = theme{ground: rgb(0xffffff), frame: rgb(0x9aa3ae), grid: rgb(0xe3e7ec), day: rgb(0xb4bdc8),
		text: rgb(0x1b1f24), muted: rgb(0x57606a), line: rgb(0x0b62c4), band: rgb(0x90c0f2), alert: rgb(0xc62828), onPin: rgb(0xffffff)}
	dark = theme{ground: rgb(0x16191d), frame: rgb(0x59626d), grid: rgb(0x2b3138), day: rgb(0x4c5560),
		text: rgb(0xf0f3f6), muted: rgb(0xa7b0ba), line: rgb(0x62b0ff), band: rgb(0x2c6199), alert: rgb(0xff7b72), onPin: rgb(0x16191d)}
)

// Where things are, in pixels.
const (
	margin    = 18  // left and right
	titleLine = 42  // baselines
	noteLine  = 80  //
	plotTop   = 98  //
	plotBelow = 348 // the axis of time
	clockLine = 382 //
	lineWidth = 4
)

// A painter paints one chart.
type painter struct {
	*theme
	c            *Chart
	canvas       *canvas
	title, label font.Face
	all          []reading
	scale        scale
	x0, x1       int // the plot
}

func newPainter(c *Chart) (*painter, error) {
	p := &painter{c: c, theme: &light, all: c.readings()}
	if c.Dark {
		p.theme = &dark
	}
	var err error
	if p.title, err = newFace(medium, titleSize); err != nil {
		return nil, err
	}
	if p.label, err = newFace(regular, labelSize); err != nil {
		return nil, err
	}
	p.canvas = newCanvas(p.ground)
	p.scale = scale{low: 0, high: 1, step: 1}
	if c.number() {
		low, high := math.Inf(1), math.Inf(-1)
		for _, r := range p.all {
			low, high = min(low, r.Min), max(high, r.Max)
		}
		for _, l := range c.Lines {
			if finite(l.Value) {
				low, high = min(low, l.Value), max(high, l.Value)
			}
		}
		if low > high {
			low, high = 0, 1
		}
		p.scale = newScale(low, high)
	}
	widest := 0
	for _, v := range p.scale.at() {
		widest = max(widest, width(p.label, p.mark(v)))
	}
	p.x0, p.x1 = margin+min(widest, Width/4)+12, Width-margin
	return p, nil
}

// mark is what stands beside a mark of the values.
func (p *painter) mark(v float64) string {
	switch {
	case p.c.number():
		return p.scale.label(v)
	case v < 0.5:
		return fit(p.label, plain(p.label, p.c.Off), Width/4)
	}
	return fit(p.label, plain(p.label, p.c.On), Width/4)
}

// x and y place a time and a value.
func (p *painter) x(since time.Duration) float64 {
	return float64(p.x0) + float64(p.x1-p.x0)*float64(since)/float64(p.c.To.Sub(p.c.From))
}

func (p *painter) y(v float64) float64 {
	top, below := float64(plotTop), float64(plotBelow)
	if !p.c.number() { // the states keep off the edges
		top, below = top+50, below-30
	}
	return below - (below-top)*(v-p.scale.low)/(p.scale.high-p.scale.low)
}

// frame sets the picture off from a ground like its own.
func (p *painter) frame() {
	p.canvas.rect(0, 0, Width, 2, p.theme.frame)
	p.canvas.rect(0, Height-2, Width, Height, p.theme.frame)
	p.canvas.rect(0, 0, 2, Height, p.theme.frame)
	p.canvas.rect(Width-2, 0, Width, Height, p.theme.frame)
}

// grid draws the axes with their marks.
func (p *painter) grid() {
	for _, v := range p.scale.at() {
		y := int(math.Round(p.y(v)))
		p.canvas.rect(p.x0, y-1, p.x1, y+1, p.theme.grid)
		p.canvas.write(p.label, p.mark(v), p.x0-12, y+8, right, p.muted)
	}
	const room = 24 // between two labels
	end := -room
	for _, m := range moments(p.c.From, p.c.To, p.c.Zone, (p.x1-p.x0)/100) {
		x := int(math.Round(p.x(m.at.Sub(p.c.From))))
		ink := p.theme.grid
		if m.day {
			ink = p.day
		}
		p.canvas.rect(x-1, plotTop, x+1, plotBelow+6, ink)
		half := width(p.label, m.label) / 2
		if middle := min(max(x, margin/2+half), Width-margin/2-half); middle-half >= end+room {
			p.canvas.write(p.label, m.label, middle, clockLine, centre, p.muted)
			end = middle + half
		}
	}
	p.canvas.rect(p.x0, plotBelow-1, p.x1, plotBelow+1, p.theme.frame)
}

// words are the title, the essence and the unit.
func (p *painter) words() {
	day := p.c.To.In(p.c.Zone).Format("2 Jan 2006")
	p.canvas.write(p.label, day, Width-margin, titleLine, right, p.muted)
	p.canvas.write(p.title, fit(p.title, plain(p.title, p.c.Title), Width-3*margin-width(p.label, day)), margin, titleLine, left, p.text)
	unit := fit(p.label, plain(p.label, p.c.Unit), Width/4)
	p.canvas.write(p.label, unit, margin, noteLine, left, p.muted)
	p.canvas.write(p.label, fit(p.label, plain(p.label, p.c.Note), Width-4*margin-width(p.label, unit)), Width-margin, noteLine, right, p.text)
	if len(p.all) == 0 {
		p.canvas.rect((p.x0+p.x1)/2-160, (plotTop+plotBelow)/2-26, (p.x0+p.x1)/2+160, (plotTop+plotBelow)/2+12, p.ground)
		p.canvas.write(p.label, "no readings in this time", (p.x0+p.x1)/2, (plotTop+plotBelow)/2, centre, p.muted)
	}
}

// lines draws the thresholds, each with its label where it hides least.
func (p *painter) lines() {
	for _, l := range p.c.Lines {
		if !finite(l.Value) {
			continue
		}
		y := 0.5
		if p.c.number() {
			y = l.Value
		}
		p.canvas.fill(p.alert, dashes(float64(p.x0), float64(p.x1), p.y(y), 3)...)
		if label := fit(p.label, plain(p.label, l.Label), p.x1-p.x0-28); label != "" {
			at := p.place(int(p.y(y)), width(p.label, label)+16)
			p.canvas.rect(at.Min.X, at.Min.Y, at.Max.X, at.Max.Y, p.alert)
			p.canvas.write(p.label, label, at.Min.X+8, at.Max.Y-8, left, p.onPin)
		}
	}
}

// place finds room for a label at a line, above or below it, where the fewest readings are.
func (p *painter) place(y, wide int) image.Rectangle {
	const height, off = 32, 5
	best, least := image.Rectangle{}, math.MaxInt
	for _, top := range []int{y - off - height, y + off} {
		if top < plotTop-off || top+height > plotBelow {
			continue
		}
		places := []int{p.x0 + 6, p.x1 - 6 - wide} // at an end, unless it is freer in between
		for left := p.x0 + 40; left < p.x1-6-wide; left += 20 {
			places = append(places, left)
		}
		for _, left := range places {
			at, hidden := image.Rect(left, top, left+wide, top+height), 0
			for _, r := range p.all {
				x := int(p.x(r.middle()))
				if at.Overlaps(image.Rect(x-1, int(p.y(r.Max))-lineWidth, x+1, int(p.y(r.Min))+lineWidth)) {
					hidden++
				}
			}
			if hidden < least {
				best, least = at, hidden
			}
		}
	}
	return best
}
