package template

import (
	"strconv"
	"strings"
	"time"
)

// appendTime formats a time as strftime does in the C locale. "-" behind the % leaves out leading zeros, as glibc has it.
func appendTime(b []byte, v Value, layout string) ([]byte, error) {
	t := clock(v)
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' || i+1 == len(layout) {
			b = append(b, layout[i])
			continue
		}
		i++
		start := len(b)
		bare := layout[i] == '-'
		if bare && i+1 < len(layout) {
			i++
		}
		b = appendField(b, v, t, layout[i])
		if bare {
			for len(b) > start+1 && (b[start] == '0' || b[start] == ' ') {
				b = append(b[:start], b[start+1:]...)
			}
		}
	}
	return b, nil
}

// fieldLayouts are the fields that Go formats.
var fieldLayouts = map[byte]string{'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'M': "04", 'S': "05",
	'f': ".000000", 'p': "PM", 'P': "pm", 'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'j': "002",
	'T': "15:04:05", 'X': "15:04:05", 'R': "15:04", 'F': "2006-01-02", 'D': "01/02/06", 'x': "01/02/06", 'r': "03:04:05 PM",
	'c': "Mon Jan _2 15:04:05 2006", 'z': "-0700", 'Z': "MST"}

func appendField(b []byte, v Value, t time.Time, field byte) []byte {
	switch field {
	case 'f':
		return append(b, t.Format(".000000")[1:]...)
	case 'z', 'Z':
		if v.obj.zone == nil {
			return b
		}
	case 's':
		return strconv.AppendInt(b, t.Unix(), 10)
	case 'u':
		return strconv.AppendInt(b, int64((t.Weekday()+6)%7+1), 10)
	case 'w':
		return strconv.AppendInt(b, int64(t.Weekday()), 10)
	case 'k':
		return padded(b, t.Hour(), ' ')
	case 'l':
		return padded(b, (t.Hour()+11)%12+1, ' ')
	case 'C':
		return padded(b, t.Year()/100, '0')
	case 'V':
		_, week := t.ISOWeek()
		return padded(b, week, '0')
	case 'G':
		year, _ := t.ISOWeek()
		return strconv.AppendInt(b, int64(year), 10)
	case 'U':
		return padded(b, (t.YearDay()+6-int(t.Weekday()))/7, '0')
	case 'W':
		return padded(b, (t.YearDay()+6-(int(t.Weekday())+6)%7)/7, '0')
	case 'n':
		return append(b, '\n')
	case 't':
		return append(b, '\t')
	case '%':
		return append(b, '%')
	}
	if layout, ok := fieldLayouts[field]; ok {
		return t.AppendFormat(b, layout)
	}
	return append(b, '%', field)
}

func padded(b []byte, n int, fill byte) []byte {
	if n < 10 {
		b = append(b, fill)
	}
	return strconv.AppendInt(b, int64(n), 10)
}

// strptime reads a time that is written as a layout says.
func strptime(m *machine, c *call, a []Value) (Value, error) {
	if a[0].kind != text || a[1].kind != text {
		return orDefault(c, a[0], a[2])
	}
	if err := m.look(len(a[0].str) + len(a[1].str)); err != nil {
		return Value{}, err
	}
	v, ok := readTime(a[0].str, a[1].str)
	if !ok {
		return orDefault(c, a[0], a[2])
	}
	return v, nil
}

// reading is a time that is being read.
type reading struct {
	s                                      string
	year, month, day, hour, minute, second int
	micro, yearDay                         int
	half                                   string // am or pm
	zone                                   *time.Location
}

func readTime(s, layout string) (Value, bool) {
	r := reading{s: s, year: 1900, month: 1, day: 1}
	layout = strings.NewReplacer("%T", "%H:%M:%S", "%R", "%H:%M", "%F", "%Y-%m-%d", "%D", "%m/%d/%y").Replace(layout)
	for i := 0; i < len(layout); i++ {
		switch c := layout[i]; {
		case c == ' ' || c == '\t' || c == '\n':
			trimmed := strings.TrimLeft(r.s, " \t\n")
			if trimmed == r.s {
				return Value{}, false
			}
			r.s = trimmed
		case c == '%' && i+1 < len(layout):
			i++
			if !r.field(layout[i]) {
				return Value{}, false
			}
		case r.s == "" || r.s[0] != c:
			return Value{}, false
		default:
			r.s = r.s[1:]
		}
	}
	if r.s != "" {
		return Value{}, false
	}
	return r.value()
}

