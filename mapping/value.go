package mapping

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tidings/devices"
)

// What a text may be. A device that sends more is cut; a person who types more is told.
const (
	maxText      = 1024 // bytes of a text or choice, read or commanded
	maxShownText = 120  // bytes of it in a line for people
)

// Parse reads what a person typed: "on" or the words of the point's class, a number with or without its unit, or in another
// one for the same, and with a decimal point or comma, a choice in any case or the verb for it, a colour by its name or as "#ff8800". It wraps devices.ErrValue and says what the point takes; whether
// the value may be commanded is [Point.Check]'s to say.
func (p *Point) Parse(s string) (devices.Value, error) {
	s = strings.TrimSpace(s)
	switch p.Kind {
	case devices.KindNumber:
		return p.parseNumber(s)
	case devices.KindSwitch:
		words := wordsOf(p.Class)
		switch typed := strings.ToLower(s); {
		case words.means(typed, true):
			return devices.Bool(true), nil
		case words.means(typed, false):
			return devices.Bool(false), nil
		}
		return devices.Value{}, p.notValue(s, fmt.Sprintf("say %q or %q", words.state(true), words.state(false)))
	case devices.KindChoice:
		if option, ok := p.option(s); ok {
			return devices.Text(option), nil
		}
		if option, ok := p.meant(s); ok {
			return devices.Text(option), nil
		}
		return devices.Value{}, p.notValue(s, "choose one of "+p.choices())
	case devices.KindAction:
		return devices.Bool(true), nil
	case devices.KindColor:
		if v, ok := parseColor(s); ok {
			return v, nil
		}
		return devices.Value{}, p.notValue(s, `give a colour, as in "red" or "#ff8800"`)
	case devices.KindTime:
		if v, err := devices.ParseValue(devices.KindTime, s); err == nil {
			return v, nil
		}
		return devices.Value{}, p.notValue(s, `give a time, as in "2026-01-31 18:30"`)
	case devices.KindImage:
		return devices.Value{}, p.notValue(s, "a picture cannot be set")
	case devices.KindEvent:
		return devices.Value{}, p.notValue(s, "an event cannot be set")
	}
	return devices.Text(s), nil
}

// parseNumber reads "21.5", "21,5 °C", "−3" or "48%".
func (p *Point) parseNumber(s string) (devices.Value, error) {
	end := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsDigit(r) && !strings.ContainsRune("+-−.,", r) })
	digits, unit := s, ""
	if end >= 0 {
		digits, unit = s[:end], strings.TrimSpace(s[end:])
	}
	scale, offset := 1.0, 0.0
	if unit != "" && !sameUnit(unit, p.Unit) {
		if p.Unit == "" {
			return devices.Value{}, p.notValue(s, "give a number alone")
		}
		var ok bool
		if scale, offset, ok = conversion(unitNamed(unit), p.Unit); !ok {
			return devices.Value{}, p.notValue(s, "give a number in "+p.Unit)
		}
		if p.Class == "temperature_delta" {
			offset = 0
		}
	}
	digits = strings.Replace(digits, "−", "-", 1)
	if strings.Count(digits, ",") == 1 && !strings.Contains(digits, ".") {
		digits = strings.Replace(digits, ",", ".", 1)
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err == nil && (scale != 1 || offset != 0) { // as exact as a person means it
		f, err = strconv.ParseFloat(string(appendShort(nil, f*scale+offset)), 64)
	}
	v := devices.Number(f)
	if err != nil || v.IsZero() {
		return devices.Value{}, p.notValue(s, "give a number such as "+p.example())
	}
	return v, nil
}

// example is a number the point takes, with its unit.
func (p *Point) example() string {
	if p.Range.Set() {
		return p.Format(devices.Number(p.Range.Low))
	}
	return string(appendUnit([]byte("21.5"), p.Unit))
}

// notValue is the error for something that is no value of the point.
func (p *Point) notValue(said, wayOut string) error {
	return fmt.Errorf("%s: %q is %w: %s", p.name(), cutLine(said, 40), devices.ErrValue, wayOut)
}

// choices are what the point may be set to, as far as a line has room.
func (p *Point) choices() string {
	const most = 20
	if len(p.Options) > most {
		return cutLine(strings.Join(p.Options[:most], ", "), 4*maxShownText) + ", …"
	}
	return cutLine(strings.Join(p.Options, ", "), 4*maxShownText)
}

// option finds a choice in any case.
func (p *Point) option(s string) (string, bool) { return inAnyCase(p.Options, s) }

func inAnyCase(options []string, s string) (string, bool) {
	found := ""
	for _, o := range options {
		if o == s {
			return o, true
		}
		if found == "" && strings.EqualFold(o, s) {
			found = o
		}
	}
	return found, found != ""
}

