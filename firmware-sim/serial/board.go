package serial

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
)

// The temperature goes around 30 °C, eight up and eight down, and starts on the way up.
const mean, swing = 30.0, 8.0

func (n *Node) state() State {
	phase := 2 * math.Pi * float64(time.Since(n.begun)) / float64(n.opts.Period)
	s := State{Temperature: mean + swing*math.Sin(phase), Humidity: 48 - int(6*math.Sin(phase)), Relay: n.relay, Target: n.target}
	if s.Relay {
		s.Humidity += 10 // it is wet where the pump runs
	}
	return s
}

// message is what the board says now.
func (n *Node) message() string {
	s := n.state()
	switch n.opts.Kind {
	case Meter:
		return telegram(s, time.Since(n.begun))
	case OldMeter:
		return oldTelegram(s, time.Since(n.begun))
	case Dust:
		return dustFrame(s)
	case Logger:
		row := fmt.Sprintf("%d,%.1f,%d\r\n", int(time.Since(n.begun).Seconds()), s.Temperature, s.Humidity)
		if n.rows++; n.rows%10 == 1 {
			row = "seconds,t,h\r\n" + row
		}
		return row
	case Station:
		pump := "OFF"
		if s.Relay {
			pump = "ON"
		}
		return fmt.Sprintf("Temp: %.1f C, hum %d%%\r\nPump %s\r\n", s.Temperature, s.Humidity, pump)
	case Bed:
		id := ""
		if n.opts.ID != "" {
			id = " id=" + n.opts.ID
		}
		valve := "off"
		if s.Relay {
			valve = "on"
		}
		return fmt.Sprintf("t=%.1f h=%d valve=%s%s\r\n", s.Temperature, s.Humidity, valve, id)
	}
	id := ""
	if n.opts.ID != "" {
		id = fmt.Sprintf(`"id":%q,`, n.opts.ID)
	}
	return fmt.Sprintf(`{%s"t":%d,"h":%d,"pump":%t,"set":%.1f}`+"\r\n", id, int(math.Round(s.Temperature*10)), s.Humidity, s.Relay, s.Target)
}

// take obeys one command and reports whether the line was one. A stuck relay takes it too.
func (n *Node) take(line string) bool {
	relay := n.relay
	switch n.opts.Kind {
	case Bed, Station:
		var known bool
		if relay, known = map[string]bool{"valve=on": true, "valve=off": false, "pump on": true, "pump off": false}[strings.TrimSpace(line)]; !known ||
			strings.HasPrefix(line, "valve") != (n.opts.Kind == Bed) {
			return false
		}
	case Greenhouse:
		var command struct {
			Pump *bool
			Set  *float64
		}
		if json.Unmarshal([]byte(line), &command) != nil || command.Pump == nil && command.Set == nil {
			return false
		}
		if command.Pump != nil {
			relay = *command.Pump
		}
		if command.Set != nil && *command.Set >= 5 && *command.Set <= 30 {
			n.target = *command.Set
		}
	default:
		return false // it takes no commands
	}
	if !n.faults[Stuck] {
		n.relay = relay
	}
	return true
}

// bootMessage is how a small board greets: the noise of a ROM at another speed, then its own.
const bootMessage = "\x00\xf8\x80\xe0\r\nets Jan  8 2013,rst cause:1, boot mode:(3,6)\r\nload 0x40100000, len 1396\r\ngreenhouse 1.4 ready\r\n"

// garbage is what gets in the way before a message; turn goes through the kinds of it.
func (n *Node) garbage(turn int) string {
	switch n.opts.Kind {
	case Meter, OldMeter:
		return []string{"\x00\xff\xff", "/ISk5\\2MT382-1000\r\n\r\n1-0:1.8.1(99", strings.Repeat("U", 10000), "!1234\r\n", "1-0:1.7.0(99.999*kW)\r\n", ""}[turn%6]
	case Dust:
		return []string{"\x00\xff", "\xaa\xc0\xff\xff", "\xaa\xaa", "\xaa\xc5\x02\x01\x01\x00\xa1\x60\x05\xab", strings.Repeat("\xab", 100), ""}[turn%6]
	}
	switch turn % 6 {
	case 0:
		return "\xff\xfe\x00\x9c\r\n"
	case 1:
		return `{"t":21` // runs into the good line
	case 2:
		return strings.Repeat("U", 5000) + "\r\n"
	case 3:
		return "]}{\"\r\n\r\n=\r\n"
	case 4:
		return "t=\xc3\x28 \x1b[2J" // runs into the good line
	}
	return "" // and one that comes through
}
