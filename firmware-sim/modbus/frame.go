package modbus

import "encoding/binary"

// crc is the checksum of MODBUS over Serial Line V1.02, 6.2.2, bit by bit.
func crc(frame []byte) uint16 {
	sum := uint16(0xFFFF)
	for _, b := range frame {
		sum ^= uint16(b)
		for range 8 {
			low := sum & 1
			sum >>= 1
			if low == 1 {
				sum ^= 0xA001
			}
		}
	}
	return sum
}

// cut takes the first whole request out of what came. address is -1 where there is none yet; rest is what is left.
func cut(got []byte, tcp bool) (address int, pdu, head, rest []byte) {
	for len(got) > 0 {
		var length int
		if tcp {
			if len(got) < 8 {
				return -1, nil, nil, got
			}
			length = 6 + int(binary.BigEndian.Uint16(got[4:]))
			if length < 12 || length > 260 {
				got = got[1:]
				continue
			}
			if len(got) < length {
				return -1, nil, nil, got
			}
			return int(got[6]), got[7:length], got[:4], got[length:]
		}
		if len(got) < 8 {
			return -1, nil, nil, got
		}
		length = 8
		if got[1] == 15 || got[1] == 16 {
			length = 9 + int(got[6])
		}
		if len(got) < length && length <= 256 {
			return -1, nil, nil, got
		}
		if length > 256 || crc(got[:length-2]) != binary.LittleEndian.Uint16(got[length-2:]) {
			got = got[1:] // noise, or another slave's answer
			continue
		}
		return int(got[0]), got[1 : length-2], nil, got[length:]
	}
	return -1, nil, nil, got
}

// whole reports whether a PDU has as many values as it says.
func whole(pdu []byte) bool {
	if len(pdu) < 5 {
		return false
	}
	n := int(binary.BigEndian.Uint16(pdu[3:]))
	switch pdu[0] {
	case 15:
		return len(pdu) == 6+(n+7)/8 && int(pdu[5]) == (n+7)/8
	case 16:
		return len(pdu) == 6+2*n && int(pdu[5]) == 2*n
	}
	return len(pdu) == 5
}

// frame puts an answer into a frame.
func frame(address byte, pdu, head []byte) []byte {
	if head != nil {
		out := append([]byte{}, head...)
		out = binary.BigEndian.AppendUint16(out, uint16(len(pdu)+1))
		return append(append(out, address), pdu...)
	}
	out := append([]byte{address}, pdu...)
	return binary.LittleEndian.AppendUint16(out, crc(out))
}
