package mapping

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Duration writes a duration for people: "500 ms", "45 s", "1 min 30 s", "2 min", "1 h 30 min", "3 d". A remainder
// too small to matter is dropped, never rounded up.
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	units := [...]struct {
		size   time.Duration
		name   string
		coarse time.Duration // from so many on, the next smaller unit says nothing to a person
	}{{day, "d", 10}, {time.Hour, "h", 10}, {time.Minute, "min", 2}, {time.Second, "s", 1}, {time.Millisecond, "ms", 1}}
	for i, u := range units {
		n := d / u.size
		if n < 1 && i < len(units)-1 {
			continue
		}
		text := strconv.FormatInt(int64(max(n, 0)), 10) + " " + u.name
		if i+1 < len(units) && n < u.coarse {
			if rest := d % u.size / units[i+1].size; rest > 0 {
				text += " " + strconv.FormatInt(int64(rest), 10) + " " + units[i+1].name
			}
		}
		return text
	}
	return ""
}

// silentFor is the status of a device that says nothing.
func silentFor(d time.Duration) string { return "silent for " + Duration(d) }

// name is the point's label as it stands inside a sentence: "soil moisture". What a device writes in capitals, as "PM2.5" or "WiFi signal",
// stays.
func (p *Point) name() string {
	if !p.called {
		return spaced(p.Name)
	}
	first, _, _ := strings.Cut(p.Label, " ")
	_, n := utf8.DecodeRuneInString(first)
	if strings.ContainsFunc(first[n:], func(r rune) bool { return unicode.IsUpper(r) || unicode.IsDigit(r) }) {
		return p.Label
	}
	return lowerFirst(p.Label)
}

// maxLabel bounds what a device may call a point, in bytes.
const maxLabel = 60

// spaced is the name of a point as words, with one whole that lights cut short.
func spaced(name string) string {
	if before, ok := strings.CutSuffix(name, "color_temp"); ok {
		name = before + "color_temperature"
	}
	return strings.ReplaceAll(name, "_", " ")
}

// label makes what people see of a point's name: "Soil moisture".
func label(name string) string {
	s := spaced(name)
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
