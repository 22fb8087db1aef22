package onewire

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// A faultError is what a sensor says that is no temperature.
type faultError struct{ text string }

func (e *faultError) Error() string { return e.text }

// parse reads a file w1_slave, whose form is w1_therm.c's in the kernel: nine bytes of scratchpad (Maxim, DS18B20, figure 9) with
// what the kernel thinks of the checksum, and the same bytes with thousandths of a degree.
//
//	72 01 4b 46 7f ff 0e 10 57 : crc=57 YES
//	72 01 4b 46 7f ff 0e 10 57 t=23125
func parse(text string) (celsius float64, err error) {
	first, second, _ := strings.Cut(strings.TrimSpace(text), "\n")
	scratch, _, ok := strings.Cut(first, ":")
	bytes, hexErr := hex.DecodeString(strings.ReplaceAll(scratch, " ", ""))
	_, milli, hasTemperature := strings.Cut(second, "t=")
	n, numberErr := strconv.Atoi(strings.TrimSpace(milli))
	switch {
	case !ok || hexErr != nil || len(bytes) != 9 || !hasTemperature || numberErr != nil:
		return 0, &faultError{fmt.Sprintf("the kernel says %.80q, which is no measurement", text)}
	case crc8(bytes[:8]) != bytes[8] || !strings.Contains(first, "YES"):
		return 0, &faultError{"the checksum is wrong: the wire is long, or disturbed"}
	case string(bytes) == string(make([]byte, 9)):
		return 0, &faultError{"it says nothing but zeros: the data wire is at ground"}
	case bytes[6] == 0x0C && (bytes[0] == 0x50 && bytes[1] == 0x05 || bytes[0] == 0xAA && bytes[1] == 0x00):
		return 0, &faultError{"it says 85 °C, as after a power-on: it had not enough power to measure"}
	}
	celsius = float64(n) / 1000
	if celsius < -55 || celsius > 125 {
		return 0, &faultError{fmt.Sprintf("%g °C cannot be: it measures -55 to 125 °C", celsius)}
	}
	return celsius, nil
}

// crc8 is Maxim's checksum (application note 27): polynomial 0x31, the lowest bit first.
func crc8(data []byte) byte {
	var crc byte
	for _, b := range data {
		crc ^= b
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0x8C
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}
