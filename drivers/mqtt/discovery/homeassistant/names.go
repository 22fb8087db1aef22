package homeassistant

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/discovery/homeassistant/component"
)

// plainName is what stands in names: lower-case letters and digits with single underscores between.
func plainName(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
	}
	return strings.TrimRight(b.String(), "_")
}

// baseName is the name of the points of a component: what its object is called without what repeats the device.
func baseName(e *entry, said *parsed, class string) string {
	rest := plainName(e.object)
	switch {
	case len(said.tokens) == 0, e.kind == "tag": // it is all there is to the device, or has no other name
		rest = ""
	case e.built.Main && (e.label == "" || slices.ContainsFunc(e.built.Parts, func(p component.Part) bool { return p.Suffix == rest })):
		rest = plainName(e.kind) // it is the device itself, or would be called as a part of it
	}
	for _, repeated := range repeats(e.announcement.place, said) {
		if rest == repeated {
			rest = ""
		}
		if after, ok := strings.CutPrefix(rest, repeated+"_"); ok {
			rest = after
		}
	}
	if class != "" && len(rest) < 3 && !strings.ContainsFunc(rest, unicode.IsDigit) {
		rest = plainName(class) // "t" says less
	}
	if rest != "" && strings.Trim(rest, "0123456789") == "" {
		rest = plainName(e.kind) + "_" + rest
	}
	if rest == "" {
		switch e.kind {
		case "sensor":
			rest = "value"
		case "binary_sensor":
			rest = "state"
		default:
			rest = plainName(e.kind)
		}
	}
	return discovery.PointName(rest)
}

// repeats are the names of the device that its components may begin with, the longest first.
func repeats(p place, said *parsed) []string {
	var names []string
	add := func(s string) {
		if s != "" && !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	add(plainName(p.node))
	if p.kind == "device" {
		add(plainName(p.object))
	}
	add(plainName(said.about.name))
	if name := discovery.PointName(said.about.name); said.about.name != "" && len(name) < 48 {
		add(name) // as ASCII writes it
	}
	for _, token := range said.tokens {
		if address, ok := strings.CutPrefix(token, "connection:mac:"); ok {
			add(plainName(strings.ReplaceAll(address, ":", "")))
			continue
		}
		add(plainName(token))
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return names
}

// shortLabel is what a component is called without the name of its device before it.
func shortLabel(label, device string) string {
	if device == "" || len(label) < len(device) || !strings.EqualFold(label[:len(device)], device) {
		return label
	}
	rest := strings.TrimLeft(label[len(device):], " -_:/")
	switch {
	case rest == label[len(device):] && rest != "":
		return label // the device's name is only the beginning of a word
	case rest == "":
		return ""
	}
	return capital(rest)
}

// capital is s with a large first letter.
func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}
