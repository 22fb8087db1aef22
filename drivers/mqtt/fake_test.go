package mqtt_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt"
	"tidings/drivers/mqtt/discovery"
)

func init() {
	mqtt.AddConvention("fake", func() discovery.Convention { return &fake{said: map[string]announcement{}} })
}

// fake is a convention as small as one can be: fake/KEY/config has a device in JSON.
type fake struct{ said map[string]announcement }

// slowly is how long the convention takes for each announcement that begins so.
const slowly = "slowly "

type announcement struct {
	Name, Model, Area string
	Points            []fakePoint
	Availability      []string // topics, which say online or offline
	Mode              discovery.Mode
	Notes             []string
	Panic             string // where to: "take", "device", "read", "write"
	Silence           time.Duration
	Ask               string // topic
}

type fakePoint struct {
	Name, Kind       string
	State            string
	Command          []string // topic or topic=payload; without a payload the value is; empty: nothing is published
	Availability     []string
	Expire, OffDelay time.Duration
	Value            string // what the announcement itself says
	QoS              int8
	Retain           bool
	Panic            string
}

func (f *fake) Filters() []string { return []string{"fake/+/config", "fake/answers"} }

func (f *fake) Start() []discovery.Message {
	return []discovery.Message{{Topic: "fake/ask", Payload: []byte("who is there?"), QoS: -1}}
}

func (f *fake) Take(m *discovery.Message) (changed []string, publish []discovery.Message) {
	key := strings.TrimSuffix(strings.TrimPrefix(m.Topic, "fake/"), "/config")
	if len(m.Payload) == 0 {
		delete(f.said, key)
		return []string{key}, nil
	}
	if strings.HasPrefix(string(m.Payload), slowly) {
		time.Sleep(3 * time.Millisecond)
		return nil, nil
	}
	var a announcement
	if err := json.Unmarshal(m.Payload, &a); err != nil {
		return nil, nil
	}
	if a.Panic == "take" {
		panic("take")
	}
	if was, ok := f.said[key]; ok && fmt.Sprint(was) == fmt.Sprint(a) {
		return nil, nil
	}
	f.said[key] = a
	return []string{key}, []discovery.Message{{Topic: "fake/" + key + "/hello", Payload: []byte("hello"), QoS: -1}}
}

func (f *fake) Device(key string) *discovery.Device {
	a, ok := f.said[key]
	if !ok {
		return nil
	}
	if a.Panic == "device" {
		panic("device")
	}
	d := &discovery.Device{Key: key, Name: a.Name, Model: a.Model, Area: a.Area, Address: "fake/" + key, Notes: a.Notes, Silence: a.Silence}
	d.Available = fakeAvailability(a.Mode, a.Availability)
	if a.Ask != "" {
		d.Ask = []discovery.Message{*discovery.NewMessage(a.Ask, []byte("how are you?"))}
	}
	for _, p := range a.Points {
		d.Points = append(d.Points, p.point())
	}
	return d
}

func fakeAvailability(mode discovery.Mode, topics []string) *discovery.Availability {
	if len(topics) == 0 {
		return nil
	}
	out := &discovery.Availability{Mode: mode}
	for _, topic := range topics {
		out.Topics = append(out.Topics, discovery.AvailabilityTopic{Topic: topic, Read: func(m *discovery.Message) (bool, error) {
			switch string(m.Payload) {
			case "online":
				return true, nil
			case "offline":
				return false, nil
			}
			return false, errors.New("neither")
		}})
	}
	return out
}

func (p fakePoint) point() discovery.Point {
	kind, _ := devices.ParsePointKind(p.Kind)
	out := discovery.Point{
		Point: devices.Point{Name: p.Name, Kind: kind}, Available: fakeAvailability(discovery.Latest, p.Availability), Expire: p.Expire, OffDelay: p.OffDelay,
	}
	if p.Value != "" {
		out.Value, _ = devices.ParseValue(kind, p.Value)
	}
	if p.State != "" {
		out.Sources = []discovery.Source{{Topic: p.State, Read: func(m *discovery.Message) (devices.Value, error) {
			if p.Panic == "read" {
				panic("read")
			}
			return devices.ParseValue(kind, string(m.Payload))
		}}}
	}
	if len(p.Command) > 0 {
		out.Write = func(v devices.Value) ([]discovery.Message, error) {
			if p.Panic == "write" {
				panic("write")
			}
			if p.Command[0] == "" {
				return nil, nil
			}
			messages := make([]discovery.Message, len(p.Command))
			for i, c := range p.Command {
				topic, payload, ok := strings.Cut(c, "=")
				if !ok {
					payload = v.String()
				}
				messages[i] = discovery.Message{Topic: topic, Payload: []byte(payload), Retained: p.Retain, QoS: p.QoS}
			}
			return messages, nil
		}
	}
	return out
}

// text is the announcement as it is published.
func (a announcement) text() string {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return string(text)
}
