package zigbee2mqtt

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

const version = "2.6.3"

// Options describe a bridge. The zero value is one with the usual names.
type Options struct {
	Base      string        // of its topics; default zigbee2mqtt
	Discovery string        // the prefix of announcements; default homeassistant
	IEEE      string        // of its coordinator
	Settle    time.Duration // from Home Assistant's birth to all states; default 30 s
}

// A Bridge is firmware: one MQTT client with all its devices. Its methods are not safe for concurrent use; board.Board.Do calls
// those that change a device while it runs.
type Bridge struct {
	options Options
	devices []*Device
	begun   bool
	resay   time.Time // when all states are said again; zero: not
}

// New makes a bridge with devices, which belong to it from then on.
func New(o Options, devices ...*Device) *Bridge {
	o.Base = cmp.Or(o.Base, "zigbee2mqtt")
	o.Discovery = cmp.Or(o.Discovery, "homeassistant")
	o.IEEE = cmp.Or(o.IEEE, "0x00124b0024c8d4a1")
	o.Settle = cmp.Or(o.Settle, 30*time.Second)
	return &Bridge{options: o, devices: devices}
}

func (b *Bridge) topic(rest string) string { return b.options.Base + "/" + rest }

// ID is the client's.
func (b *Bridge) ID() string { return "mqttjs_" + b.options.Base }

// Will says that the bridge is offline.
func (b *Bridge) Will() board.Message { return b.presence("bridge/state", false) }

func (b *Bridge) presence(of string, online bool) board.Message {
	state := map[bool]string{true: "online", false: "offline"}[online]
	return board.Message{Topic: b.topic(of), Payload: `{"state":"` + state + `"}`, Retained: true, QoS: 1, About: board.Presence}
}

// Filters are what it listens to.
func (b *Bridge) Filters() []string {
	return []string{b.options.Base + "/+/set", b.options.Base + "/+/set/+", b.options.Base + "/+/get", b.options.Base + "/bridge/request/#",
		b.options.Discovery + "/status"}
}

// Start says everything there is.
func (b *Bridge) Start(now time.Time) []board.Message {
	if !b.begun {
		b.begun = true
		for _, d := range b.devices {
			d.setUp(now)
		}
	}
	out := []board.Message{
		b.presence("bridge/state", true),
		{Topic: b.topic("bridge/info"), Retained: true, About: board.Announcement,
			Payload: board.JSON(map[string]any{"version": version, "coordinator": map[string]any{"ieee_address": b.options.IEEE, "type": "zStack3x0"},
				"permit_join": false})},
		b.list(),
	}
	for _, d := range b.devices {
		if d.removed {
			continue
		}
		out = append(out, b.announce(d, false)...)
		out = append(out, b.presence(d.Name+"/availability", !d.lost))
		out = append(out, b.say(now, d)) // what it had when it was stopped
	}
	return out
}

// list is bridge/devices.
func (b *Bridge) list() board.Message {
	list := []map[string]any{{"ieee_address": b.options.IEEE, "type": "Coordinator", "friendly_name": "Coordinator", "interview_completed": true}}
	for _, d := range b.devices {
		if p := products[d.Kind]; !d.removed {
			list = append(list, map[string]any{"ieee_address": d.IEEE, "type": "EndDevice", "friendly_name": d.Name, "supported": true,
				"interview_completed": true, "definition": map[string]any{"vendor": p.vendor, "model": p.model, "description": p.description}})
		}
	}
	return board.Message{Topic: b.topic("bridge/devices"), Payload: board.JSON(list), Retained: true, About: board.Announcement}
}

// say is the state of a device.
func (b *Bridge) say(now time.Time, d *Device) board.Message {
	d.measure(now)
	d.said = now
	return board.Message{Topic: b.topic(d.Name), Payload: board.JSON(d.state)}
}

// Step says what has changed, or is due.
func (b *Bridge) Step(now time.Time) []board.Message {
	all := !b.resay.IsZero() && !now.Before(b.resay)
	if all {
		b.resay = time.Time{}
	}
	var out []board.Message
	for _, d := range b.devices {
		if d.lost || d.removed {
			continue
		}
		if urgent := d.measure(now); all || urgent || now.Sub(d.said) >= d.Every {
			out = append(out, b.say(now, d))
		}
	}
	return out
}

// Stop says that the bridge goes.
func (b *Bridge) Stop() []board.Message { return []board.Message{b.presence("bridge/state", false)} }

// Take obeys what came.
func (b *Bridge) Take(now time.Time, topic, payload string) []board.Message {
	if topic == b.options.Discovery+"/status" {
		if strings.ToLower(payload) == "online" {
			b.resay = now.Add(b.options.Settle)
		}
		return nil
	}
	rest := strings.TrimPrefix(topic, b.options.Base+"/")
	if request, ok := strings.CutPrefix(rest, "bridge/request/"); ok {
		return b.request(now, request, payload)
	}
	name, what, _ := strings.Cut(rest, "/")
	d := b.find(name)
	if d == nil || d.lost {
		return nil
	}
	if what == "get" {
		return []board.Message{b.say(now, d)}
	}
	_, attribute, _ := strings.Cut(what, "/")
	obeyed := false
	for _, s := range settings(attribute, payload) {
		obeyed = d.set(now, s.attribute, s.value) || obeyed
	}
	if !obeyed {
		return nil
	}
	return []board.Message{b.say(now, d)}
}

