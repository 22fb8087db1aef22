package serial

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"tidings/devices"
)

// A frameFormat is the protocol of a sensor that sends frames of a fixed length by itself. It is listened to and not
// commanded.
type frameFormat struct {
	head, tail []byte // what every frame begins and ends with
	size       int    // bytes, with both
	check      func(frame []byte) bool
	fields     []frameField
}

// A frameField is one value of a frame. Its point's name is the source, too. What is offered a device has that names no
// points.
type frameField struct {
	point   devices.Point
	offered bool
	read    func(frame []byte) field
}

func (f *frameFormat) source(name string, _ devices.PointKind) (devices.Point, error) {
	var names []string
	for i := range f.fields {
		if p := f.fields[i].point; p.Name == name {
			return p, nil
		}
		names = append(names, f.fields[i].point.Name)
	}
	return devices.Point{}, errors.New(noneOf(name, names))
}

func (*frameFormat) words() words { return words{"frames", "baud and protocol"} }

func (f *frameFormat) decoder(r *reader) decoder {
	return &frames{format: f, reader: r, part: make([]byte, 0, f.size), times: make([]time.Time, 0, f.size)}
}

// noiseUnit is how many bytes between frames are counted as one that was not understood.
const noiseUnit = 64

// frames is the decoder of a frameFormat. What does not begin as a frame, or is none in the end, is passed over a byte at a
// time, so that a frame is found wherever it begins.
type frames struct {
	format *frameFormat
	reader *reader
	part   []byte      // of a frame, as far as it has come
	times  []time.Time // when each byte of it came
	noise  int         // bytes passed over since the last frame
}

// midway: half a frame is none.
func (*frames) midway() {}

func (d *frames) feed(piece []byte, at time.Time) {
	for _, c := range piece {
		d.part, d.times = append(d.part, c), append(d.times, at)
		for !d.plausible() {
			d.pass()
		}
		if len(d.part) < d.format.size {
			continue
		}
		if !d.format.check(d.part) {
			d.reader.skipped(&d.reader.tally.Checksum, d.part)
			for d.pass(); !d.plausible(); {
				d.pass()
			}
			continue
		}
		d.reader.said(frame{d.format, slices.Clone(d.part)}, d.times[0])
		d.part, d.times, d.noise = d.part[:0], d.times[:0], 0
	}
}

// plausible reports whether what has come can be a frame, or the beginning of one.
func (d *frames) plausible() bool {
	f := d.format
	n := min(len(d.part), len(f.head))
	return bytes.Equal(d.part[:n], f.head[:n]) && (len(d.part) < f.size || bytes.HasSuffix(d.part, f.tail))
}

// pass drops the first byte of what has come.
func (d *frames) pass() {
	if d.noise%noiseUnit == 0 {
		d.reader.skipped(&d.reader.tally.Malformed, d.part[:1])
	}
	d.noise++
	d.part, d.times = append(d.part[:0], d.part[1:]...), append(d.times[:0], d.times[1:]...)
}

// frame is one frame.
type frame struct {
	format *frameFormat
	bytes  []byte
}

func (f frame) find(source string) (field, bool) {
	for i := range f.format.fields {
		if known := &f.format.fields[i]; known.point.Name == source {
			return known.read(f.bytes), true
		}
	}
	return field{}, false
}

// offered are the points that every frame offers.
func (f *frameFormat) offered() (out []devices.Point) {
	for _, known := range f.fields {
		if known.offered {
			out = append(out, known.point)
		}
	}
	return out
}

func (f frame) offers() iter.Seq2[string, devices.Point] {
	return func(yield func(string, devices.Point) bool) {
		for i := range f.format.fields {
			if known := &f.format.fields[i]; known.offered && !yield(known.point.Name, known.point) {
				return
			}
		}
	}
}

// sds011 is the protocol "sds011" of the dust sensor of Nova Fitness, which sends a frame a second:
//
//	AA C0 PM2.5(low, high) PM10(low, high) id(2 bytes) checksum AB
//
// The values are in 0.1 µg/m³, the checksum is the sum of the six bytes before it ("Laser PM2.5 Sensor specification",
// SDS011 V1.3). Its answers to commands begin otherwise and are passed over.
var sds011 = &frameFormat{
	head: []byte{0xAA, 0xC0}, tail: []byte{0xAB}, size: 10,
	check: func(f []byte) bool {
		var sum byte
		for _, c := range f[2:8] {
			sum += c
		}
		return sum == f[8]
	},
	fields: []frameField{
		{dust("pm25", "PM2.5"), true, func(f []byte) field { return tenths(f[2], f[3]) }},
		{dust("pm10", "PM10"), true, func(f []byte) field { return tenths(f[4], f[5]) }},
		{devices.Point{Name: "id", Kind: devices.KindText}, false, func(f []byte) field {
			return field{kind: quoted, text: fmt.Sprintf("%02X%02X", f[6], f[7])}
		}},
	},
}

func dust(name, label string) devices.Point {
	return devices.Point{Name: name, Label: label, Kind: devices.KindNumber, Class: name, Unit: "µg/m³", Readable: true}
}

// tenths reads a number of two bytes that counts tenths.
func tenths(low, high byte) field {
	n := int(high)<<8 | int(low)
	return field{kind: bare, text: fmt.Sprintf("%d.%d", n/10, n%10)}
}
