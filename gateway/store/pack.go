package store

import (
	"encoding/binary"
	"errors"
	"math"

	"tidings/devices"
)

// The readings of one point are packed one behind the other, three to five bytes each: a varint of how much the time since
// the reading before differs from the time before that, in milliseconds, with what follows in its lowest bits; then the
// value. Numbers that have few decimals, which is what sensors measure, are counted in their last digit, and of that the
// difference is kept. What comes out is exactly what went in.

// What follows the time of a reading.
const (
	opAgain  = iota // nothing: the value of before
	opNumber        // zigzag varint: the difference in the last digit
	opDigits        // a byte: how many decimals from here on; zigzag varint: the number in its last digit
	opFloat         // eight bytes, little endian: a number of more than maxDigits decimals
	opFalse         // nothing
	opTrue          // nothing
	opText          // uvarint: how long; the text
	opGap           // nothing: from then on the value is not known

	opBits = 3
)

// maxDigits is how many decimals a number may have and still be counted in its last digit.
const maxDigits = 9

var powers = [maxDigits + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// errPacked says that what was to be unpacked is none of ours.
var errPacked = errors.New("store: readings that cannot be read")

// place is what packing and unpacking both know of the readings before.
type place struct {
	at, step int64         // the time of the last, and its distance from the one before
	value    devices.Value // zero after a gap
	digits   uint8
	count    int64 // the last number, in its last digit
	begun    bool
}

// advance takes the time of the next reading; change is how much its distance differs from the last.
func (p *place) advance(change int64) {
	if !p.begun { // the distance from 1970 says nothing of the next
		p.at, p.begun = change, true
		return
	}
	p.step += change
	p.at += p.step
}

// A packer packs readings. The zero value is ready.
type packer struct {
	place
	data []byte
}

// add appends a reading; a zero value is a gap.
func (p *packer) add(at int64, v devices.Value) {
	change := at
	if p.begun {
		change = at - p.at - p.step
	}
	op := opAgain
	count, digits := int64(0), p.digits
	f, number := v.Number()
	switch {
	case v == p.value && p.begun && !v.IsZero():
	case number:
		op, count, digits = p.number(f)
	case v.IsZero():
		op = opGap
	default:
		op = opText
		if on, ok := v.Bool(); ok && on {
			op = opTrue
		} else if ok {
			op = opFalse
		}
	}
	p.advance(change)
	p.value = v
	p.data = binary.AppendUvarint(p.data, zigzag(change)<<opBits|uint64(op))
	switch op {
	case opNumber:
		p.data = binary.AppendVarint(p.data, count-p.count)
		p.count = count
	case opDigits:
		p.data = binary.AppendVarint(append(p.data, digits), count)
		p.digits, p.count = digits, count
	case opFloat:
		p.data = binary.LittleEndian.AppendUint64(p.data, math.Float64bits(f))
	case opText:
		text, _ := v.Text()
		p.data = append(binary.AppendUvarint(p.data, uint64(len(text))), text...)
	}
}

// number finds how f is counted.
func (p *packer) number(f float64) (op int, count int64, digits uint8) {
	if n, ok := counted(f, p.digits); ok {
		return opNumber, n, p.digits
	}
	for digits := range uint8(maxDigits + 1) {
		if n, ok := counted(f, digits); ok {
			return opDigits, n, digits
		}
	}
	return opFloat, 0, p.digits
}

// counted is f in its last of that many decimals, if that is exactly f.
func counted(f float64, digits uint8) (int64, bool) {
	n := math.Round(f * powers[digits])
	if math.Abs(n) >= 1<<53 || n/powers[digits] != f {
		return 0, false
	}
	return int64(n), true
}

func zigzag(n int64) uint64 { return uint64(n<<1) ^ uint64(n>>63) }

func unzigzag(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }

// unpack hands over the readings in data, in the order they were packed, until take has enough.
func unpack(data []byte, take func(at int64, v devices.Value) bool) error {
	var p place
	for len(data) > 0 {
		head, n := binary.Uvarint(data)
		if n <= 0 {
			return errPacked
		}
		data = data[n:]
		p.advance(unzigzag(head >> opBits))
		switch head & (1<<opBits - 1) {
		case opAgain:
		case opDigits:
			if len(data) == 0 || data[0] > maxDigits {
				return errPacked
			}
			p.digits, p.count, data = data[0], 0, data[1:]
			fallthrough
		case opNumber:
			change, n := binary.Varint(data)
			if n <= 0 {
				return errPacked
			}
			data = data[n:]
			p.count += change
			p.value = devices.Number(float64(p.count) / powers[p.digits])
		case opFloat:
			if len(data) < 8 {
				return errPacked
			}
			p.value, data = devices.Number(math.Float64frombits(binary.LittleEndian.Uint64(data))), data[8:]
		case opFalse:
			p.value = devices.Bool(false)
		case opTrue:
			p.value = devices.Bool(true)
		case opText:
			length, n := binary.Uvarint(data)
			if n <= 0 || length > uint64(len(data)-n) {
				return errPacked
			}
			p.value, data = devices.Text(string(data[n:n+int(length)])), data[n+int(length):]
		case opGap:
			p.value = devices.Value{}
		}
		if !take(p.at, p.value) {
			return nil
		}
	}
	return nil
}
