package mqtt

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"math"
	"time"
)

// The size of a camera's pictures.
const (
	PictureWidth  = 640
	PictureHeight = 360
)

// NewCamera makes a camera that looks at a house by a path: the sun goes round once a minute, and somebody may be there.
func NewCamera(o Options) *Device {
	o.Topic = cmp.Or(o.Topic, "camera")
	d := newDevice(o)
	d.sees = true
	return d
}

// tellPicture publishes what the camera sees.
func (c *link) tellPicture() {
	c.send("tele", "PICTURE", string(picture(time.Now(), c.device.Power())), true)
}

// picture is a JPEG of the scene at a time, with somebody at the door or not.
func picture(at time.Time, somebody bool) []byte {
	img := image.NewRGBA(image.Rect(0, 0, PictureWidth, PictureHeight))
	day := float64(at.UnixMilli()%60_000) / 60_000 // the sun's way
	light := 0.35 + 0.65*math.Sin(math.Pi*day)
	shade := func(r, g, b float64) color.RGBA {
		return color.RGBA{R: uint8(r * light), G: uint8(g * light), B: uint8(b * light), A: 255}
	}
	fill := func(x0, y0, x1, y1 int, c color.Color) {
		draw.Draw(img, image.Rect(x0, y0, x1, y1), image.NewUniform(c), image.Point{}, draw.Src)
	}
	const horizon = 230
	for y := range horizon {
		fill(0, y, PictureWidth, y+1, shade(110+float64(y)/3, 160+float64(y)/4, 235))
	}
	fill(0, horizon, PictureWidth, PictureHeight, shade(84, 140, 70))
	disc(img, int(day*PictureWidth), int(200-150*math.Sin(math.Pi*day)), 26, color.RGBA{R: 255, G: 220, B: 120, A: 255})
	fill(330, 120, 560, 270, shade(214, 190, 160)) // the house
	for i := range 70 {
		fill(330-20+i*135/70, 120-i, 560+20-i*135/70, 121-i, shade(150, 70, 55))
	}
	fill(420, 185, 465, 270, shade(95, 60, 40))
	fill(350, 150, 395, 190, shade(190, 220, 240))
	fill(495, 150, 540, 190, shade(190, 220, 240))
	for y := 270; y < PictureHeight; y++ {
		half := 24 + (y-270)/2
		fill(442-half, y, 442+half, y+1, shade(190, 180, 165))
	}
	if somebody {
		fill(428, 215, 456, 275, shade(60, 60, 130))
		disc(img, 442, 203, 13, shade(235, 190, 160))
	}
	var out bytes.Buffer
	_ = jpeg.Encode(&out, img, &jpeg.Options{Quality: 80}) // into memory
	return out.Bytes()
}

func disc(img *image.RGBA, x, y, r int, c color.RGBA) {
	for dy := -r; dy <= r; dy++ {
		half := int(math.Sqrt(float64(r*r - dy*dy)))
		draw.Draw(img, image.Rect(x-half, y+dy, x+half+1, y+dy+1), image.NewUniform(c), image.Point{}, draw.Src)
	}
}
