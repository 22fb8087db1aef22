package homeassistant

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

// Options describe the sensors.
type Options struct {
	Name  string // of the client, and the beginning of the ids; default sensors
	Count int
	// Single has each point announced by a message of its own, as most firmware does.
	Single bool
	Every  time.Duration // from one state of a sensor to its next; default 30 s
}

// A point is one of each sensor.
type point struct {
	key, class, unit string
	digits           int
	mean, swing      float64
}

// Points are how many each sensor has.
const Points = 8

var points = [Points]point{
	{"temperature", "temperature", "°C", 2, 20, 5}, {"humidity", "humidity", "%", 1, 50, 15},
	{"pressure", "atmospheric_pressure", "hPa", 1, 1013, 8}, {"illuminance", "illuminance", "lx", 0, 300, 250},
	{"co2", "carbon_dioxide", "ppm", 0, 700, 250}, {"pm25", "pm25", "µg/m³", 1, 8, 6},
	{"battery", "battery", "%", 0, 80, 10}, {"signal", "signal_strength", "dBm", 0, -65, 10},
}

// Sensors are firmware.
type Sensors struct {
	options Options
	renamed bool
	gone    bool
	next    int // whose turn it is
	last    time.Time
	due     float64 // turns that are owed
}

// New makes sensors.
func New(o Options) *Sensors {
	o.Name, o.Every = cmp.Or(o.Name, "sensors"), cmp.Or(o.Every, 30*time.Second)
	return &Sensors{options: o}
}

// ID is the client's.
func (s *Sensors) ID() string { return s.options.Name }

// Will says that none of them is there.
func (s *Sensors) Will() board.Message { return s.presence("status", "offline") }

func (s *Sensors) presence(of, word string) board.Message {
	return board.Message{Topic: s.options.Name + "/" + of, Payload: word, Retained: true, About: board.Presence}
}

// Filters are none: nothing can be set.
func (s *Sensors) Filters() []string { return nil }

func (s *Sensors) id(i int) string { return fmt.Sprintf("%s-%04d", s.options.Name, i) }

// Start announces all sensors, and says all states.
func (s *Sensors) Start(now time.Time) []board.Message {
	s.last = now
	out := make([]board.Message, 0, 1+s.options.Count*4)
	out = append(out, s.presence("status", "online"))
	for i := range s.options.Count {
		out = append(out, s.announce(i)...)
		out = append(out, s.presence(s.id(i)+"/availability", "online"), s.state(now, i))
	}
	return out
}

// announce announces one sensor, or takes that back.
func (s *Sensors) announce(i int) []board.Message {
	id := s.id(i)
	name := "Sensor " + strconv.Itoa(i)
	if s.renamed {
		name += " b"
	}
	base := s.options.Name + "/" + id
	common := map[string]any{
		"state_topic": base, "availability_mode": "all",
		"availability": []map[string]string{{"topic": s.options.Name + "/status"}, {"topic": base + "/availability"}},
		"origin":       map[string]string{"name": "firmware-sim"},
		"device": map[string]any{"identifiers": []string{id}, "name": name, "manufacturer": "firmware-sim", "model": "Eight sensors",
			"suggested_area": "Floor " + strconv.Itoa(i%10)},
	}
	components := map[string]map[string]any{}
	for _, p := range points {
		components[p.key] = map[string]any{"platform": "sensor", "unique_id": id + "_" + p.key, "device_class": p.class, "unit_of_measurement": p.unit,
			"state_class": "measurement", "value_template": "{{ value_json." + p.key + " }}"}
	}
	if !s.options.Single {
		common["components"] = components
		return []board.Message{s.announcement("homeassistant/device/"+id+"/config", common)}
	}
	var out []board.Message
	for _, p := range points {
		one := components[p.key]
		delete(one, "platform")
		for k, v := range common {
			one[k] = v
		}
		out = append(out, s.announcement("homeassistant/sensor/"+id+"/"+p.key+"/config", one))
	}
	return out
}

func (s *Sensors) announcement(topic string, config map[string]any) board.Message {
	m := board.Message{Topic: topic, Retained: true, About: board.Announcement}
	if !s.gone {
		m.Payload = board.JSON(config)
	}
	return m
}

// state is what a sensor measures.
func (s *Sensors) state(now time.Time, i int) board.Message {
	text := make([]byte, 0, 160)
	phase := float64(now.UnixMilli())/600_000 + float64(i)
	for n, p := range points {
		text = append(text, map[bool]byte{true: '{', false: ','}[n == 0])
		text = append(strconv.AppendQuote(text, p.key), ':')
		text = strconv.AppendFloat(text, p.mean+p.swing*math.Sin(phase+float64(n)), 'f', p.digits, 64)
	}
	return board.Message{Topic: s.options.Name + "/" + s.id(i), Payload: string(append(text, '}')), Retained: true}
}

// Step says the states that are due: each sensor's once in Options.Every, one after the other.
func (s *Sensors) Step(now time.Time) []board.Message {
	if s.options.Count == 0 || s.gone {
		return nil
	}
	s.due = min(s.due+float64(s.options.Count)*now.Sub(s.last).Seconds()/s.options.Every.Seconds(), float64(s.options.Count))
	s.last = now
	out := make([]board.Message, 0, int(s.due))
	for ; s.due >= 1; s.due-- {
		out = append(out, s.state(now, s.next))
		s.next = (s.next + 1) % s.options.Count
	}
	return out
}

// Take has nothing to obey.
func (s *Sensors) Take(time.Time, string, string) []board.Message { return nil }

// Stop says that they go.
func (s *Sensors) Stop() []board.Message { return []board.Message{s.presence("status", "offline")} }

// Rename calls all of them something else.
func (s *Sensors) Rename(_ time.Time, on bool) []board.Message {
	s.renamed = on
	return s.again()
}

// Vanish takes all announcements back, or makes them again.
func (s *Sensors) Vanish(_ time.Time, on bool) []board.Message {
	s.gone = on
	return s.again()
}

func (s *Sensors) again() (out []board.Message) {
	for i := range s.options.Count {
		out = append(out, s.announce(i)...)
	}
	return out
}
