package house

import (
	"fmt"
	"time"

	"tidings/firmware-sim/mqtt/board"
	"tidings/firmware-sim/mqtt/esphome"
	"tidings/firmware-sim/mqtt/homie"
	"tidings/firmware-sim/mqtt/shelly"
	"tidings/firmware-sim/mqtt/tasmota"
	"tidings/firmware-sim/mqtt/zigbee2mqtt"
)

func (h *House) zigbee() {
	w, n := h.weather, 0
	add := func(kind zigbee2mqtt.Kind, name, area string, e zigbee2mqtt.Environment) {
		n++
		h.zigbees = append(h.zigbees, &zigbee2mqtt.Device{Kind: kind, IEEE: fmt.Sprintf("0x00158d00%08x", 0x45a0+n*0x11), Name: name, Area: area,
			Every: h.options.Every, Environment: e})
		h.reside(name, area, "zigbee2mqtt", nil)
	}
	add(zigbee2mqtt.Color, "Lamp", "Living room", zigbee2mqtt.Environment{})
	add(zigbee2mqtt.White, "Reading lamp", "Living room", zigbee2mqtt.Environment{})
	add(zigbee2mqtt.Shade, "Blind", "Living room", zigbee2mqtt.Environment{})
	add(zigbee2mqtt.Plug, "Television", "Living room", zigbee2mqtt.Environment{Load: load(95)})
	add(zigbee2mqtt.Contact, "Balcony door", "Living room", zigbee2mqtt.Environment{Active: nowAndThen(1, 40*time.Second, 5)})
	add(zigbee2mqtt.Climate, "Living room climate", "Living room", zigbee2mqtt.Environment{Temperature: w.room(0.6), Humidity: w.moisture(46)})
	add(zigbee2mqtt.Climate, "Bedroom climate", "Bedroom", zigbee2mqtt.Environment{Temperature: w.room(-2), Humidity: w.moisture(52)})
	add(zigbee2mqtt.Blind, "Bedroom blind", "Bedroom", zigbee2mqtt.Environment{})
	add(zigbee2mqtt.Radiator, "Bedroom radiator", "Bedroom", zigbee2mqtt.Environment{Temperature: w.room(-2)})
	add(zigbee2mqtt.Contact, "Bedroom window", "Bedroom", zigbee2mqtt.Environment{Active: nowAndThen(2, 60*time.Second, 4)})
	add(zigbee2mqtt.Climate, "Bathroom climate", "Bathroom", zigbee2mqtt.Environment{Temperature: w.room(1.5), Humidity: w.moisture(61)})
	add(zigbee2mqtt.Contact, "Kitchen window", "Kitchen", zigbee2mqtt.Environment{Active: nowAndThen(3, 50*time.Second, 6)})
	add(zigbee2mqtt.Motion, "Hall motion", "Hall", zigbee2mqtt.Environment{Active: nowAndThen(4, 15*time.Second, 3), Light: w.window(0.002), Temperature: w.room(-1)})
	add(zigbee2mqtt.Motion, "Stairs motion", "Hall", zigbee2mqtt.Environment{Active: nowAndThen(5, 20*time.Second, 4), Light: w.window(0.001), Temperature: w.room(-1.5)})
	add(zigbee2mqtt.Leak, "Washing machine leak", "Utility room", zigbee2mqtt.Environment{})
	if h.options.Settle == 0 {
		h.options.Settle = 30 * time.Second
	}
	h.bridge = zigbee2mqtt.New(zigbee2mqtt.Options{Settle: h.options.Settle}, h.zigbees...)
	h.bridgeBoard = h.board(h.bridge)
	h.boards = append(h.boards, h.bridgeBoard)
}

