package main

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPictures holds the PNGs to the SVGs: each is there, and what run would draw. Machines round differently, so a channel may
// be off by a little.
func TestPictures(t *testing.T) {
	t.Parallel()
	svgs, err := filepath.Glob("../*.svg")
	if err != nil {
		t.Fatal(err)
	}
	pngs, err := filepath.Glob("../*.png")
	if err != nil {
		t.Fatal(err)
	}
	if len(svgs) == 0 || len(svgs) != len(pngs) {
		t.Errorf("%d SVGs, %d PNGs: run go generate ./xmppbridge/faces", len(svgs), len(pngs))
	}
	for _, name := range svgs {
		want, err := drawFile(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file, err := os.Open(strings.TrimSuffix(name, ".svg") + ".png")
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := png.Decode(file)
		file.Close()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !alike(got, want) {
			t.Errorf("%s is not what is drawn now: run go generate ./xmppbridge/faces", file.Name())
		}
	}
}

// alike compares pictures with some tolerance.
func alike(a, b image.Image) bool {
	if a.Bounds() != b.Bounds() {
		return false
	}
	x, y := image.NewNRGBA(a.Bounds()), image.NewNRGBA(b.Bounds())
	draw.Draw(x, x.Bounds(), a, image.Point{}, draw.Src)
	draw.Draw(y, y.Bounds(), b, image.Point{}, draw.Src)
	for i := range x.Pix {
		if d := int(x.Pix[i]) - int(y.Pix[i]); d < -8 || d > 8 {
			return false
		}
	}
	return true
}

// The sign of each picture stays inside the circle that clients cut out, and something of it is there.
func TestInsideTheCircle(t *testing.T) {
	t.Parallel()
	svgs, err := filepath.Glob("../*.svg")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range svgs {
		picture, err := drawFile(name)
		if err != nil {
			t.Fatal(err)
		}
		white := 0
		for y := range side {
			for x := range side {
				c := color.NRGBAModel.Convert(picture.At(x, y)).(color.NRGBA)
				if c.R < 240 || c.G < 240 || c.B < 240 || c.A < 240 {
					continue
				}
				white++
				if dx, dy := x-side/2, y-side/2; dx*dx+dy*dy > (side/2)*(side/2) {
					t.Errorf("%s: something at %d,%d is cut off", name, x, y)
				}
			}
		}
		if white < side*side/50 {
			t.Errorf("%s shows next to nothing: %d pixels", name, white)
		}
	}
}
