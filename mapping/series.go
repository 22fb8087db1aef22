package mapping

import (
	"slices"
	"time"

	"tidings/devices"
)

// A series is a point over time, for the expressions that name it so: alerts and computed points share one. It begins
// with the first of them and ends with the last; what was counted is kept.
type series struct {
	seriesKey
	window  window // of a windowed fold
	counter counter
	users   int

	told  float64 // as its users were last told
	known bool
}

// A seriesKey names a series. Integral and energy of a point are one.
type seriesKey struct {
	device devices.ID
	point  string
	fold   fold
	span   time.Duration // of a window
}

// series is the key of what a reference of an expression on a device is made of.
func (ref *ref) series(own devices.ID) seriesKey {
	key := seriesKey{device: own, point: ref.point, fold: ref.fold, span: ref.span}
	if ref.device != "" {
		key.device = ref.device
	}
	if !ref.fold.windowed() {
		key.span = 0
	}
	if ref.fold == energyOf {
		key.fold = integralOf
	}
	return key
}

// findSeries returns the series of a key, or nil.
func (r *Rules) findSeries(key *seriesKey) *series {
	for _, s := range r.series[key.device] {
		if s.seriesKey == *key {
			return s
		}
	}
	return nil
}

// retain begins the series that an expression on a device needs; nil needs none.
func (r *Rules) retain(e *expression, own devices.ID) {
	if e == nil {
		return
	}
	for i := range e.refs {
		if e.refs[i].fold == present {
			continue
		}
		key := e.refs[i].series(own)
		s := r.findSeries(&key)
		if s == nil {
			s = &series{seriesKey: key, window: window{span: key.span}}
			r.resume(s)
			r.series[key.device] = append(r.series[key.device], s)
			if d := r.devices[key.device]; d != nil {
				r.touch(d)
			}
		}
		s.users++
	}
}

// letGo ends the series that an expression on a device needed, unless others do.
func (r *Rules) letGo(e *expression, own devices.ID) {
	if e == nil {
		return
	}
	for i := range e.refs {
		if e.refs[i].fold == present {
			continue
		}
		key := e.refs[i].series(own)
		s := r.findSeries(&key)
		if s == nil {
			continue
		}
		if s.users--; s.users > 0 {
			continue
		}
		r.keepCounter(s)
		rest := slices.DeleteFunc(r.series[key.device], func(other *series) bool { return other == s })
		if len(rest) == 0 {
			delete(r.series, key.device)
		} else {
			r.series[key.device] = rest
		}
	}
}

func (r *Rules) letGoAll(all []*expression, own devices.ID) {
	for _, e := range all {
		r.letGo(e, own)
	}
}

// feed tells the series of a device what its points are now. It reports whether one of them has another result.
func (r *Rules) feed(d *device) bool {
	moved := false
	for _, s := range r.series[d.model.ID] {
		value, known := r.value(&ref{device: s.device, point: s.point}, d)
		s.feed(r.now, value, known)
		result, ok := s.result()
		if result != s.told || ok != s.known {
			s.told, s.known, moved = result, ok, true
		}
	}
	return moved
}

// feed says what the point is from now on. What is of another kind than the fold takes is not known.
func (s *series) feed(now time.Duration, v devices.Value, known bool) {
	number, isNumber := v.Number()
	on, isOn := v.Bool()
	switch {
	case s.fold.windowed():
		s.window.set(now, number, known && isNumber)
	case s.fold == integralOf:
		s.counter.number(now, number, known && isNumber)
	case s.fold == runTime:
		s.counter.on(now, on, known && isOn)
	default:
		s.counter.start(now, on, known && isOn)
	}
}

// advance takes a series to a time without news.
func (s *series) advance(now time.Duration) {
	if s.fold.windowed() {
		s.window.advance(now)
	} else {
		s.counter.advance(now)
	}
}

// result is what the series makes of its point: of a counter, the total in seconds.
func (s *series) result() (float64, bool) {
	if s.fold.windowed() {
		return s.window.result(s.fold)
	}
	return s.counter.total, true
}

// due is when the result is another although nothing happens.
func (s *series) due() (time.Duration, bool) {
	if s.fold.windowed() {
		return s.window.due(s.fold)
	}
	return s.counter.due()
}

// foldedValue is what a reference to a point over time stands for, if that is known.
func (r *Rules) foldedValue(ref *ref, own devices.ID) (devices.Value, bool) {
	key := ref.series(own)
	s := r.findSeries(&key)
	if s == nil {
		return devices.Value{}, false
	}
	s.advance(r.now)
	result, ok := s.result()
	switch ref.fold {
	case runTime:
		result /= time.Hour.Seconds()
	case integralOf:
		result /= ref.span.Seconds()
	case energyOf:
		scale, isPower := r.kilowatts(key.device, key.point)
		result *= scale / time.Hour.Seconds()
		ok = ok && isPower
	}
	v := devices.Number(result)
	return v, ok && !v.IsZero()
}

// kilowatts is what a number of a point is in kW; one without a unit is taken to be in W. It reports false for what is no
// power.
func (r *Rules) kilowatts(id devices.ID, point string) (float64, bool) {
	d := r.devices[id]
	if d == nil {
		return 0, false
	}
	p := d.model.Point(point)
	if p == nil {
		return 0, false
	}
	scale, _, ok := conversion(orWatt(p.Unit), "kW")
	return scale, ok
}

// orWatt is the unit of a power.
func orWatt(unit string) string {
	if unit == "" {
		return "W"
	}
	return unit
}
