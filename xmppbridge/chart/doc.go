// Package chart draws what a point was over some time as a picture for a chat: 800×400, in PNG, legible where a phone
// shows it 360 wide.
//
// It is pure: no goroutine, no clock, no file. The same chart gives the same bytes. What is drawn are spans of equal
// length, as a history sums them up: a line through their means with the room between their least and greatest values
// around it, or for a switch its two states as steps. Where nothing was known nothing is drawn, so that a silent device does
// not look like a steady one.
//
// A chat may be light or dark, and nobody tells which. The picture is opaque, with a ground, text and a frame of its own:
// nothing of it depends on what it lies on. Light is the default, [Chart.Dark] is for those who ask.
//
//	png, err := chart.Chart{Title: "Greenhouse: temperature", Unit: "°C", From: from, To: to, Spans: spans}.PNG()
package chart
