package shelly

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

const (
	release  = "1.7.1"
	firmware = "20250924-062729/1.7.1-gd336f31"
)

// The codes of errors.
const (
	invalidArgument = -103
	noHandler       = 404
)

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

type params struct {
	ID         int
	On         *bool
	Brightness *float64
	Pos        *float64
}

// Take obeys a request or a command.
func (d *Device) Take(now time.Time, topic, payload string) []board.Message {
	rest := strings.TrimPrefix(topic, d.prefix()+"/")
	if component, ok := strings.CutPrefix(rest, "command/"); ok {
		return d.command(now, component, payload)
	}
	if rest == "command" {
		if payload == "status_update" {
			return append(d.changed(now), d.whole(now)...)
		}
		return nil
	}
	var request struct {
		ID     any
		Src    string
		Method string
		Params params
	}
	if json.Unmarshal([]byte(payload), &request) != nil || request.Src == "" || request.Method == "" {
		return nil
	}
	d.source = "MQTT"
	result, err, changed := d.call(now, request.Method, request.Params)
	frame := map[string]any{"id": request.ID, "src": d.id(), "dst": request.Src, "result": result}
	if err != nil {
		delete(frame, "result")
		frame["error"] = err
	}
	out := []board.Message{{Topic: request.Src + "/rpc", Payload: board.JSON(frame)}}
	if changed {
		out = append(out, d.changed(now)...)
	}
	return out
}

// command is the topic that takes words.
func (d *Device) command(now time.Time, component, payload string) []board.Message {
	kind, _, _ := strings.Cut(component, ":")
	word, argument, _ := strings.Cut(payload, ",")
	on := word == "on"
	var p params
	var method string
	switch {
	case (kind == "switch" || kind == "light") && (word == "on" || word == "off"):
		method, p.On = map[string]string{"switch": "Switch.Set", "light": "Light.Set"}[kind], &on
	case (kind == "switch" || kind == "light") && word == "toggle":
		method = map[string]string{"switch": "Switch.Toggle", "light": "Light.Toggle"}[kind]
	case kind == "cover" && (word == "open" || word == "close" || word == "stop"):
		method = map[string]string{"open": "Cover.Open", "close": "Cover.Close", "stop": "Cover.Stop"}[word]
	case kind == "cover" && word == "pos":
		n, err := strconv.ParseFloat(argument, 64)
		if err != nil {
			return nil
		}
		method, p.Pos = "Cover.GoToPosition", &n
	}
	if _, err, changed := d.call(now, method, p); err != nil || !changed {
		return nil
	}
	return d.changed(now)
}

// call carries a method out.
func (d *Device) call(now time.Time, method string, p params) (result any, err *rpcError, changed bool) {
	missing := func(name string) *rpcError {
		return &rpcError{invalidArgument, fmt.Sprintf("Missing required argument '%s'!", name)}
	}
	kind, verb, _ := strings.Cut(method, ".")
	component := map[string]Model{"Switch": Plus1PM, "Light": Dimmer, "Cover": Plus2PM}
	switch has, is := component[kind]; {
	case kind == "Shelly":
		switch verb {
		case "GetDeviceInfo":
			m := models[d.Model]
			return map[string]any{"name": d.name(), "id": d.id(), "mac": d.MAC, "slot": 0, "model": m.model, "gen": 2, "fw_id": firmware, "ver": release,
				"app": m.app, "auth_en": false, "auth_domain": nil}, nil, false
		case "GetConfig":
			return d.config(), nil, false
		case "GetStatus":
			return d.status(now), nil, false
		}
	case is && has != d.Model:
	case is && p.ID != 0:
		return nil, &rpcError{invalidArgument, fmt.Sprintf("Argument 'id', value %d not found!", p.ID)}, false
	case is && verb == "GetStatus":
		return d.components(now)[strings.ToLower(kind)+":0"], nil, false
	case method == "Switch.Set" && p.On == nil:
		return nil, missing("on"), false
	case method == "Switch.Set":
		d.meter(now)
		was := d.on
		d.on = *p.On
		return map[string]any{"was_on": was}, nil, true
	case method == "Switch.Toggle" || method == "Light.Toggle":
		d.meter(now)
		was := d.on
		d.on = !d.on
		return map[string]any{"was_on": was}, nil, true
	case method == "Light.Set":
		if p.On == nil && p.Brightness == nil {
			return nil, missing("on"), false
		}
		if p.Brightness != nil {
			if *p.Brightness < 0 || *p.Brightness > 100 {
				return nil, &rpcError{invalidArgument, "Argument 'brightness', value out of range!"}, false
			}
			d.bright = int(*p.Brightness)
		}
		if p.On != nil {
			d.on = *p.On
		}
		return nil, nil, true
	case method == "Cover.Open":
		d.drive(now, 100)
		return nil, nil, true
	case method == "Cover.Close":
		d.drive(now, 0)
		return nil, nil, true
	case method == "Cover.Stop":
		d.move(now)
		d.drive(now, d.position)
		return nil, nil, true
	case method == "Cover.GoToPosition" && p.Pos == nil:
		return nil, missing("pos"), false
	case method == "Cover.GoToPosition":
		if *p.Pos < 0 || *p.Pos > 100 {
			return nil, &rpcError{invalidArgument, "Argument 'pos', value out of range!"}, false
		}
		d.drive(now, *p.Pos)
		return nil, nil, true
	}
	return nil, &rpcError{noHandler, "No handler for " + method}, false
}
