package serial

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// telegram is what a meter with a gas meter behind it sends, as the P1 Companion Standard 5.0.2 has it. It has run for as long
// as age says; the power it draws follows the temperature.
func telegram(s State, age time.Duration) string {
	now := time.Now()
	load := power(s)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("/ISk5\\2MT382-1000")
	line("")
	line("1-3:0.2.8(50)")
	line("0-0:1.0.0(%s)", stamp(now))
	line("0-0:96.1.1(4B384547303034303436333935353037)")
	line("1-0:1.8.1(%010.3f*kWh)", 1581.123+age.Hours()*load)
	line("1-0:1.8.2(%010.3f*kWh)", 1435.706)
	line("1-0:2.8.1(%010.3f*kWh)", 0.0)
	line("1-0:2.8.2(%010.3f*kWh)", 0.0)
	line("0-0:96.14.0(0001)")
	line("1-0:1.7.0(%06.3f*kW)", load)
	line("1-0:2.7.0(00.000*kW)")
	line("0-0:96.7.21(00004)")
	line("0-0:96.7.9(00002)")
	line("1-0:99.97.0(1)(0-0:96.7.19)(180417201458S)(0000000236*s)")
	line("1-0:32.32.0(00002)")
	line("1-0:32.36.0(00000)")
	line("0-0:96.13.0()")
	line("1-0:32.7.0(230.1*V)")
	line("1-0:31.7.0(%03.0f*A)", load*1000/230.1)
	line("1-0:21.7.0(%06.3f*kW)", load)
	line("1-0:22.7.0(00.000*kW)")
	line("0-1:24.1.0(003)")
	line("0-1:96.1.0(3232323241424344313233343536373839)")
	line("0-1:24.2.1(%s)(%09.3f*m3)", stamp(now.Truncate(5*time.Minute)), 981.443+age.Hours()/10)
	b.WriteString("!")
	return fmt.Sprintf("%s%04X\r\n", b.String(), crc16(b.String()))
}

// oldTelegram is what a meter of DSMR 2.2 sends, at 9600 baud, 7E1.
func oldTelegram(s State, age time.Duration) string {
	load := power(s)
	return fmt.Sprintf("/ISk5\\2MT382-1004\r\n\r\n0-0:96.1.1(00000000000000)\r\n1-0:1.8.1(%09.3f*kWh)\r\n1-0:1.8.2(00001.001*kWh)\r\n"+
		"1-0:2.8.1(00001.001*kWh)\r\n1-0:2.8.2(00001.001*kWh)\r\n0-0:96.14.0(0001)\r\n1-0:1.7.0(%07.2f*kW)\r\n1-0:2.7.0(0000.00*kW)\r\n"+
		"0-0:17.0.0(0999.00*kW)\r\n0-0:96.3.10(1)\r\n0-0:96.13.1()\r\n0-0:96.13.0()\r\n0-1:24.1.0(3)\r\n0-1:96.1.0(000000000000)\r\n"+
		"0-1:24.3.0(%s)(00)(60)(1)(0-1:24.2.1)(m3)\r\n(%09.3f)\r\n0-1:24.4.0(1)\r\n!\r\n",
		1581.123+age.Hours()*load, load, time.Now().Truncate(time.Hour).Format("060102150405"), 981.443+age.Hours()/10)
}

// power is in kW, from 0.2 to 1.8.
func power(s State) float64 { return 1 + (s.Temperature-mean)/swing*0.8 }

// stamp is a time as meters write it: that of Central Europe, with S in summer.
func stamp(at time.Time) string {
	offset, letter := time.Hour, "W"
	if summer(at) {
		offset, letter = 2*time.Hour, "S"
	}
	return at.UTC().Add(offset).Format("060102150405") + letter
}

// summer reports whether the clocks of the European Union are forward: from the last Sunday of March to that of October,
// at 01:00 UTC (directive 2000/84/EC).
func summer(at time.Time) bool {
	lastSunday := func(month time.Month) time.Time {
		last := time.Date(at.UTC().Year(), month, 31, 1, 0, 0, 0, time.UTC)
		return last.AddDate(0, 0, -int(last.Weekday()))
	}
	return !at.Before(lastSunday(time.March)) && at.Before(lastSunday(time.October))
}

// crc16 is the checksum of telegrams: CRC-16/ARC.
func crc16(text string) uint16 {
	var crc uint16
	for i := range len(text) {
		crc ^= uint16(text[i])
		for range 8 {
			carry := crc & 1
			crc >>= 1
			if carry != 0 {
				crc ^= 0xA001
			}
		}
	}
	return crc
}

// dustFrame is what an SDS011 sends: PM2.5 of half the humidity, PM10 of all of it, in µg/m³.
func dustFrame(s State) string {
	tenths := func(f float64) (low, high byte) {
		n := uint16(math.Round(f * 10))
		return byte(n), byte(n >> 8)
	}
	frame := []byte{0xAA, 0xC0, 0, 0, 0, 0, 0xA1, 0x60, 0, 0xAB}
	frame[2], frame[3] = tenths(float64(s.Humidity) / 2)
	frame[4], frame[5] = tenths(float64(s.Humidity))
	for _, c := range frame[2:8] {
		frame[8] += c
	}
	return string(frame)
}
