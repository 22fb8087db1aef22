package mapping

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Duration writes a duration for people, with the two largest units that matter: "45 s", "2 min", "1 h 30 min", "3 d".
// Anything under a second is "0 s"; a remainder is dropped, never rounded up.
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 0 {
		d = 0
	}
	units := [...]struct {
		size time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.size && i < len(units)-1 {
			continue
		}
		text := strconv.FormatInt(int64(d/u.size), 10) + " " + u.name
		// From ten of the larger unit on the smaller one says nothing to a person.
		if rest := d % u.size; i < len(units)-1 && d < 10*u.size && rest >= units[i+1].size {
			text += " " + strconv.FormatInt(int64(rest/units[i+1].size), 10) + " " + units[i+1].name
		}
		return text
	}
	return ""
}

// silentFor is the status of a device that says nothing.
func silentFor(d time.Duration) string { return "silent for " + Duration(d) }

// name is the point's label as it stands inside a sentence: "soil moisture".
func (p *Point) name() string { return strings.ReplaceAll(p.Name, "_", " ") }

// label makes what people see of a point's name: "Soil moisture".
func label(name string) string {
	s := strings.ReplaceAll(name, "_", " ")
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// lowerFirst is s with a small first letter: "pump on".
func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}

// cutLine makes s one line of at most limit bytes, and a sign that it was longer.
func cutLine(s string, limit int) string {
	if len(s) > limit {
		s = cutBytes(s, limit) + "…"
	}
	if !strings.ContainsFunc(s, unicode.IsControl) && utf8.ValidString(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// cutBytes takes at most limit bytes of s without splitting a rune.
func cutBytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// listed joins words as a sentence does: "a, b or c".
func listed(words []string, conjunction string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " " + conjunction + " " + words[last]
}
