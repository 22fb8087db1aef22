package modbus

import (
	"bytes"
	"encoding/binary"
)

// maxFrame is the longest frame there is: 256 bytes on a line, 260 over TCP.
const maxFrame = 260

// A framing puts requests into frames and finds answers in what comes.
type framing interface {
	// append appends the frame of a request. number tells requests apart where the framing can.
	append(dst []byte, r Request, number uint16) []byte
	// find looks for the answer in bytes and returns its PDU, which is part of them, and how many of the bytes can
	// be forgotten: all up to its end, or what cannot be the beginning of one.
	find(got []byte, r Request, number uint16) (pdu []byte, used int)
	// length is that of the frame around the answer to a request.
	length(r Request) int
}

// rtu is the framing of a serial line: slave, PDU, checksum.
type rtu struct{}

func (rtu) append(dst []byte, r Request, _ uint16) []byte {
	start := len(dst)
	dst = r.appendPDU(append(dst, r.Slave))
	return binary.LittleEndian.AppendUint16(dst, checksum(dst[start:]))
}

func (rtu) length(r Request) int { return 1 + r.answerLength() + 2 }

// find tries every place that begins with the slave's address: what is before it is noise, a late answer, or the echo of
// an adapter. Nothing but a good checksum makes it the answer, so a place that only looks like a beginning holds up
// nothing.
func (rtu) find(got []byte, r Request, _ uint16) (pdu []byte, used int) {
	whole := 1 + r.answerLength() + 2
	used = len(got) // nothing in it is worth keeping, until there is
	for at := 0; at < len(got); at++ {
		next := bytes.IndexByte(got[at:], r.Slave)
		if next < 0 {
			break
		}
		at += next
		rest := got[at:]
		length := whole
		switch {
		case len(rest) < 2:
		case rest[1] == byte(r.Function)|failed:
			length = 5
		case rest[1] != byte(r.Function):
			continue
		}
		if len(rest) < length {
			used = min(used, at)
			continue
		}
		frame := rest[:length]
		if checksum(frame[:length-2]) != binary.LittleEndian.Uint16(frame[length-2:]) {
			continue
		}
		if pdu = frame[1 : length-2]; length == 5 || r.answers(pdu) {
			return pdu, at + length
		}
	}
	return nil, used
}

// mbap is the framing of Modbus TCP: a header with the number of the request, then slave and PDU.
type mbap struct{}

const mbapHeader = 7

func (mbap) append(dst []byte, r Request, number uint16) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, number)
	dst = append(dst, 0, 0, 0, 0, r.Slave) // protocol 0; the length follows
	dst = r.appendPDU(dst)
	binary.BigEndian.PutUint16(dst[start+4:], uint16(len(dst)-start-6))
	return dst
}

func (mbap) length(r Request) int { return mbapHeader + r.answerLength() }

func (mbap) find(got []byte, r Request, number uint16) (pdu []byte, used int) {
	for len(got)-used >= mbapHeader {
		head := got[used:]
		length := int(binary.BigEndian.Uint16(head[4:]))
		if head[2] != 0 || head[3] != 0 || length < 3 || length > maxFrame-6 {
			used++ // no header: the stream has lost its step
			continue
		}
		if len(head) < 6+length {
			return nil, used
		}
		used += 6 + length
		frame := head[mbapHeader : 6+length]
		if binary.BigEndian.Uint16(head) != number {
			continue // late. The slave is not looked at: some give 0 or 255 for their own
		}
		if len(frame) == 2 && frame[0] == byte(r.Function)|failed || len(frame) == r.answerLength() && r.answers(frame) {
			return frame, used
		}
	}
	return nil, used
}
