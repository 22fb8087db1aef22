package modbus

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// raw reads bytes as manuals print them.
func raw(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// TestChecksum holds the checksum against published frames: MODBUS over Serial Line V1.02, 6.2.2 (the first), and the
// manuals of XY-MD02 and of Waveshare's Modbus RTU Relay.
func TestChecksum(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"02 07 41 12", "01 04 00 01 00 01 60 0A", "01 05 00 00 FF 00 8C 3A", "01 05 00 00 00 00 CD CA", "01 0F 00 00 00 08 01 FF BE D5",
		"01 01 00 00 00 08 3D CC",
	} {
		frame := raw(s)
		n := len(frame) - 2
		if crc := checksum(frame[:n]); byte(crc) != frame[n] || byte(crc>>8) != frame[n+1] {
			t.Errorf("%s: %04x", s, crc)
		}
	}
}

// The examples of the MODBUS Application Protocol Specification V1.1b3, section 6, to slave 1.
var examples = []struct {
	name            string
	request         Request
	asked, answered string // PDUs
	data            string
}{
	{"read coils", Read(1, Coil, 19, 19), "01 00 13 00 13", "01 03 CD 6B 05", "CD 6B 05"},
	{"read discrete inputs", Read(1, Discrete, 196, 22), "02 00 C4 00 16", "02 03 AC DB 35", "AC DB 35"},
	{"read holding registers", Read(1, Holding, 107, 3), "03 00 6B 00 03", "03 06 02 2B 00 00 00 64", "02 2B 00 00 00 64"},
	{"read input registers", Read(1, Input, 8, 1), "04 00 08 00 01", "04 02 00 0A", "00 0A"},
	{"write single coil", SetCoil(1, 172, true, false), "05 00 AC FF 00", "05 00 AC FF 00", ""},
	{"write single register", SetRegisters(1, 1, raw("00 03"), false), "06 00 01 00 03", "06 00 01 00 03", ""},
	{"write multiple coils", Request{1, WriteCoils, 19, 10, raw("CD 01")}, "0F 00 13 00 0A 02 CD 01", "0F 00 13 00 0A", ""},
	{"write multiple registers", SetRegisters(1, 1, raw("00 0A 01 02"), false), "10 00 01 00 02 04 00 0A 01 02", "10 00 01 00 02", ""},
	{"exception", Read(1, Coil, 0x04A1, 1), "01 04 A1 00 01", "81 02", ""},
}

func TestExamples(t *testing.T) {
	t.Parallel()
	for _, c := range examples {
		if got := c.request.appendPDU(nil); !bytes.Equal(got, raw(c.asked)) {
			t.Errorf("%s: asks % X, want %s", c.name, got, c.asked)
		}
		for framing, frame := range map[framing][]byte{rtu{}: line(1, c.answered), mbap{}: tcp(7, c.answered)} {
			pdu, used := framing.find(frame, c.request, 7)
			if !bytes.Equal(pdu, raw(c.answered)) || used != len(frame) {
				t.Errorf("%s: %T finds % X in % X, and %d bytes are used", c.name, framing, pdu, frame, used)
			}
			if framing.length(c.request) != len(frame) && pdu[0]&failed == 0 {
				t.Errorf("%s: %T expects %d bytes, and they are %d", c.name, framing, framing.length(c.request), len(frame))
			}
		}
	}
	if got := SetCoil(1, 3, true, true).appendPDU(nil); !bytes.Equal(got, raw("0F 00 03 00 01 01 01")) {
		t.Errorf("one coil with function 15: % X", got)
	}
	if got := SetRegisters(1, 0x15, raw("01 01"), true).appendPDU(nil); !bytes.Equal(got, raw("10 00 15 00 01 02 01 01")) {
		t.Errorf("one register with function 16: % X", got)
	}
	// MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3 and 4.4.2.
	if got := (mbap{}).append(nil, Read(0xFF, Holding, 4, 1), 0x1501); !bytes.Equal(got, raw("15 01 00 00 00 06 FF 03 00 04 00 01")) {
		t.Errorf("over TCP: % X", got)
	}
	if pdu, _ := (mbap{}).find(raw("15 01 00 00 00 05 FF 03 02 00 05"), Read(0xFF, Holding, 4, 1), 0x1501); !bytes.Equal(pdu, raw("03 02 00 05")) {
		t.Errorf("over TCP: % X", pdu)
	}
}

// line is an RTU frame.
func line(slave byte, pdu string) []byte {
	frame := append([]byte{slave}, raw(pdu)...)
	crc := checksum(frame)
	return append(frame, byte(crc), byte(crc>>8))
}

// tcp is a frame of Modbus TCP.
func tcp(number byte, pdu string) []byte {
	body := raw(pdu)
	return append([]byte{0, number, 0, 0, 0, byte(len(body) + 1), 1}, body...)
}

