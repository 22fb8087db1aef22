package chart

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/vector"
)

// A canvas is painted on with antialiased shapes.
type canvas struct {
	img    *image.RGBA
	raster *vector.Rasterizer
}

// A point of the canvas, in pixels from its upper left corner.
type xy struct{ x, y float64 }

func newCanvas(ground color.Color) *canvas {
	c := &canvas{img: image.NewRGBA(image.Rect(0, 0, Width, Height)), raster: vector.NewRasterizer(Width, Height)}
	draw.Draw(c.img, c.img.Bounds(), image.NewUniform(ground), image.Point{}, draw.Src)
	return c
}

// rect fills whole pixels.
func (c *canvas) rect(x0, y0, x1, y1 int, ink color.Color) {
	draw.Draw(c.img, image.Rect(x0, y0, x1, y1), image.NewUniform(ink), image.Point{}, draw.Over)
}

// fill paints shapes as one: where they overlap, once.
func (c *canvas) fill(ink color.Color, shapes ...[]xy) {
	c.raster.Reset(Width, Height)
	for _, s := range shapes {
		if len(s) < 3 {
			continue
		}
		// The rasterizer adds up signed areas: shapes of opposite direction would take each other away.
		at := func(i int) (float32, float32) { return float32(s[i].x), float32(s[i].y) }
		if area(s) < 0 {
			n := len(s) - 1
			at = func(i int) (float32, float32) { return float32(s[n-i].x), float32(s[n-i].y) }
		}
		c.raster.MoveTo(at(0))
		for i := 1; i < len(s); i++ {
			c.raster.LineTo(at(i))
		}
		c.raster.ClosePath()
	}
	c.raster.Draw(c.img, c.img.Bounds(), image.NewUniform(ink), image.Point{})
}

// area is twice the signed area of a shape.
func area(s []xy) float64 {
	sum := 0.0
	for i, p := range s {
		q := s[(i+1)%len(s)]
		sum += p.x*q.y - q.x*p.y
	}
	return sum
}

// stroke is a line of some width along a path, with round joins and ends, as shapes to fill. One point is a dot.
func stroke(path []xy, width float64) [][]xy {
	r := width / 2
	shapes := make([][]xy, 0, 2*len(path))
	for i, p := range path {
		shapes = append(shapes, circle(p, r))
		if i == 0 {
			continue
		}
		q := path[i-1]
		length := math.Hypot(p.x-q.x, p.y-q.y)
		if length == 0 {
			continue
		}
		dx, dy := (p.y-q.y)/length*r, (q.x-p.x)/length*r
		shapes = append(shapes, []xy{{q.x + dx, q.y + dy}, {p.x + dx, p.y + dy}, {p.x - dx, p.y - dy}, {q.x - dx, q.y - dy}})
	}
	return shapes
}

// circle has as many corners as make it round at the sizes drawn here.
func circle(centre xy, r float64) []xy {
	const corners = 12
	out := make([]xy, corners)
	for i := range out {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		out[i] = xy{centre.x + r*cos, centre.y + r*sin}
	}
	return out
}

// dashes cuts a level line into dashes.
func dashes(x0, x1, y, width float64) [][]xy {
	const on, off = 14, 8
	var out [][]xy
	for x := x0; x < x1; x += on + off {
		end := min(x+on, x1)
		out = append(out, []xy{{x, y - width/2}, {end, y - width/2}, {end, y + width/2}, {x, y + width/2}})
	}
	return out
}