func (h *House) esphome() {
	w := h.weather
	signal := func(mean float64) esphome.Entity {
		return &esphome.Sensor{Common: esphome.Common{Name: "WiFi signal", Category: "diagnostic"}, Class: "signal_strength", Unit: "dBm",
			Value: func(now time.Time) float64 { return mean + float64(now.Unix()/30%5) }}
	}
	add := func(n *esphome.Node) {
		n.Every = h.options.Every
		n.MAC = fmt.Sprintf("a0b765%06x", 0x21c0de+len(h.Devices()))
		h.reside(n.Title, n.Area, "esphome", n)
	}
	add(&esphome.Node{Name: "weather", Title: "Weather station", Area: "Garden", Entities: []esphome.Entity{
		&esphome.Sensor{Common: esphome.Common{Name: "Temperature"}, Class: "temperature", Unit: "°C", Digits: 1, Value: w.outdoors},
		&esphome.Sensor{Common: esphome.Common{Name: "Humidity"}, Class: "humidity", Unit: "%", Digits: 0, Value: w.damp},
		&esphome.Sensor{Common: esphome.Common{Name: "Pressure"}, Class: "atmospheric_pressure", Unit: "hPa", Digits: 1,
			Value: func(now time.Time) float64 { return 1013 + 4*w.wave(now, 3) }},
		&esphome.Sensor{Common: esphome.Common{Name: "Illuminance"}, Class: "illuminance", Unit: "lx", Value: w.sun},
		&esphome.Sensor{Common: esphome.Common{Name: "Wind speed"}, Class: "wind_speed", Unit: "km/h", Digits: 1,
			Value: func(now time.Time) float64 { return 12 + 5*w.wave(now, 16) + float64(now.Unix()%7)/3 }},
		&esphome.Binary{Common: esphome.Common{Name: "Rain"}, Class: "moisture", On: nowAndThen(11, 90*time.Second, 4)},
		signal(-71),
	}})
	add(&esphome.Node{Name: "thermostat", Title: "Thermostat", Area: "Living room", Entities: []esphome.Entity{
		&esphome.Climate{Target: 21.5, Mode: "heat", Temperature: w.room(0.4)},
	}})
	add(&esphome.Node{Name: "garage", Title: "Garage door", Area: "Garage", Entities: []esphome.Entity{
		&esphome.Cover{Class: "garage", Travel: 10 * time.Second}, signal(-64),
	}})
	add(&esphome.Node{Name: "worktop", Title: "Worktop light", Area: "Kitchen", Entities: []esphome.Entity{
		&esphome.Light{Brightness: 255, RGB: [3]int{255, 180, 90}, Effects: []string{"Rainbow", "Candle"}},
	}})
	add(&esphome.Node{Name: "ventilation", Title: "Ventilation", Area: "Bathroom", Entities: []esphome.Entity{
		&esphome.Fan{Speed: 1, Speeds: 3},
		&esphome.Number{Common: esphome.Common{Name: "Run on", Category: "config"}, Value: 10, Min: 0, Max: 60, Step: 5, Unit: "min"},
		&esphome.Button{Common: esphome.Common{Name: "Restart", Category: "config"}, Class: "restart"},
	}})
	add(&esphome.Node{Name: "entrance", Title: "Door lock", Area: "Hall", Entities: []esphome.Entity{
		&esphome.Lock{},
		&esphome.Select{Common: esphome.Common{Name: "Chime"}, Options: []string{"Bell", "Gong", "Silent"}, Value: "Gong"},
	}})
}

func (h *House) tasmota() {
	w, n := h.weather, 0
	add := func(d *tasmota.Device) {
		n++
		d.Every, d.MAC = h.options.Every, fmt.Sprintf("DC4F22%06X", 0x0A1000+n)
		h.reside(d.Name, "", "tasmota", d)
	}
	add(&tasmota.Device{Kind: tasmota.Plug, Topic: "washing", Name: "Washing machine", Load: load(480)})
	add(&tasmota.Device{Kind: tasmota.Relay, Topic: "coffee", Name: "Coffee machine"})
	add(&tasmota.Device{Kind: tasmota.Dimmer, Topic: "desk", Name: "Desk lamp"})
	add(&tasmota.Device{Kind: tasmota.RGBCCT, Topic: "ball", Name: "Ball lamp"})
	add(&tasmota.Device{Kind: tasmota.Shutter, Topic: "shutter", Name: "Bedroom shutter"})
	add(&tasmota.Device{Kind: tasmota.Sensor, Topic: "office", Name: "Office climate", Temperature: w.room(1), Humidity: w.moisture(41)})
}