func (r *reading) value() (Value, bool) {
	switch r.half {
	case "am":
		r.hour %= 12
	case "pm":
		r.hour = r.hour%12 + 12
	}
	zone := r.zone
	if zone == nil {
		zone = time.UTC
	}
	t := time.Date(r.year, time.Month(r.month), r.day, r.hour, r.minute, r.second, r.micro*1000, zone)
	if r.yearDay > 0 {
		t = t.AddDate(0, 0, r.yearDay-1)
	} else if t.Day() != r.day {
		return Value{}, false
	}
	if t.Year() < 1 || t.Year() > 9999 {
		return Value{}, false
	}
	if r.zone == nil {
		return naive(t), true
	}
	return momentOf(t), true
}

// number reads up to some digits into n.
func (r *reading) number(digits, low, high int, n *int) bool {
	i := 0
	for i < len(r.s) && i < digits && isDigit(r.s[i]) {
		i++
	}
	v, err := strconv.Atoi(r.s[:i])
	if err != nil || v < low || v > high {
		return false
	}
	*n, r.s = v, r.s[i:]
	return true
}

// word reads one of the names of months or days, written out or by three letters.
func (r *reading) word(full bool, count int, name func(int) string) (int, bool) {
	for i := range count {
		w := name(i)
		if !full {
			w = w[:3]
		}
		if len(r.s) >= len(w) && strings.EqualFold(r.s[:len(w)], w) {
			r.s = r.s[len(w):]
			return i, true
		}
	}
	return 0, false
}

func (r *reading) field(c byte) bool {
	switch c {
	case 'Y':
		return len(r.s) >= 4 && r.number(4, 1, 9999, &r.year)
	case 'y':
		if !r.number(2, 0, 99, &r.year) {
			return false
		}
		if r.year += 1900; r.year < 1969 {
			r.year += 100
		}
		return true
	case 'm':
		return r.number(2, 1, 12, &r.month)
	case 'd', 'e':
		return r.number(2, 1, 31, &r.day)
	case 'H':
		return r.number(2, 0, 23, &r.hour)
	case 'I':
		return r.number(2, 1, 12, &r.hour)
	case 'M':
		return r.number(2, 0, 59, &r.minute)
	case 'S':
		return r.number(2, 0, 59, &r.second)
	case 'j':
		return r.number(3, 1, 366, &r.yearDay)
	case 'f':
		before := len(r.s)
		if !r.number(6, 0, 999999, &r.micro) {
			return false
		}
		for n := before - len(r.s); n < 6; n++ {
			r.micro *= 10
		}
		return true
	case 'p':
		for _, half := range []string{"am", "pm"} {
			if len(r.s) >= 2 && strings.EqualFold(r.s[:2], half) {
				r.half, r.s = half, r.s[2:]
				return true
			}
		}
		return false
	case 'b', 'B', 'h':
		i, ok := r.word(c == 'B', 12, func(i int) string { return time.Month(i + 1).String() })
		r.month = i + 1
		return ok
	case 'a', 'A':
		_, ok := r.word(c == 'A', 7, func(i int) string { return time.Weekday(i).String() })
		return ok
	case 'z':
		return r.offset()
	case '%':
		if !strings.HasPrefix(r.s, "%") {
			return false
		}
		r.s = r.s[1:]
		return true
	}
	return false
}

// offset reads a zone as Z or +01:00.
func (r *reading) offset() bool {
	if s, ok := strings.CutPrefix(r.s, "Z"); ok {
		r.s, r.zone = s, time.UTC
		return true
	}
	if r.s == "" || r.s[0] != '+' && r.s[0] != '-' {
		return false
	}
	sign := 1
	if r.s[0] == '-' {
		sign = -1
	}
	r.s = r.s[1:]
	var hours, minutes int
	if !r.number(2, 0, 23, &hours) {
		return false
	}
	r.s = strings.TrimPrefix(r.s, ":")
	if !r.number(2, 0, 59, &minutes) {
		return false
	}
	r.zone = time.FixedZone("", sign*(hours*3600+minutes*60))
	if hours == 0 && minutes == 0 {
		r.zone = time.UTC
	}
	return true
}
