package serial

import (
	"strings"
	"testing"
	"time"
)

func TestCRC16(t *testing.T) {
	t.Parallel()
	if got := crc16("123456789"); got != 0xBB3D { // the check value of CRC-16/ARC
		t.Errorf("%04X", got)
	}
}

// TestSummer: the clocks go as the zone database has them.
func TestSummer(t *testing.T) {
	t.Parallel()
	amsterdam, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	for at := time.Date(2024, 1, 1, 0, 30, 0, 0, time.UTC); at.Year() < 2034; at = at.Add(time.Hour) {
		if at.In(amsterdam).IsDST() != summer(at) || !strings.HasPrefix(stamp(at), at.In(amsterdam).Format("060102150405")) {
			t.Fatalf("%v is %s", at.In(amsterdam), stamp(at))
		}
	}
}

func TestDustFrame(t *testing.T) {
	t.Parallel()
	if got := dustFrame(State{Humidity: 48}); got != "\xaa\xc0\xf0\x00\xe0\x01\xa1\x60\xd2\xab" {
		t.Errorf("% x", got)
	}
}