// Check says whether v may be commanded and returns it as it will be sent: rounded to the point's step, a choice as it
// is declared. It wraps devices.ErrNotWritable, devices.ErrValue, or devices.ErrRange with the range in words.
func (p *Point) Check(v devices.Value) (devices.Value, error) {
	if !p.Writable {
		return devices.Value{}, fmt.Errorf("%s is %w", p.name(), devices.ErrNotWritable)
	}
	switch p.Kind {
	case devices.KindNumber:
		f, ok := v.Number()
		if !ok {
			return devices.Value{}, p.notValue(v.String(), "give a number such as "+p.example())
		}
		if !p.Range.Contains(f) {
			return devices.Value{}, fmt.Errorf("%s: %s is %w: it takes %s to %s", p.name(), p.Format(v), devices.ErrRange,
				string(p.AppendFormat(nil, devices.Number(p.Range.Low))), p.Format(devices.Number(p.Range.High)))
		}
		return devices.Number(p.round(f)), nil
	case devices.KindSwitch:
		if v.Kind() != devices.BoolKind {
			return p.Parse(v.String())
		}
		return v, nil
	case devices.KindAction:
		return devices.Bool(true), nil
	case devices.KindColor:
		if v.Kind() != devices.ColorKind {
			return p.Parse(v.String())
		}
		return v, nil
	case devices.KindTime:
		if v.Kind() != devices.TimeKind {
			return p.Parse(v.String())
		}
		return v, nil
	case devices.KindImage, devices.KindEvent:
		return p.Parse(v.String())
	}
	s, ok := v.Text()
	switch {
	case !ok:
		return devices.Value{}, p.notValue(v.String(), "give a text")
	case p.Kind == devices.KindChoice:
		return p.Parse(s)
	case len(s) > maxText:
		return devices.Value{}, p.notValue(s, fmt.Sprintf("it is longer than %d bytes", maxText))
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		// A line break would end the line of a serial protocol and begin another.
		return devices.Value{}, p.notValue(s, "it has a line break or another control character")
	}
	return v, nil
}

// round takes f to the nearest step, counted from the low end of the range, and never past the high end.
func (p *Point) round(f float64) float64 {
	if !(p.Step > 0) {
		return f
	}
	base := 0.0
	if p.Range.Set() {
		base = p.Range.Low
	}
	n := math.Round((f - base) / p.Step)
	if p.Range.Set() && sum(base, n*p.Step) > p.Range.High {
		n--
	}
	rounded := sum(base, n*p.Step)
	if math.IsNaN(rounded) || math.IsInf(rounded, 0) || !p.Range.Contains(rounded) {
		return f // a step that numbers are too coarse for, or the range too narrow
	}
	return rounded
}

// sum is a + b without what binary fractions add to decimal ones: 214 × 0.1 is 21.4, not 21.400000000000002. What is
// kept are twelve digits, counted from the larger of the two: their difference may have none left.
func sum(a, b float64) float64 {
	f := a + b
	if f == math.Trunc(f) {
		return f
	}
	decimals := 12 - int(math.Ceil(math.Log10(max(math.Abs(a), math.Abs(b)))))
	if decimals < 0 || decimals > 20 {
		return f // so large or so small that nobody counts in decimals
	}
	var buf [64]byte
	g, err := strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], f, 'f', decimals, 64)), 64)
	if err != nil {
		return f
	}
	return g
}

