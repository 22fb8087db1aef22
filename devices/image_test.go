package devices

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

func TestImage(t *testing.T) {
	t.Parallel()
	img := image.NewGray(image.Rect(0, 0, 40, 30))
	var jpg, pngs bytes.Buffer
	if jpeg.Encode(&jpg, img, nil) != nil || png.Encode(&pngs, img) != nil {
		t.Fatal("not encoded")
	}
	webp := "RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"
	for mime, data := range map[string]string{"image/jpeg": jpg.String(), "image/png": pngs.String(), "image/webp": webp} {
		v, err := Image(data, 1<<20)
		file, ok := v.Image()
		if err != nil || !ok || file.MIME != mime || file.Data != data || v.Kind() != ImageKind || v.IsZero() {
			t.Errorf("%s: %v %v %v", mime, v, err, file.MIME)
		}
		if again, _ := Image(data, 1<<20); again != v {
			t.Errorf("%s: the same picture is another value", mime)
		}
		if s := v.String(); !strings.HasPrefix(s, "picture (") || len(s) > 40 {
			t.Errorf("%s: it shows as %q", mime, s)
		}
		if _, isText := v.Text(); isText {
			t.Errorf("%s: it is a text", mime)
		}
	}
	for what, data := range map[string]string{"nothing": "", "text": "offline", "svg": "<svg/>", "gif": "GIF89a", "cut": "RIFF", "html": "<html>"} {
		if v, err := Image(data, 1<<20); err == nil || !v.IsZero() {
			t.Errorf("%s is a picture", what)
		}
	}
	if _, err := Image(jpg.String(), 100); err == nil || !strings.Contains(err.Error(), "at most 100 bytes") {
		t.Error(err)
	}
	if _, err := Image("\xff\xd8\xff"+strings.Repeat("x", MaxImage), 1<<30); err == nil || !strings.Contains(err.Error(), "4.0 MB: at most 4.0 MB") {
		t.Error(err)
	}
	if _, err := ParseValue(KindImage, jpg.String()); err == nil {
		t.Error("a picture was read from what a person typed")
	}
	if _, ok := Number(3).Image(); ok {
		t.Error("a number is a picture")
	}
}
