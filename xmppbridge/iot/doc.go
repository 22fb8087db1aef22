// Package iot is what programs say to devices and hear from them, in one model for several dialects: sensor data, event
// subscriptions and control as the XSF first wrote them down (XEP-0323 and XEP-0325, retracted, but what client
// libraries speak) and as IEEE and the Neuro-Foundation have carried them on (urn:ieee:iot, urn:nf:iot, urn:nfi:iot).
//
// A [Dialect] turns elements into a [Request], a [Subscription] or a [Control], and what is answered back into elements.
// The dialects differ in their words, which are tables (compact.go, xep.go), and in a few shapes, which the methods of
// Dialect know. Whoever answers asks the dialect of the request and never looks at a namespace.
//
// What cannot be read is a [SyntaxError], which names the parameter where it is about one. Everything a stranger can
// make long is bounded: nodes, fields, parameters, and the texts that are kept of them.
//
//	d, _ := iot.Of("urn:nf:iot:sd:1.0")
//	r, err := d.ReadRequest(iq.First())
//	answer := d.Values(r.ID, []iot.Block{{Device: "lamp", Fields: fields}}, false)
//
// Nothing here starts a goroutine; a Dialect never changes and is safe for concurrent use.
package iot