// FromRaw gives a driver's reading its meaning: scale and offset, the fault bounds, a choice as it is declared. A value
// of another kind than the point's is Faulty; a reading that is not Good passes as it is.
func (p *Point) FromRaw(r devices.Reading) devices.Reading {
	if r.Quality != devices.Good {
		r.Value = devices.Value{}
		return r
	}
	switch p.Kind {
	case devices.KindNumber:
		f, ok := r.Value.Number()
		if !ok {
			return p.faulty(r, "the device said "+said(r.Value)+", which is not a number")
		}
		if p.Scale != 1 || p.Offset != 0 {
			f = sum(f*p.Scale, p.Offset)
			r.Value = devices.Number(f)
		}
		switch {
		case r.Value.IsZero():
			return p.faulty(r, "too large to be")
		case f < p.Min:
			return p.faulty(r, p.Format(r.Value)+" is below "+p.Format(devices.Number(p.Min)))
		case f > p.Max:
			return p.faulty(r, p.Format(r.Value)+" is above "+p.Format(devices.Number(p.Max)))
		}
	case devices.KindSwitch:
		if r.Value.Kind() != devices.BoolKind {
			return p.faulty(r, "the device said "+said(r.Value)+", which is neither on nor off")
		}
	case devices.KindChoice:
		s, ok := r.Value.Text()
		option, known := p.option(s)
		if !known {
			option, known = inAnyCase(p.States, s)
		}
		if !ok || !known && len(p.Options) > 0 {
			return p.faulty(r, "the device said "+said(r.Value)+", which is none of "+p.choices())
		}
		if known && option != s {
			r.Value = devices.Text(option)
		} else if len(s) > maxText {
			r.Value = devices.Text(cutBytes(s, maxText))
		}
	case devices.KindImage:
		if r.Value.Kind() != devices.ImageKind {
			return p.faulty(r, "the device said "+said(r.Value)+", which is no picture")
		}
	case devices.KindColor:
		if r.Value.Kind() != devices.ColorKind {
			return p.faulty(r, "the device said "+said(r.Value)+", which is no colour")
		}
	case devices.KindTime:
		if r.Value.Kind() != devices.TimeKind {
			return p.faulty(r, "the device said "+said(r.Value)+", which is no time")
		}
	case devices.KindText, devices.KindEvent:
		s, ok := r.Value.Text()
		if !ok {
			r.Value = devices.Text(r.Value.String())
		} else if len(s) > maxText {
			r.Value = devices.Text(cutBytes(s, maxText))
		}
	}
	return r
}

func (p *Point) faulty(r devices.Reading, text string) devices.Reading {
	r.Value, r.Quality = devices.Value{}, devices.Faulty
	r.Err = &faultError{point: p.name(), text: text}
	return r
}

// said quotes a value a device sent.
func said(v devices.Value) string {
	if v.IsZero() {
		return "nothing"
	}
	return strconv.Quote(cutLine(v.String(), 40))
}

// ToRaw is what a device takes for a mapped value: the way back through scale and offset.
func (p *Point) ToRaw(v devices.Value) devices.Value {
	if f, ok := v.Number(); ok && p.Scale != 0 && (p.Scale != 1 || p.Offset != 0) {
		return devices.Number(sum(f/p.Scale, -p.Offset/p.Scale))
	}
	return v
}

// Nears reports whether a reading is on the way from what was there before to what was asked: a cover that moves, a lamp that fades.
// Only shares move so; a set point that stops short was not taken.
func (p *Point) Nears(before, asked, got devices.Value) bool {
	b, okB := before.Number()
	a, okA := asked.Number()
	g, okG := got.Number()
	return p.Unit == "%" && okA && okB && okG && (b < g && g < a || a < g && g < b)
}

// Underway says where a device is that has taken a command and is still on its way, "opening" or "going to 30 %, now 95 %", for a
// sentence as "Cover is …"; false where it is there.
func (p *Point) Underway(asked, reading devices.Value) (string, bool) {
	switch p.Kind {
	case devices.KindChoice:
		now, ok := reading.Text()
		wanted, _ := asked.Text()
		return now, ok && !strings.EqualFold(now, wanted)
	case devices.KindNumber:
		return "going to " + p.Format(asked) + ", now " + p.Format(reading), p.Unit == "%" && !reading.IsZero() && !p.Same(asked, reading)
	}
	return "", false
}

// Same reports whether a reading equals what was asked, as far as the device can tell them apart: half a step, half
// a digit shown, half of what one raw unit is; of what opens, locks or drives about also whether it is on its way.
func (p *Point) Same(asked, got devices.Value) bool {
	a, okA := asked.Number()
	g, okG := got.Number()
	if !okA || !okG {
		if s, ok := asked.Text(); ok && p.Kind == devices.KindChoice {
			t, ok := got.Text()
			return ok && (strings.EqualFold(s, t) || p.obeys(s, t))
		}
		if p.Kind == devices.KindColor {
			return sameColor(asked, got)
		}
		return asked == got && !asked.IsZero()
	}
	tolerance := math.Max(math.Abs(a), math.Abs(g)) * 1e-9
	if p.Step > 0 {
		tolerance = math.Max(tolerance, p.Step/2)
	} else {
		if p.Precision >= 0 {
			tolerance = math.Max(tolerance, math.Pow10(-p.Precision)/2)
		}
		switch raw := math.Abs(p.Scale); {
		case raw >= 10 && p.short: // of another unit: what counts in kW where people say W does it with decimals
			tolerance = math.Max(tolerance, raw/20)
		case p.Scale != 1:
			tolerance = math.Max(tolerance, raw/2)
		}
	}
	// The bound itself belongs to it; the factor is for what binary fractions add.
	return math.Abs(a-g) <= tolerance*(1+1e-9)
}
