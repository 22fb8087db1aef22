package devices

import (
	"fmt"
	"strings"
)

// MaxImage bounds a picture, in bytes. Whoever takes one from outside bounds it further.
const MaxImage = 4_000_000

// An imageType is a format of pictures that people's clients show.
type imageType struct {
	name, mime, suffix string
	is                 func(data string) bool
}

// imageTypes by the number a Value holds. What a file is says its beginning, not who sent it.
var imageTypes = [...]imageType{
	{"JPEG", "image/jpeg", ".jpg", func(d string) bool { return strings.HasPrefix(d, "\xff\xd8\xff") }},
	{"PNG", "image/png", ".png", func(d string) bool { return strings.HasPrefix(d, "\x89PNG\r\n\x1a\n") }},
	{"WebP", "image/webp", ".webp", func(d string) bool { return len(d) >= 12 && d[:4] == "RIFF" && d[8:12] == "WEBP" }},
}

// An ImageFile is a picture with what is known of its format.
type ImageFile struct {
	Data   string // the file's content
	MIME   string // "image/jpeg"
	Suffix string // ".jpg"
}

// Image makes a value of a picture: a JPEG, PNG or WebP file of at most limit bytes and at most MaxImage. The value is a handle
// to data, which is not copied. The error says what is wrong with it.
func Image(data string, limit int) (Value, error) {
	if limit = min(limit, MaxImage); len(data) > limit {
		return Value{}, fmt.Errorf("picture: %s: at most %s are taken", size(len(data)), size(limit))
	}
	for i, t := range imageTypes {
		if t.is(data) {
			return Value{kind: ImageKind, bits: uint64(i), text: data}, nil
		}
	}
	return Value{}, fmt.Errorf("picture: what came is no JPEG, PNG or WebP")
}

// Image returns the picture v holds, and whether it holds one.
func (v Value) Image() (ImageFile, bool) {
	if v.kind != ImageKind {
		return ImageFile{}, false
	}
	t := imageTypes[v.bits]
	return ImageFile{Data: v.text, MIME: t.mime, Suffix: t.suffix}, true
}

// size writes a number of bytes for people.
func size(n int) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1e6:
		return fmt.Sprintf("%d kB", (n+500)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
