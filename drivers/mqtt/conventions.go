package mqtt

import (
	"fmt"
	"hash/fnv"
	"strings"

	"tidings/devices/schema"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/discovery/homeassistant"
	"tidings/drivers/mqtt/discovery/homie"
	"tidings/drivers/mqtt/discovery/shelly"
	"tidings/drivers/mqtt/discovery/tasmota"
)

// A conventionType is a convention by which devices announce themselves.
type conventionType struct {
	name string // in discovery, and before the colon of a device's id
	make func(config) discovery.Convention
}

// conventions are those there are.
var conventions = []conventionType{
	{"homeassistant", func(c config) discovery.Convention { return homeassistant.New(homeassistant.Options{Prefix: c.prefix}) }},
	{"homie", func(c config) discovery.Convention { return homie.New(homie.Options{Prefix: c.domain}) }},
	{"tasmota", func(config) discovery.Convention { return tasmota.New() }},
	{"shelly", func(c config) discovery.Convention { return shelly.New(shelly.Options{Source: c.answers()}) }},
}

// answers is the topic below which devices answer to this connection alone, the same at the next start where the client id is.
func (c config) answers() string {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(c.clientID))
	return fmt.Sprintf("tidings-%08x", sum.Sum32())
}

// conventionNamed finds one by its name, or returns nil.
func conventionNamed(name string) *conventionType {
	for i := range conventions {
		if conventions[i].name == name {
			return &conventions[i]
		}
	}
	return nil
}

// conventionNames lists them for people.
func conventionNames() string {
	names := make([]string, len(conventions))
	for i, c := range conventions {
		names[i] = fmt.Sprintf("%q", c.name)
	}
	return strings.Join(names, ", ")
}

// otherwise says which conventions there are in place of one there is not.
func otherwise(name string) string {
	names := make([]string, len(conventions))
	for i, c := range conventions {
		names[i] = c.name
	}
	if near := schema.Nearest(name, names); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	if len(names) == 0 {
		return " in this version"
	}
	return ", only " + conventionNames()
}