func TestFind(t *testing.T) {
	t.Parallel()
	ask := Read(1, Input, 0, 2)
	good := line(1, "04 04 00 01 00 02")
	for name, c := range map[string]struct {
		got  []byte
		want string
		used int
	}{
		"whole":              {good, "04 04 00 01 00 02", 9},
		"behind noise":       {append(raw("00 FF 01 01 04"), good...), "04 04 00 01 00 02", 14},
		"behind the echo":    {append((rtu{}).append(nil, ask, 0), good...), "04 04 00 01 00 02", 17},
		"behind another's":   {append(line(2, "04 04 00 07 00 07"), good...), "04 04 00 01 00 02", 18},
		"an exception":       {line(1, "84 0B"), "84 0B", 5},
		"half":               {good[:5], "", 0},
		"half behind noise":  {append(raw("00 FF"), good[:5]...), "", 2},
		"of another":         {line(2, "04 04 00 01 00 02"), "", 9},
		"of another length":  {line(1, "04 02 00 01"), "", 0},
		"of another request": {line(1, "03 04 00 01 00 02"), "", 9},
		"a broken checksum":  {append(bytes.Clone(good[:8]), good[8]^1), "", 6},
		"nothing":            {nil, "", 0},
	} {
		pdu, used := rtu{}.find(c.got, ask, 0)
		if !bytes.Equal(pdu, raw(c.want)) {
			t.Errorf("%s: found % X, want %s", name, pdu, c.want)
		}
		if c.used != used && name != "a broken checksum" {
			t.Errorf("%s: %d bytes are used, want %d", name, used, c.used)
		}
	}
	late := append(tcp(6, "04 04 00 09 00 09"), tcp(7, "04 04 00 01 00 02")...)
	if pdu, used := (mbap{}).find(late, ask, 7); !bytes.Equal(pdu, raw("04 04 00 01 00 02")) || used != len(late) {
		t.Errorf("over TCP: found % X, %d used", pdu, used)
	}
	if pdu, _ := (mbap{}).find(append(raw("13 37"), late...), ask, 7); !bytes.Equal(pdu, raw("04 04 00 01 00 02")) {
		t.Errorf("over TCP, behind noise: found % X", pdu)
	}
}

// FuzzFind: whatever comes before it and in whatever pieces, the answer is found, or something with a good checksum before it;
// nothing breaks, and nothing is kept that does not have to be.
func FuzzFind(f *testing.F) {
	f.Add([]byte{}, byte(1), uint8(0), uint8(3))
	f.Add(line(1, "04 04 00 01 00 02"), byte(1), uint8(3), uint8(1))
	f.Add(line(1, "84 02"), byte(1), uint8(2), uint8(2))
	f.Add(raw("01 04 01 04 01 04 04 01"), byte(1), uint8(3), uint8(5))
	f.Add(tcp(7, "83 02"), byte(0), uint8(8), uint8(4))
	f.Fuzz(func(t *testing.T, noise []byte, slave byte, which, size uint8) {
		c := examples[int(which)%len(examples)]
		r := c.request
		r.Slave = slave
		for _, framing := range []framing{rtu{}, mbap{}} {
			answer := line(slave, c.answered)
			if framing == (mbap{}) {
				answer = tcp(7, c.answered)
				noise = bytes.Repeat(noise, min(1, 300/(len(noise)+1)))
			}
			var kept, pdu []byte
			stream := append(bytes.Clone(noise), answer...)
			for len(stream) > 0 && pdu == nil {
				n := min(int(size%16)+1, len(stream))
				kept, stream = append(kept, stream[:n]...), stream[n:]
				var used int
				if pdu, used = framing.find(kept, r, 7); used < 0 || used > len(kept) {
					t.Fatalf("%d of %d bytes are used", used, len(kept))
				}
				if pdu == nil {
					kept = kept[used:]
				}
				if len(kept) > 2*maxFrame {
					t.Fatalf("%d bytes are kept", len(kept))
				}
			}
			switch {
			case pdu == nil && framing == rtu{}:
				t.Fatalf("% X was not found behind % X", answer, noise)
			case pdu == nil: // over TCP noise can claim to be a long frame
			case pdu[0]&^failed != byte(r.Function) || pdu[0]&failed == 0 && len(pdu) != r.answerLength():
				t.Fatalf("% X is no answer to % X", pdu, r.appendPDU(nil))
			}
		}
	})
}

func BenchmarkFind(b *testing.B) {
	r := Read(1, Input, 0, 80)
	pdu := append([]byte{4, 160}, make([]byte, 160)...)
	frame := line(1, hex.EncodeToString(pdu))
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if found, _ := (rtu{}).find(frame, r, 0); found == nil {
			b.Fatal("not found")
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	var buf [maxFrame]byte
	r := Read(1, Input, 0, 80)
	b.ReportAllocs()
	for b.Loop() {
		if len(rtu{}.append(buf[:0], r, 0)) != 8 {
			b.Fatal("no request")
		}
	}
}
