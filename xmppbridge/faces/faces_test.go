package faces

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"image/png"
	"testing"
)

func TestGet(t *testing.T) {
	t.Parallel()
	if len(all()) < 30 {
		t.Errorf("%d faces", len(all()))
	}
	hashes := map[string]string{}
	for name, f := range all() {
		data, err := base64.StdEncoding.DecodeString(f.Base64)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if size := picture.Bounds().Size(); size.X != 128 || size.Y != 128 {
			t.Errorf("%s is %v", name, size)
		}
		// XEP-0153 §2.1 asks for less than 8 KB.
		if len(data) > 8<<10 || len(data) != f.Bytes {
			t.Errorf("%s has %d bytes, and says %d", name, len(data), f.Bytes)
		}
		if sum := sha1.Sum(data); f.Hash != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: hash %s", name, f.Hash)
		}
		if other := hashes[f.Hash]; other != "" {
			t.Errorf("%s and %s look the same", name, other)
		}
		hashes[f.Hash] = name
	}
	if !Known(Unknown) || Known("unicorn") || Get("unicorn") != Get(Unknown) || Get("lock") == Get(Unknown) {
		t.Error("what is unknown has no face of its own")
	}
}