func (h *House) shelly() {
	w, n := h.weather, 0
	add := func(d *shelly.Device) {
		n++
		d.Every, d.MAC = h.options.Every, fmt.Sprintf("A8032A%06X", 0xBE5400+n)
		h.reside(d.Name, "", "shelly", d)
	}
	add(&shelly.Device{Model: shelly.Plus1PM, Name: "Boiler", Load: load(1900)})
	add(&shelly.Device{Model: shelly.Plus2PM, Name: "Awning"})
	add(&shelly.Device{Model: shelly.Dimmer, Name: "Dining table"})
	add(&shelly.Device{Model: shelly.Pro3EM, Name: "Heat pump meter", Load: func(now time.Time) float64 { return 700 - 60*w.outdoors(now)/2 }})
	add(&shelly.Device{Model: shelly.PlusHT, Name: "Cellar climate", Temperature: func(now time.Time) float64 { return 14 + 0.3*w.wave(now, 17) },
		Humidity: w.moisture(66)})
}

func (h *House) homie() {
	w := h.weather
	add := func(d *homie.Device) {
		d.Every = h.options.Every
		h.reside(d.Name, "", "homie", d)
	}
	add(&homie.Device{Ident: "irrigation", Name: "Irrigation", Nodes: []*homie.Node{
		{ID: "valve", Name: "Valve", Type: "valve", Properties: []*homie.Property{
			{ID: "open", Name: "Open", Datatype: "boolean", Settable: true, Initial: "false"},
			{ID: "flow", Name: "Flow", Datatype: "float", Unit: "L/min", Format: "0:30", Value: func(now time.Time) string { return fmt.Sprintf("%.1f", 2+2*w.wave(now, 20)) }},
		}},
		{ID: "soil", Name: "Soil", Type: "sensor", Properties: []*homie.Property{
			{ID: "moisture", Name: "Moisture", Datatype: "integer", Unit: "%", Format: "0:100", Value: func(now time.Time) string { return fmt.Sprintf("%.0f", 42-6*w.wave(now, 15)) }},
			{ID: "program", Name: "Program", Datatype: "enum", Format: "off,lawn,beds", Settable: true, Initial: "lawn"},
		}},
	}})
	add(&homie.Device{Ident: "skylight", Name: "Skylight", Nodes: []*homie.Node{
		{ID: "window", Name: "Window", Type: "window", Properties: []*homie.Property{
			{ID: "opening", Name: "Opening", Datatype: "integer", Unit: "%", Format: "0:100", Settable: true, Initial: "0", Glide: 10 * time.Second},
			{ID: "rain", Name: "Rain", Datatype: "boolean", Value: func(now time.Time) string { return fmt.Sprint(nowAndThen(11, 90*time.Second, 4)(now)) }},
		}},
	}})
	add(&homie.Device{Version: 4, Ident: "sauna", Name: "Sauna", Nodes: []*homie.Node{
		{ID: "stove", Name: "Stove", Type: "heater", Properties: []*homie.Property{
			{ID: "power", Name: "Power", Datatype: "boolean", Settable: true, Initial: "false"},
			{ID: "target", Name: "Target", Datatype: "integer", Unit: "°C", Format: "40:100", Settable: true, Initial: "80"},
			{ID: "temperature", Name: "Temperature", Datatype: "float", Unit: "°C", Value: func(now time.Time) string { return fmt.Sprintf("%.1f", w.room(1)(now)) }},
		}},
	}})
}

// reside notes a device, and the board it runs on when it has one of its own.
func (h *House) reside(name, room, dialect string, f board.Firmware) {
	r := &resident{Device: Device{Name: name, Room: room, Dialect: dialect}}
	if f != nil {
		r.board = h.board(f)
		h.boards = append(h.boards, r.board)
	}
	h.residents = append(h.residents, r)
}