// find is the device of a friendly name, or of an address.
func (b *Bridge) find(name string) *Device {
	for _, d := range b.devices {
		if !d.removed && (d.Name == name || d.IEEE == name) {
			return d
		}
	}
	return nil
}

type setting struct {
	attribute string
	value     any
}

// settings are what a payload on /set asks for: those of a JSON object, or a plain state. The state comes first, so that a
// brightness beside it has the last word.
func settings(attribute, payload string) []setting {
	var v any
	if json.Unmarshal([]byte(payload), &v) != nil {
		v = payload
	}
	if attribute != "" {
		return []setting{{attribute, v}}
	}
	object, ok := v.(map[string]any)
	if !ok {
		return []setting{{"state", strings.ToUpper(payload)}}
	}
	var out []setting
	for _, key := range []string{"state", "brightness", "color_temp", "color", "position", "effect", "occupied_heating_setpoint", "system_mode"} {
		if v, ok := object[key]; ok {
			out = append(out, setting{key, v})
		}
	}
	return out
}

// request answers the API of the bridge.
func (b *Bridge) request(now time.Time, what, payload string) []board.Message {
	var asked struct {
		From, To, ID string
		Transaction  any
	}
	if json.Unmarshal([]byte(payload), &asked) != nil {
		asked.ID = payload
	}
	var out []board.Message
	err := errors.New("no such request")
	data := map[string]any{}
	switch what {
	case "device/rename":
		out, err = b.rename(now, asked.From, asked.To)
		data["from"], data["to"] = asked.From, asked.To
	case "device/remove":
		out, err = b.remove(asked.ID)
		data["id"] = asked.ID
	}
	answer := map[string]any{"data": data, "status": "ok"}
	if err != nil {
		answer = map[string]any{"data": map[string]any{}, "status": "error", "error": err.Error()}
	}
	if asked.Transaction != nil {
		answer["transaction"] = asked.Transaction
	}
	return append(out, board.Message{Topic: b.topic("bridge/response/" + what), Payload: board.JSON(answer)})
}

func (b *Bridge) rename(now time.Time, from, to string) ([]board.Message, error) {
	d := b.find(from)
	switch {
	case d == nil:
		return nil, noDevice(from)
	case to == "" || b.find(to) != nil:
		return nil, fmt.Errorf("friendly_name '%s' is already in use", to)
	}
	out := []board.Message{{Topic: b.topic(d.Name) + "/availability", Retained: true, QoS: 1, About: board.Presence}}
	d.Name = to
	out = append(out, b.announce(d, false)...)
	return append(out, b.presence(d.Name+"/availability", !d.lost), b.list(), b.say(now, d)), nil
}

func (b *Bridge) remove(name string) ([]board.Message, error) {
	d := b.find(name)
	if d == nil {
		return nil, noDevice(name)
	}
	out := b.announce(d, true)
	d.removed = true
	return append(out, board.Message{Topic: b.topic(d.Name) + "/availability", Retained: true, QoS: 1, About: board.Presence}, b.list()), nil
}

// noDevice is what the bridge says of a name it does not know.
func noDevice(name string) error { return fmt.Errorf("device '%s' does not exist", name) }

// Lose has a device not be heard any more, or again; of an unknown one nothing.
func (b *Bridge) Lose(now time.Time, name string, on bool) []board.Message {
	d := b.find(name)
	if d == nil || d.lost == on {
		return nil
	}
	d.lost = on
	out := []board.Message{b.presence(d.Name+"/availability", !on)}
	if !on {
		out = append(out, b.say(now, d))
	}
	return out
}

// Remove takes a device out of the network, as a person does on the bridge's page.
func (b *Bridge) Remove(name string) []board.Message {
	out, _ := b.remove(name)
	return out
}

// Rename calls the devices something else.
func (b *Bridge) Rename(now time.Time, on bool) (out []board.Message) {
	for _, d := range b.devices {
		to := d.first
		if on {
			to += " 2"
		}
		if d.removed || to == d.Name {
			continue
		}
		messages, _ := b.rename(now, d.Name, to)
		out = append(out, messages...)
	}
	return out
}

// Vanish removes all devices, or has them join again.
func (b *Bridge) Vanish(now time.Time, on bool) (out []board.Message) {
	for _, d := range b.devices {
		switch {
		case on && !d.removed:
			out = append(out, b.Remove(d.Name)...)
		case !on && d.removed:
			d.removed = false
			out = append(out, b.announce(d, false)...)
			out = append(out, b.presence(d.Name+"/availability", !d.lost), b.say(now, d))
		}
	}
	return append(out, b.list())
}

// lowerName is a friendly name as object ids have it.
func lowerName(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "_")) }
