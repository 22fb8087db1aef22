package chips

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// The compensations of the data sheets, held to their examples, and to what they are turned round from.
func TestBoschFormulas(t *testing.T) {
	t.Parallel()
	// BST-BMP280-DS001, section 3.12.
	tFine := fine(519888)
	if c := temperatureOf(tFine); math.Abs(c-25.08) > 0.005 {
		t.Errorf("%v °C", c)
	}
	if p := pressureOf(415148, tFine); math.Abs(p-100653.27) > 0.05 {
		t.Errorf("%v Pa", p)
	}
	b := NewBME280()
	for _, c := range []struct{ t, h, p float64 }{{21.5, 48, 1013.25}, {-30, 5, 900}, {60, 95, 1080}} {
		b.Set(c.t, c.h, c.p)
		adcT, adcP, adcH := b.invert()
		tFine := fine(float64(adcT))
		if got := temperatureOf(tFine); math.Abs(got-c.t) > 0.01 {
			t.Errorf("%v °C become %v", c.t, got)
		}
		if got := pressureOf(float64(adcP), tFine) / 100; math.Abs(got-c.p) > 0.05 {
			t.Errorf("%v hPa become %v", c.p, got)
		}
		if got := humidityOf(float64(adcH), tFine); math.Abs(got-c.h) > 0.05 {
			t.Errorf("%v %% become %v", c.h, got)
		}
	}
}

// TestChecksum is the example of Sensirion's data sheets.
func TestChecksum(t *testing.T) {
	t.Parallel()
	if crc := check8(0xBE, 0xEF); crc != 0x92 {
		t.Errorf("0x%02x", crc)
	}
}

func TestMeasurementTakesItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus, climate := NewBus(), NewBME280()
		bus.Put(0x76, climate)
		h, err := bus.Open()
		if err != nil {
			t.Fatal(err)
		}
		read := func(reg byte) byte {
			t.Helper()
			r := []byte{0}
			if err := h.Tx(0x76, []byte{reg}, r); err != nil {
				t.Fatal(err)
			}
			return r[0]
		}
		if id := read(0xD0); id != 0x60 {
			t.Errorf("id 0x%02x", id)
		}
		if err := h.Tx(0x76, []byte{0xF4, 0x25}, nil); err != nil {
			t.Fatal(err)
		}
		if read(0xF3)&8 == 0 {
			t.Error("done at once")
		}
		time.Sleep(10 * time.Millisecond)
		if read(0xF3)&8 != 0 || read(0xF4)&3 != 0 {
			t.Error("it goes on")
		}
		if read(0xFD) != 0x80 { // ctrl_hum is 0
			t.Error("humidity was measured and not asked for")
		}
		if err := h.Tx(0x77, []byte{0}, nil); err == nil {
			t.Error("nobody answers")
		}
		bus.SetGone(true)
		if h.Check() == nil || h.Tx(0x76, []byte{0}, nil) == nil {
			t.Error("the bus is gone")
		}
		if _, err := bus.Open(); err == nil {
			t.Error("opened a bus that is gone")
		}
	})
}

func TestExpanderAfterPowerOn(t *testing.T) {
	t.Parallel()
	m := NewMCP23017()
	if err := m.transfer([]byte{0x14, 0xff, 0xff}, nil); err != nil { // the latches
		t.Fatal(err)
	}
	if m.Level(0) || m.Rises(0) != 0 {
		t.Error("an input is driven")
	}
	if err := m.transfer([]byte{0x00, 0xfe, 0x7f}, nil); err != nil { // A0 and B7 are outputs
		t.Fatal(err)
	}
	if !m.Level(0) || !m.Level(15) || m.Level(1) || m.Rises(15) != 1 {
		t.Error("the outputs are not what the latches say")
	}
	m.Set(3, true)
	r := make([]byte, 2)
	if err := m.transfer([]byte{0x12}, r); err != nil || r[0] != 0b1001 || r[1] != 0x80 {
		t.Errorf("%08b %08b, %v", r[0], r[1], err)
	}
	m.reset()
	if m.Level(0) || m.Level(15) {
		t.Error("outputs without power")
	}
}
