// Command draw makes the PNGs beside the SVGs of package faces. It runs by "go generate ./xmppbridge/faces"; nothing else
// needs what it imports.
package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"github.com/srwiley/oksvg"
	"github.com/srwiley/rasterx"
)

// side is the width and height of a picture in pixels. XEP-0153 §2.1 would like 96 at most, of times when screens had fewer.
const side = 128

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "draw:", err)
		os.Exit(1)
	}
}

// run draws every SVG of a directory.
func run(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	if err != nil {
		return err
	}
	for _, name := range names {
		picture, err := drawFile(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		var out bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, picture); err != nil {
			return err
		}
		if err := os.WriteFile(strings.TrimSuffix(name, ".svg")+".png", out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// drawFile draws one SVG.
func drawFile(name string) (*image.RGBA, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	icon, err := oksvg.ReadIconStream(file, oksvg.StrictErrorMode)
	if err != nil {
		return nil, err
	}
	icon.SetTarget(0, 0, side, side)
	picture := image.NewRGBA(image.Rect(0, 0, side, side))
	icon.Draw(rasterx.NewDasher(side, side, rasterx.NewScannerGV(side, side, picture, picture.Bounds())), 1)
	return picture, nil
}
