package modbus

import (
	"encoding/binary"
	"fmt"
)

// A Table is one of the four kinds of data that a slave may have.
type Table uint8

// The tables of a slave.
const (
	Coil     Table = iota // bits, read and written
	Discrete              // bits, read only
	Holding               // registers of 16 bits, read and written
	Input                 // registers, read only
)

var tables = [...]string{Coil: "coil", Discrete: "discrete", Holding: "holding", Input: "input"}

// String is the table's word: "coil", "discrete", "holding" or "input".
func (t Table) String() string { return tables[t] }

// Bits reports whether the table holds bits and not registers.
func (t Table) Bits() bool { return t == Coil || t == Discrete }

// Writable reports whether it can be written.
func (t Table) Writable() bool { return t == Coil || t == Holding }

// Most is how much of the table one request may read.
func (t Table) Most() int {
	if t.Bits() {
		return 2000
	}
	return 125
}

// A Function is a function code.
type Function byte

// The functions that are spoken.
const (
	ReadCoils      Function = 1
	ReadDiscrete   Function = 2
	ReadHolding    Function = 3
	ReadInput      Function = 4
	WriteCoil      Function = 5
	WriteRegister  Function = 6
	WriteCoils     Function = 15
	WriteRegisters Function = 16
)

// failed marks the function code of an answer that is an exception.
const failed = 0x80

// A Request is one question to one slave.
type Request struct {
	Slave    byte
	Function Function
	Address  uint16
	Count    uint16 // of coils or registers
	// Data is what is written: registers with the high byte first; coils eight a byte, the first one lowest. WriteCoil
	// takes the two bytes of the specification, FF 00 or 00 00.
	Data []byte
}

// Read asks for count bits or registers, at least one and at most the table's Most.
func Read(slave byte, t Table, address uint16, count int) Request {
	f := [...]Function{Coil: ReadCoils, Discrete: ReadDiscrete, Holding: ReadHolding, Input: ReadInput}[t]
	return Request{Slave: slave, Function: f, Address: address, Count: uint16(count)}
}

// SetCoil writes one coil, with function 15 where the slave takes no 5.
func SetCoil(slave byte, address uint16, on, several bool) Request {
	if several {
		data := []byte{0}
		if on {
			data[0] = 1
		}
		return Request{Slave: slave, Function: WriteCoils, Address: address, Count: 1, Data: data}
	}
	data := []byte{0, 0}
	if on {
		data[0] = 0xFF
	}
	return Request{Slave: slave, Function: WriteCoil, Address: address, Count: 1, Data: data}
}

// SetRegisters writes one or several registers, the high byte of each first; one with function 6 unless the slave wants
// 16 for that, too. data has at most 246 bytes.
func SetRegisters(slave byte, address uint16, data []byte, several bool) Request {
	f := WriteRegisters
	if len(data) == 2 && !several {
		f = WriteRegister
	}
	return Request{Slave: slave, Function: f, Address: address, Count: uint16(len(data) / 2), Data: data}
}

// Reads reports whether nothing is changed by it.
func (r Request) Reads() bool { return r.Function <= ReadInput }

func (r Request) String() string {
	verb := "write"
	if r.Reads() {
		verb = "read"
	}
	return fmt.Sprintf("slave %d: %s %s", r.Slave, verb, Span(r.table(), r.Address, int(r.Count)))
}

func (r Request) table() Table {
	switch r.Function {
	case ReadCoils, WriteCoil, WriteCoils:
		return Coil
	case ReadDiscrete:
		return Discrete
	case ReadInput:
		return Input
	}
	return Holding
}

// Span writes addresses as a configuration does: "input:12", and "input:12 to 17" where there are several.
func Span(t Table, address uint16, count int) string {
	if count > 1 {
		return fmt.Sprintf("%s:%d to %d", t, address, int(address)+count-1)
	}
	return fmt.Sprintf("%s:%d", t, address)
}

// appendPDU appends function and data.
func (r Request) appendPDU(dst []byte) []byte {
	dst = append(dst, byte(r.Function))
	dst = binary.BigEndian.AppendUint16(dst, r.Address)
	switch r.Function {
	case WriteCoil, WriteRegister:
		return append(dst, r.Data...)
	case WriteCoils, WriteRegisters:
		dst = binary.BigEndian.AppendUint16(dst, r.Count)
		dst = append(dst, byte(len(r.Data)))
		return append(dst, r.Data...)
	}
	return binary.BigEndian.AppendUint16(dst, r.Count)
}

// dataLength is how many bytes of values an answer has; 0 for a write.
func (r Request) dataLength() int {
	switch r.Function {
	case ReadCoils, ReadDiscrete:
		return (int(r.Count) + 7) / 8
	case ReadHolding, ReadInput:
		return 2 * int(r.Count)
	}
	return 0
}

// answerLength is the length of the answer's function and data.
func (r Request) answerLength() int {
	if r.Reads() {
		return 2 + r.dataLength()
	}
	return 5
}

// answers reports whether a PDU, of the right length, is the good answer to the request.
func (r Request) answers(pdu []byte) bool {
	switch {
	case pdu[0] != byte(r.Function):
		return false
	case r.Reads():
		return int(pdu[1]) == r.dataLength()
	case binary.BigEndian.Uint16(pdu[1:]) != r.Address:
		return false
	case r.Function == WriteCoil || r.Function == WriteRegister:
		return pdu[3] == r.Data[0] && pdu[4] == r.Data[1]
	}
	return binary.BigEndian.Uint16(pdu[3:]) == r.Count
}

// mistakable reports whether the answer to one of two different requests passes for that to the other.
func mistakable(a, b Request) bool {
	if a.Slave != b.Slave || a.Function != b.Function {
		return false
	}
	// An answer to a write names what was written. One to a read has its length only.
	return a.Reads() && a.dataLength() == b.dataLength() && (a.Address != b.Address || a.Count != b.Count)
}

// same reports whether two requests are the same question.
func same(a, b Request) bool {
	return a.Slave == b.Slave && a.Function == b.Function && a.Address == b.Address && a.Count == b.Count && string(a.Data) == string(b.Data)
}
