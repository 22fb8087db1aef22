package homeassistant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/discovery/homeassistant/component"
)

const (
	maxTokens = 16  // identifiers and connections of one announcement
	maxToken  = 128 // bytes of one, and of a unique_id
	maxKey    = 180 // bytes of the key that is made for a component without a device
	maxName   = 128 // bytes of a name that a device gives
	maxBase   = 512 // bytes of what ~ stands for

	maxAvailability = 100 // topics that are completed, for each component anew; fewer are taken
)

// A place is what a topic of announcements says: <prefix>/kind/[node/]object/config.
type place struct{ kind, node, object string }

// id is the topic without the prefix.
func (p place) id() string {
	if p.node == "" {
		return p.kind + "/" + p.object
	}
	return p.kind + "/" + p.node + "/" + p.object
}

// parsePlace takes apart a topic without its prefix.
func parsePlace(rest string) (place, bool) {
	levels := strings.Split(rest, "/")
	n := len(levels)
	if n < 3 || n > 4 || levels[n-1] != "config" {
		return place{}, false
	}
	for _, level := range levels[:n-1] {
		if level == "" || len(level) > maxToken || strings.Trim(level, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			return place{}, false
		}
	}
	p := place{kind: levels[0], object: levels[n-2]}
	if n == 4 {
		p.node = levels[1]
	}
	return p, true
}

// A raw is one component as it was announced.
type raw struct {
	kind   string
	object string // what it is called in the announcement: an object_id or the key of a component
	config component.Config
}

// An about is what an announcement says of its device.
type about struct{ name, model, version, area string }

// A parsed is an announcement with its keys spelled out.
type parsed struct {
	handOver bool     // it says only that another announcement will take over
	tokens   []string // what makes the device, the identifiers first; none: it is one of its own
	about    about
	raws     []raw
}

// parse reads the payload of an announcement.
func parse(p place, payload []byte) (*parsed, error) {
	var root map[string]any
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	if err := dec.Decode(&root); err != nil || root == nil || dec.More() {
		return nil, fmt.Errorf("the announcement is not a JSON object: %s", discovery.Quote(payload))
	}
	root = expand(root, abbreviations)
	out := &parsed{}
	if over, ok := root["migrate_discovery"].(bool); ok && over && len(root) == 1 {
		out.handOver = true
		return out, nil
	}
	if device, ok := root["device"].(map[string]any); ok {
		out.describe(component.Config(expand(device, deviceAbbreviations)))
	}
	if p.kind != "device" {
		complete(root)
		out.raws = []raw{{p.kind, p.object, root}}
		return out, nil
	}
	if len(out.tokens) == 0 {
		return nil, fmt.Errorf("the announcement of a device has no identifiers")
	}
	components, ok := root["components"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the announcement of a device has no components")
	}
	shared := make(map[string]any)
	for key, v := range root {
		if slices.Contains(sharedKeys, key) {
			shared[key] = v
		}
	}
	for _, key := range slices.Sorted(maps.Keys(components)) {
		object, ok := components[key].(map[string]any)
		if !ok {
			continue
		}
		config := expand(object, abbreviations)
		kind, _ := config["platform"].(string)
		if kind == "" || len(config) == 1 || len(key) > maxToken || len(kind) > maxToken {
			continue // it is taken back, or cannot be meant
		}
		for key, v := range shared {
			if _, ok := config[key]; !ok && !(key == "availability_topic" && config["availability"] != nil) &&
				!(key == "availability" && config["availability_topic"] != nil) {
				config[key] = v
			}
		}
		complete(config)
		if out.raws = append(out.raws, raw{kind, key, config}); len(out.raws) == discovery.MaxPoints {
			break
		}
	}
	return out, nil
}

// sharedKeys may be given once for all components of a device.
var sharedKeys = []string{"~", "availability", "availability_mode", "availability_template", "availability_topic", "command_topic", "encoding",
	"payload_available", "payload_not_available", "qos", "state_topic"}

// complete puts the base of topics where it was left out, and spells out the keys of availabilities.
func complete(config map[string]any) {
	base, based := config["~"].(string)
	based = based && len(base) <= maxBase
	topic := func(object map[string]any, key string) {
		s, ok := object[key].(string)
		if !ok || !based || s == "" {
			return
		}
		if s[0] == '~' {
			s = base + s[1:]
		}
		if s != "" && s[len(s)-1] == '~' {
			s = s[:len(s)-1] + base
		}
		object[key] = s
	}
	for key := range config {
		if strings.HasSuffix(key, "topic") {
			topic(config, key)
		}
	}
	list, ok := config["availability"].([]any)
	if !ok {
		if _, ok := config["availability"].(map[string]any); !ok {
			return
		}
		list = []any{config["availability"]}
	}
	list = list[:min(len(list), maxAvailability)]
	full := make([]any, 0, len(list)) // a shared one is completed for each component anew
	for _, item := range list {
		if object, ok := item.(map[string]any); ok {
			object = expand(object, abbreviations)
			topic(object, "topic")
			full = append(full, object)
		}
	}
	config["availability"] = full
}

// describe reads the description of a device.
func (p *parsed) describe(device component.Config) {
	add := func(prefix, s string) {
		if s = strings.TrimSpace(s); s != "" && len(s) <= maxToken && printable(s) && len(p.tokens) < maxTokens {
			if token := prefix + s; !slices.Contains(p.tokens, token) {
				p.tokens = append(p.tokens, token)
			}
		}
	}
	identifiers, ok := device["identifiers"].([]any)
	if !ok {
		identifiers = []any{device["identifiers"]}
	}
	for _, item := range identifiers {
		s := component.Config{"": item}.Text("", "")
		prefix := ""
		if word, _, ok := strings.Cut(s, ":"); ok && slices.Contains([]string{"identifier", "connection", "entity", "topic"}, word) {
			prefix = "identifier:"
		}
		add(prefix, s)
	}
	connections, _ := device["connections"].([]any)
	for _, item := range connections {
		if pair, ok := item.([]any); ok && len(pair) == 2 {
			kind, value := component.Config{"": pair[0]}.Text("", ""), component.Config{"": pair[1]}.Text("", "")
			if kind != "" && len(kind) < 32 && value != "" {
				add("connection:", kind+":"+connection(kind, value))
			}
		}
	}
	clean := func(key string) string { return cleanName(device.Text(key, "")) }
	p.about = about{name: clean("name"), version: clean("sw_version"), area: clean("suggested_area")}
	maker, model, id := clean("manufacturer"), clean("model"), clean("model_id")
	if maker != "" && model != "" && !strings.HasPrefix(strings.ToLower(model), strings.ToLower(maker)) {
		model = maker + " " + model
	} else if model == "" {
		model = maker
	}
	switch {
	case model == "":
		model = id
	case id != "" && !strings.Contains(model, id):
		model += " (" + id + ")"
	}
	p.about.model = model
}

// connection writes the address of a network card in one way: aa:bb:cc:dd:ee:ff.
func connection(kind, value string) string {
	if kind != "mac" {
		return value
	}
	digits := strings.ToLower(strings.NewReplacer(":", "", "-", "", ".", "").Replace(value))
	if len(digits) != 12 || strings.Trim(digits, "0123456789abcdef") != "" {
		return value
	}
	var b strings.Builder
	for i := 0; i < 12; i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(digits[i : i+2])
	}
	return b.String()
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// cleanName makes one line of what a device calls something.
func cleanName(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	for len(s) > maxName {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}
