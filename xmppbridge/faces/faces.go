package faces

import (
	"crypto/sha1"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

//go:embed *.png
var files embed.FS

// Type is the media type of every face.
const Type = "image/png"

// Unknown is the name of the face that stands for what has none.
const Unknown = "device"

// A Face is one picture.
type Face struct {
	Base64 string // the PNG, as vCards hold it
	Hash   string // the SHA-1 of the PNG in hexadecimal, as XEP-0153 announces it
	Bytes  int    // of the PNG
}

// all reads the pictures, once and when the first is wanted: some 130 KB.
var all = sync.OnceValue(func() map[string]Face {
	out := map[string]Face{}
	names, err := fs.Glob(files, "*.png")
	if err != nil {
		panic(fmt.Sprintf("faces: %v", err)) // the pattern is a constant
	}
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			panic(fmt.Sprintf("faces: %v", err)) // it is in the program
		}
		sum := sha1.Sum(data)
		out[strings.TrimSuffix(name, ".png")] = Face{Base64: base64.StdEncoding.EncodeToString(data),
			Hash: hex.EncodeToString(sum[:]), Bytes: len(data)}
	}
	return out
})

// Get returns a face by its name, or the one of a device that nothing is known of.
func Get(name string) Face {
	if f, ok := all()[name]; ok {
		return f
	}
	return all()[Unknown]
}

// Known reports whether there is a face of that name.
func Known(name string) bool {
	_, ok := all()[name]
	return ok
}
