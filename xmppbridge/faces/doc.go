// Package faces holds the pictures of devices: one for each kind of thing, drawn for this project. The SVGs are the source;
// the PNGs beside them are what clients show, made by go generate and held to the SVGs by a test (draw).
//
// A picture is a white sign on a rounded square of one colour, inside the circle that clients cut out of it, so that it looks the
// same on light and on dark. [Get] returns it with what XMPP needs of it; what is not known gets the picture "device".
package faces

//go:generate go run ./draw
