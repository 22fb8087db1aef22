package modbus

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Type is how registers are read as a number.
type Type uint8

// The types of a value.
const (
	Uint16 Type = iota
	Int16
	Uint32
	Int32
	Uint64
	Int64
	Float32 // IEEE 754
	Float64
	Bit // one bit of a register
)

var types = [...]string{"uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64", "bit"}

// An Order is how the bytes of a value lie in its registers, as letters for an ABCD of four bytes: values of two and of
// eight bytes go the same way.
type Order uint8

// The orders there are.
const (
	ABCD Order = iota // high byte and high register first, as the specification has it
	CDAB              // the low register first
	BADC              // the bytes of each register swapped
	DCBA              // both
)

// Orders are their words, as in a configuration.
var Orders = []string{"ABCD", "CDAB", "BADC", "DCBA"}

// A Format is all that is to be known of a value in registers. The zero value is an unsigned register.
type Format struct {
	Type  Type
	Bit   uint8 // of a Bit: 0 is the lowest
	Order Order
}

// ParseFormat reads a type and an order as a configuration has them: "float32", "bit:3"; empty ones are "uint16" and
// "ABCD".
func ParseFormat(typ, order string) (Format, error) {
	var f Format
	if name, bit, isBit := strings.Cut(typ, ":"); isBit && name == "bit" {
		n, err := strconv.ParseUint(bit, 10, 8)
		if err != nil || n > 15 {
			return f, fmt.Errorf("type: %q: the bits of a register are bit:0 to bit:15", typ)
		}
		f.Type, f.Bit = Bit, uint8(n)
	} else if typ != "" {
		i := index(types[:Bit], typ)
		if i < 0 {
			return f, fmt.Errorf("type: %q is none of %s, bit:N", typ, strings.Join(types[:Bit], ", "))
		}
		f.Type = Type(i)
	}
	if order != "" {
		i := index(Orders, order)
		if i < 0 {
			return f, fmt.Errorf("order: %q is none of %s", order, strings.Join(Orders, ", "))
		}
		f.Order = Order(i)
	}
	return f, nil
}

func index(words []string, word string) int {
	for i, w := range words {
		if w == word {
			return i
		}
	}
	return -1
}

func (f Format) String() string {
	if f.Type == Bit {
		return fmt.Sprintf("bit:%d", f.Bit)
	}
	return types[f.Type]
}

// Registers is how many registers a value takes.
func (f Format) Registers() int {
	switch f.Type {
	case Uint32, Int32, Float32:
		return 2
	case Uint64, Int64, Float64:
		return 4
	}
	return 1
}

// bits puts the value's bytes into the order of the machine.
func (f Format) bits(data []byte) uint64 {
	n := f.Registers()
	var v uint64
	for i := range n {
		at := i
		if f.Order == CDAB || f.Order == DCBA {
			at = n - 1 - i
		}
		word := binary.BigEndian.Uint16(data[2*at:])
		if f.Order == BADC || f.Order == DCBA {
			word = word>>8 | word<<8
		}
		v = v<<16 | uint64(word)
	}
	return v
}

// Number is the value in the first Registers of data, as a slave sent them. A Bit is 0 or 1. 64-bit numbers beyond 2^53 lose
// their lowest digits, and floats may be NaN or infinite. A Float32 is the shortest number that is nearest to it: 230.2, and
// not 230.1999969482422, so that what was written reads back as the same.
func (f Format) Number(data []byte) float64 {
	v := f.bits(data)
	switch f.Type {
	case Int16:
		return float64(int16(v))
	case Int32:
		return float64(int32(v))
	case Int64:
		return float64(int64(v))
	case Float32:
		return widen(math.Float32frombits(uint32(v)))
	case Float64:
		return math.Float64frombits(v)
	case Bit:
		return float64(v >> f.Bit & 1)
	}
	return float64(v)
}

// widen makes a float64 of what a float32 would be written as.
func widen(f float32) float64 {
	if whole := float64(f); math.IsNaN(whole) || whole == math.Trunc(whole) && math.Abs(whole) < 1<<24 {
		return whole
	}
	var buf [24]byte
	wide, err := strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], float64(f), 'g', -1, 32)), 64)
	if err != nil {
		return float64(f)
	}
	return wide
}

// limits are the least and the greatest whole number of a type, as far as a float64 can tell.
func (f Format) limits() (low, high float64) {
	switch f.Type {
	case Uint16:
		return 0, math.MaxUint16
	case Int16:
		return math.MinInt16, math.MaxInt16
	case Uint32:
		return 0, math.MaxUint32
	case Int32:
		return math.MinInt32, math.MaxInt32
	case Uint64:
		return 0, 1<<64 - 1<<11
	case Int64:
		return -1 << 63, 1<<63 - 1<<10
	case Bit:
		return 0, 1
	}
	return -math.MaxFloat64, math.MaxFloat64
}

// Append appends the registers of a number, which is rounded to what the type can hold; of a Bit it appends a register with that
// bit alone. The error says that the number is too low or too high, or none.
func (f Format) Append(dst []byte, number float64) ([]byte, error) {
	low, high := f.limits()
	var v uint64
	var fits bool
	switch f.Type {
	case Float32: // of the greatest, the shortest number is a little more than it is itself
		low, high = -math.MaxFloat32, math.MaxFloat32
		fits = math.Abs(float64(float32(number))) <= high
	case Float64:
		fits = number >= low && number <= high
	default:
		number = math.Round(number)
		fits = number >= low && number <= high
	}
	if !fits {
		return dst, fmt.Errorf("%s does not fit into %s, which holds %s to %s", plain(number), f, plain(low), plain(high))
	}
	switch f.Type {
	case Float32:
		v = uint64(math.Float32bits(float32(number)))
	case Float64:
		v = math.Float64bits(number)
	case Bit:
		v = uint64(number) << f.Bit
	case Uint64:
		v = uint64(number)
	default:
		v = uint64(int64(number))
	}
	n := f.Registers()
	for i := range n {
		at := n - 1 - i // of the value, from its low end
		if f.Order == CDAB || f.Order == DCBA {
			at = i
		}
		word := uint16(v >> (16 * at))
		if f.Order == BADC || f.Order == DCBA {
			word = word>>8 | word<<8
		}
		dst = binary.BigEndian.AppendUint16(dst, word)
	}
	return dst, nil
}

func plain(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
