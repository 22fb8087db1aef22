package p1

import (
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"
)

// A Telegram is what a meter says at one moment. It is safe for concurrent use.
type Telegram struct {
	Ident string // of the meter: three letters of its maker, a digit for the speed, its type
	lines []line
}

type line struct{ code, groups string }

// A Value is what a line says.
type Value struct {
	Text string
	Unit string // "kWh", "m³"; empty where the line has none
	// Time is the time of the value, on lines that tell one. Clockless says that it tells one that cannot be: there is no
	// value so far, as of a gas meter that was never heard.
	Time      time.Time
	Clockless bool
}

// timeSuffix is what a source ends with that means the time of a value.
const timeSuffix = ".time"

// Find returns what a source names: a code, as "1-0:1.8.1", or with ".time" behind it the time of its value, in Text as
// RFC 3339 has it, or empty where it is not known. Of two lines with one code the first counts.
func (t *Telegram) Find(source string) (Value, bool) {
	code, wantTime := strings.CutSuffix(source, timeSuffix)
	code = plainCode(code)
	for i := range t.lines {
		if t.lines[i].code != code {
			continue
		}
		v, timed := t.lines[i].value()
		if !wantTime {
			return v, true
		}
		if !timed {
			return Value{}, false
		}
		text := ""
		if !v.Time.IsZero() {
			text = v.Time.Format(time.RFC3339)
		}
		return Value{Text: text}, true
	}
	return Value{}, false
}

// Codes are the codes of the lines, in their order.
func (t *Telegram) Codes() []string {
	codes := make([]string, len(t.lines))
	for i := range t.lines {
		codes[i] = t.lines[i].code
	}
	return codes
}

// plainCode is a code without the suffix that means "now".
func plainCode(code string) string {
	if plain, ok := strings.CutSuffix(code, "*255"); ok {
		return plain
	}
	if strings.Count(code, ".") == 3 {
		return strings.TrimSuffix(code, ".255")
	}
	return code
}

// unfold makes a line of DSMR 2 and 3 for what is behind an M-Bus channel,
//
//	0-1:24.3.0(090212160000)(00)(60)(1)(0-1:24.2.1)(m3)(00001.001)
//
// the line that it has since DSMR 4: 0-1:24.2.1(090212160000)(00001.001*m3).
func (l *line) unfold() {
	if !strings.HasSuffix(l.code, ":24.3.0") {
		return
	}
	parts := strings.Split(strings.Trim(l.groups, "()"), ")(")
	if len(parts) == 7 && isCode(parts[4]) && parts[4] != "" {
		l.code, l.groups = plainCode(parts[4]), "("+parts[0]+")("+parts[6]+"*"+parts[5]+")"
	}
}

// value reads the last value of a line, and reports whether the first is a time.
func (l *line) value() (v Value, timed bool) {
	first, rest, more := strings.Cut(l.groups[1:], ")(")
	last := strings.TrimSuffix(first, ")")
	if more {
		last = rest[strings.LastIndexByte(rest, '(')+1:]
		last = strings.TrimSuffix(last, ")")
	}
	v.Text, v.Unit, _ = strings.Cut(last, "*")
	if u, ok := units[v.Unit]; ok {
		v.Unit = u
	}
	if isOctets(l.code) {
		v.Text = octets(v.Text)
	}
	switch {
	case more && isTime(first):
		v.Time, timed = parseTime(first), true
		v.Clockless = v.Time.IsZero()
	case !more && l.code == codeTime:
		v.Time, timed = parseTime(v.Text), true
		if v.Text = ""; !v.Time.IsZero() {
			v.Text = v.Time.Format(time.RFC3339)
		}
	}
	return v, timed
}

// units are those that the telegrams write in a way of their own.
var units = map[string]string{
	"m3": "m³", "dm3": "L", "kVArh": "kvarh", "kVAr": "kvar", "VArh": "varh", "VAr": "var",
}

// isTime reports whether s has the form of a time: YYMMDDhhmmss, and S or W behind it since DSMR 4.
func isTime(s string) bool {
	if len(s) == 13 && (s[12] == 'S' || s[12] == 'W') {
		s = s[:12]
	}
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// The zones of the meters: Central European Summer time and Winter time.
var summer, winter = time.FixedZone("CEST", 2*60*60), time.FixedZone("CET", 60*60)

// parseTime reads a time; the zero time where it cannot be. Without S or W it is the time of the place, which is the
// gateway's.
func parseTime(s string) time.Time {
	zone := time.Local
	if len(s) == 13 {
		zone = winter
		if s[12] == 'S' {
			zone = summer
		}
		s = s[:12]
	}
	at, err := time.ParseInLocation("060102150405", s, zone)
	if err != nil || at.Year() < 2005 {
		return time.Time{}
	}
	return at
}

// octets is the text that is written with two hexadecimal digits a character, or s itself where that makes none.
func octets(s string) string {
	text, err := hex.DecodeString(s)
	if err != nil || !utf8.Valid(text) || strings.ContainsFunc(string(text), func(r rune) bool { return r < ' ' }) {
		return s
	}
	return strings.TrimSpace(string(text))
}
