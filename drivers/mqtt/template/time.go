package template

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// A datetime is microseconds since 1970, as its zone's clock shows them where it has none, and that zone.

func momentOf(t time.Time) Value {
	return Value{kind: moment, num: t.UnixMicro(), obj: &object{zone: t.Location()}}
}

// naive is a datetime without a zone that reads as t does.
func naive(t time.Time) Value {
	return Value{kind: moment, num: t.UnixMicro(), obj: &object{}}
}

// clock is a datetime as Go has it; one without a zone is in UTC there.
func clock(v Value) time.Time {
	zone := v.obj.zone
	if zone == nil {
		zone = time.UTC
	}
	return time.UnixMicro(v.num).In(zone)
}

// local is a datetime that has a zone: one without is local time.
func (m *machine) local(v Value) time.Time {
	t := clock(v)
	if v.obj.zone == nil {
		t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), m.now().Location())
	}
	return t
}

const (
	firstMicro = -62135596800000000 // the year 1
	lastMicro  = 253402300799999999 // the year 9999
)

func checkedMoment(v Value) (Value, error) {
	if v.num < firstMicro || v.num > lastMicro {
		return Value{}, failf("the time is not within the years 1 to 9999")
	}
	return v, nil
}

// seconds is a time given by its seconds since 1970.
func (m *machine) seconds(f float64, zone *time.Location) (Value, bool) {
	if math.IsNaN(f) || f*1e6 < firstMicro || f*1e6 > lastMicro {
		return Value{}, false
	}
	return momentOf(time.UnixMicro(int64(math.RoundToEven(f * 1e6))).In(zone)), true
}

func appendMoment(b []byte, v Value, between byte) []byte {
	t := clock(v)
	b = t.AppendFormat(b, "2006-01-02")
	b = append(b, between)
	b = t.AppendFormat(b, "15:04:05")
	if micro := v.num % 1e6; micro != 0 {
		b = t.AppendFormat(b, ".000000")
	}
	if v.obj.zone != nil {
		b = t.AppendFormat(b, "-07:00")
	}
	return b
}

// appendSpan is str of a timedelta of microseconds.
func appendSpan(b []byte, micros int64) []byte {
	const day = 24 * 3600 * 1e6
	days := micros / day
	rest := micros % day
	if rest < 0 {
		rest += day
		days--
	}
	if days != 0 {
		b = strconv.AppendInt(b, days, 10)
		b = append(b, " day"...)
		if days != 1 && days != -1 {
			b = append(b, 's')
		}
		b = append(b, ", "...)
	}
	t := time.UnixMicro(rest).UTC()
	b = strconv.AppendInt(b, rest/3600e6, 10)
	b = t.AppendFormat(b, ":04:05")
	if rest%1e6 != 0 {
		b = t.AppendFormat(b, ".000000")
	}
	return b
}

func momentAttr(v Value, name, source string) Value {
	t := clock(v)
	n := 0
	switch name {
	case "year":
		n = t.Year()
	case "month":
		n = int(t.Month())
	case "day":
		n = t.Day()
	case "hour":
		n = t.Hour()
	case "minute":
		n = t.Minute()
	case "second":
		n = t.Second()
	case "microsecond":
		n = t.Nanosecond() / 1000
	default:
		return missing(source)
	}
	return Int(int64(n))
}

func spanAttr(v Value, name, source string) Value {
	const day = 24 * 3600 * 1e6
	days := int64(math.Floor(float64(v.num) / day))
	rest := v.num - days*day
	switch name {
	case "days":
		return Int(days)
	case "seconds":
		return Int(rest / 1e6)
	case "microseconds":
		return Int(rest % 1e6)
	}
	return missing(source)
}

