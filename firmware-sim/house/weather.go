package house

import (
	"math"
	"time"
)

// A weather is what there is to measure. A day lasts as long as it says.
type weather struct{ day time.Duration }

// phase is how much of the day is over, 0 to 1; midnight is 0.
func (w weather) phase(now time.Time) float64 {
	local := now
	_, offset := local.Zone()
	since := time.Duration(now.UnixNano()) + time.Duration(offset)*time.Second
	return float64(since%w.day) / float64(w.day)
}

// wave goes from -1 to 1 and is highest at a time of day.
func (w weather) wave(now time.Time, highest float64) float64 {
	return math.Cos(2 * math.Pi * (w.phase(now) - highest/24))
}

// outdoors is °C: 14 in the afternoon, 4 before dawn.
func (w weather) outdoors(now time.Time) float64 { return 9 + 5*w.wave(now, 15) }

// damp is the humidity outdoors.
func (w weather) damp(now time.Time) float64 { return 72 - 18*w.wave(now, 15) }

// room is the temperature of one with so much more or less than 21 °C.
func (w weather) room(offset float64) func(time.Time) float64 {
	return func(now time.Time) float64 { return 21 + offset + 0.8*w.wave(now, 19+offset) }
}

// moisture is the humidity of a room.
func (w weather) moisture(mean float64) func(time.Time) float64 {
	return func(now time.Time) float64 { return mean + 6*w.wave(now, 7) }
}

// sun is lx outdoors: none at night.
func (w weather) sun(now time.Time) float64 { return max(0, 40_000*w.wave(now, 12.5)) }

// window is lx in a room.
func (w weather) window(share float64) func(time.Time) float64 {
	return func(now time.Time) float64 { return 4 + share*w.sun(now) }
}

// use is the power of the whole house, W.
func (w weather) use(now time.Time) float64 {
	return 420 + 160*max(0, w.wave(now, 8)) + 520*max(0, w.wave(now, 19)) + 40*math.Sin(float64(now.Unix())/7)
}

// load is the power of one thing, which wavers.
func load(watts float64) func(time.Time) float64 {
	return func(now time.Time) float64 { return watts * (1 + 0.08*math.Sin(float64(now.Unix())/5)) }
}

// now and then something happens: in one of so many parts of time, each as long as said. The seed tells things apart.
func nowAndThen(seed uint64, part time.Duration, one uint64) func(time.Time) bool {
	return func(now time.Time) bool {
		return mix(seed^uint64(now.UnixNano()/int64(part))*0x9E3779B97F4A7C15)%one == 0
	}
}

// mix is splitmix64's.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}
