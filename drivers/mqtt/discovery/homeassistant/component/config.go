package component

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Config is what was announced of one component: the JSON object with its keys spelled out and its topics complete.
// Numbers are json.Number.
type Config map[string]any

const (
	maxTopic   = 512 // bytes
	maxText    = 4096
	maxOptions = 256
	maxWord    = 64  // bytes
	maxOption  = 255 // bytes; a longer state is not one in Home Assistant either
)

// Has reports whether a key is there and not null.
func (c Config) Has(key string) bool { return c[key] != nil }

// null reports whether a key is there and null, which takes a command away.
func (c Config) null(key string) bool {
	v, ok := c[key]
	return ok && v == nil
}

// Text is the text of a key, or what stands for it when it is not there. Booleans and numbers are written as Python does,
// since that is what templates make of them.
func (c Config) Text(key, otherwise string) string {
	if s, ok := plain(c[key]); ok {
		return s
	}
	return otherwise
}

func plain(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// word is the text of a key that people see in a line: a unit, a class.
func (c Config) word(key string) string {
	s := strings.TrimSpace(c.Text(key, ""))
	if len(s) > maxWord || !shown(s) {
		return ""
	}
	return s
}

func shown(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// number is the number of a key, also of one in quotes.
func (c Config) number(key string, otherwise float64) float64 {
	if s, ok := plain(c[key]); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	}
	return otherwise
}

// Flag is the boolean of a key, in the words that YAML has for it.
func (c Config) Flag(key string, otherwise bool) bool {
	s, ok := plain(c[key])
	if !ok {
		return otherwise
	}
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1", "enable":
		return true
	case "false", "no", "off", "0", "disable":
		return false
	}
	return otherwise
}

// list are the texts of a key that is a list or stands for one; nil when it is not there.
func (c Config) list(key string) []string {
	items, ok := c[key].([]any)
	if !ok {
		if c[key] == nil {
			return nil
		}
		items = []any{c[key]}
	}
	list := make([]string, 0, min(len(items), maxOptions))
	for _, item := range items {
		s, ok := plain(item)
		if ok && s != "" && len(s) <= maxOption && shown(s) && !slices.Contains(list, s) {
			if list = append(list, s); len(list) == maxOptions {
				break
			}
		}
	}
	return list
}

// goodTopic reports whether a topic is one.
func goodTopic(topic string) bool {
	return topic != "" && len(topic) <= maxTopic && utf8.ValidString(topic) && !strings.ContainsAny(topic, "+#") &&
		!strings.ContainsFunc(topic, unicode.IsControl)
}

// goodFilter reports whether a topic is one, or a filter with a + for each level that may be anything but the last one.
func goodFilter(topic string) bool {
	levels := strings.Split(topic, "/")
	if levels[len(levels)-1] == "" {
		return goodTopic(topic)
	}
	for i, level := range levels[:len(levels)-1] {
		if level == "+" {
			levels[i] = "x"
		}
	}
	return len(topic) <= maxTopic && goodTopic(strings.Join(levels, "/"))
}