// times is arithmetic of datetimes and timedeltas; false for others.
func times(op string, a, b Value) (Value, bool, error) {
	switch {
	case a.kind == moment && b.kind == moment && op == "-":
		if (a.obj.zone == nil) != (b.obj.zone == nil) {
			return Value{}, true, failf("one of the times has a zone, and the other has none")
		}
		return Value{kind: span, num: a.num - b.num}, true, nil
	case a.kind == moment && b.kind == span && (op == "+" || op == "-"):
		if op == "-" {
			b.num = -b.num
		}
		v, err := checkedMoment(Value{kind: moment, num: a.num + b.num, obj: a.obj})
		return v, true, err
	case a.kind == span && b.kind == moment && op == "+":
		return times(op, b, a)
	case a.kind == span && b.kind == span && op == "/":
		if b.num == 0 {
			return Value{}, true, byZero()
		}
		return Float(float64(a.num) / float64(b.num)), true, nil
	case a.kind == span && b.kind == span && (op == "+" || op == "-"):
		if op == "-" {
			b.num = -b.num
		}
		v, err := spanOf(float64(a.num) + float64(b.num))
		v.num = a.num + b.num
		return v, true, err
	case a.kind == span && b.numeric() && op == "*":
		v, err := spanOf(float64(a.num) * b.real())
		return v, true, err
	case a.numeric() && b.kind == span && op == "*":
		return times(op, b, a)
	case a.kind == span && b.numeric() && op == "/":
		if b.real() == 0 {
			return Value{}, true, byZero()
		}
		v, err := spanOf(float64(a.num) / b.real())
		return v, true, err
	}
	return Value{}, false, nil
}

func spanOf(micros float64) (Value, error) {
	if math.IsNaN(micros) || math.Abs(micros) > lastMicro {
		return Value{}, failf("the span of time is too long")
	}
	return Value{kind: span, num: int64(math.RoundToEven(micros))}, nil
}

// timedelta is the function timedelta.
func timedelta(m *machine, c *call, a []Value) (Value, error) {
	const second = 1e6
	sum := 0.0
	for i, unit := range []float64{24 * 3600 * second, second, 1, 1000, 60 * second, 3600 * second, 7 * 24 * 3600 * second} {
		switch {
		case a[i].kind == absent:
		case a[i].isUndefined():
			return Value{}, undefinedError(a[i])
		case !a[i].numeric():
			return Value{}, failf("timedelta needs numbers, not %s", describe(a[i]))
		default:
			sum += a[i].real() * unit
		}
	}
	return spanOf(sum)
}

func now(m *machine, c *call, a []Value) (Value, error) { return momentOf(m.now()), nil }

func utcnow(m *machine, c *call, a []Value) (Value, error) { return momentOf(m.now().UTC()), nil }

// todayAt is a time of today, midnight without one.
func todayAt(m *machine, c *call, a []Value) (Value, error) {
	t := m.now()
	var at time.Time
	if a[0].kind == text && a[0].str != "" {
		var err error
		if at, err = time.Parse("15:04:05", a[0].str); err != nil {
			if at, err = time.Parse("15:04", a[0].str); err != nil {
				return Value{}, failf("%s is no time of day, as 12:30", describe(a[0]))
			}
		}
	}
	return momentOf(time.Date(t.Year(), t.Month(), t.Day(), at.Hour(), at.Minute(), at.Second(), 0, t.Location())), nil
}

// parseTime reads an ISO date, with or without a time and a zone.
func parseTime(s string) (Value, bool) {
	for _, layout := range []string{"2006-1-2T15:4:5Z07:00", "2006-1-2T15:4:5Z0700", "2006-1-2T15:4:5Z07", "2006-1-2T15:4Z07:00",
		"20060102T150405Z07:00", "20060102T150405Z0700"} {
		if t, err := time.Parse(layout, strings.Replace(s, " ", "T", 1)); err == nil {
			if strings.HasSuffix(s, "Z") {
				t = t.UTC()
			}
			return momentOf(t.Truncate(time.Microsecond)), true
		}
	}
	for _, layout := range []string{"2006-1-2T15:4:5", "2006-1-2T15:4", "2006-01-02", "20060102T150405", "20060102"} {
		if t, err := time.Parse(layout, strings.Replace(s, " ", "T", 1)); err == nil {
			return naive(t.Truncate(time.Microsecond)), true
		}
	}
	return Value{}, false
}

func asTimestamp(m *machine, c *call, a []Value) (Value, error) {
	v := a[0]
	if v.kind == text {
		if err := m.look(len(v.str)); err != nil {
			return Value{}, err
		}
		v, _ = parseTime(v.str)
	}
	if v.kind != moment {
		return orDefault(c, a[0], a[1])
	}
	return Float(float64(m.local(v).UnixMicro()) / 1e6), nil
}

