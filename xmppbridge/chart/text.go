package chart

import (
	"image"
	"image/color"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// The sizes of letters, in pixels. On a phone a picture of 800 is shown about 360 wide: 24 become 11.
const (
	titleSize = 30
	labelSize = 24
)

// The fonts are parsed once; a face has a cache and is for one goroutine, so each chart makes its own.
var (
	regular = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(goregular.TTF) })
	medium  = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(gomedium.TTF) })
)

func newFace(parsed func() (*opentype.Font, error), size float64) (font.Face, error) {
	f, err := parsed()
	if err != nil {
		return nil, err
	}
	return opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
}

// An align says which end of a text its position is.
type align uint8

const (
	left align = iota
	centre
	right
)

// write puts a line of text on the canvas, its baseline at y.
func (c *canvas) write(face font.Face, s string, x, y int, a align, ink color.Color) {
	w := width(face, s)
	switch a {
	case centre:
		x -= w / 2
	case right:
		x -= w
	}
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(ink), Face: face, Dot: fixed.P(x, y)}
	d.DrawString(s)
}

func width(face font.Face, s string) int { return font.MeasureString(face, s).Ceil() }

// plain leaves out what the font cannot show: people put pictures into names, which would be drawn as boxes.
func plain(face font.Face, s string) string {
	s = strings.Map(func(r rune) rune {
		if _, ok := face.GlyphAdvance(r); !ok || r < ' ' {
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// fit cuts a text to a width.
func fit(face font.Face, s string, room int) string {
	if width(face, s) <= room {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && width(face, string(runes)+"…") > room {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimRight(string(runes), " ") + "…"
}