func asDatetime(m *machine, c *call, a []Value) (Value, error) {
	if a[0].kind == moment {
		return a[0], nil
	}
	f, ok, err := toFloat(a[0])
	if err != nil {
		return Value{}, err
	}
	if ok {
		if v, ok := m.seconds(f, time.UTC); ok {
			return v, nil
		}
	} else if a[0].kind == text {
		if v, ok := parseTime(a[0].str); ok {
			return v, nil
		}
		if a[1].kind == absent {
			return None(), nil
		}
	}
	return orDefault(c, a[0], a[1])
}

func asLocal(m *machine, c *call, a []Value) (Value, error) {
	if a[0].kind != moment {
		return Value{}, failf("as_local needs a datetime, not %s", describe(a[0]))
	}
	return momentOf(m.local(a[0]).In(m.now().Location())), nil
}

// stamped is a number of seconds as a time, for the timestamp filters; false for what is none.
func (m *machine) stamped(v Value, isLocal bool) (Value, bool) {
	if !v.numeric() {
		return Value{}, false
	}
	zone := time.UTC
	if isLocal {
		zone = m.now().Location()
	}
	return m.seconds(v.real(), zone)
}

func timestampCustom(m *machine, c *call, a []Value) (Value, error) {
	t, ok := m.stamped(a[0], a[2].kind == absent || a[2].truth())
	if !ok {
		return orDefault(c, a[0], a[3])
	}
	layout := "%Y-%m-%d %H:%M:%S"
	if a[1].kind != absent {
		var err error
		if layout, err = textArg(a[1], "the format of a time"); err != nil {
			return Value{}, err
		}
	}
	return m.strftime(t, layout)
}

func timestampISO(isLocal bool) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		t, ok := m.stamped(a[0], isLocal)
		if !ok {
			return orDefault(c, a[0], a[1])
		}
		return String(string(appendMoment(nil, t, 'T'))), nil
	}
}

func strftimeMethod(m *machine, c *call, a []Value) (Value, error) {
	layout, err := textArg(a[1], "the format of a time")
	if err != nil {
		return Value{}, err
	}
	return m.strftime(a[0], layout)
}

func (m *machine) strftime(t Value, layout string) (Value, error) {
	if err := m.alloc(16 * len(layout)); err != nil {
		return Value{}, err
	}
	b, err := appendTime(nil, t, layout)
	return String(string(b)), err
}

func isoformat(m *machine, c *call, a []Value) (Value, error) {
	sep := byte('T')
	if a[1].kind == text && len(a[1].str) == 1 {
		sep = a[1].str[0]
	}
	return String(string(appendMoment(nil, a[0], sep))), nil
}

func timestampMethod(m *machine, c *call, a []Value) (Value, error) {
	return Float(float64(m.local(a[0]).UnixMicro()) / 1e6), nil
}

func weekday(from int) func(m *machine, c *call, a []Value) (Value, error) {
	return func(m *machine, c *call, a []Value) (Value, error) {
		return Int(int64((int(clock(a[0]).Weekday())+6)%7 + from)), nil
	}
}

// replaceTime is datetime.replace.
func replaceTime(m *machine, c *call, a []Value) (Value, error) {
	t := clock(a[0])
	parts := [7]int{t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond() / 1000}
	for i, most := range [7]int{9999, 12, 31, 23, 59, 59, 999999} {
		n, err := intArg(a[i+1], parts[i], -1, most+1)
		if err != nil {
			return Value{}, err
		}
		if n > most || n < 0 || i < 3 && n == 0 {
			return Value{}, failf("%s is out of range", describe(a[i+1]))
		}
		parts[i] = n
	}
	u := time.Date(parts[0], time.Month(parts[1]), parts[2], parts[3], parts[4], parts[5], parts[6]*1000, t.Location())
	if u.Day() != parts[2] {
		return Value{}, failf("the month has no day %d", parts[2])
	}
	return Value{kind: moment, num: u.UnixMicro(), obj: a[0].obj}, nil
}

func totalSeconds(m *machine, c *call, a []Value) (Value, error) {
	return Float(float64(a[0].num) / 1e6), nil
}
