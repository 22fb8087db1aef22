package mapping

import (
	"errors"
	"strings"

	"tidings/devices"
)

// Summary writes what the primary points of d read now: what presence says of it, without the time presence takes to
// follow. It is empty when nothing was read yet.
func (d *Device) Summary(s devices.State) string {
	return string(d.appendPrimary(nil, func(_ int, p *Point) devices.PointState {
		state, _ := s.Point(p.Name)
		return state
	}))
}

// appendPrimary writes what the primary points read. Points never read are left out. A switch or a bare number needs its name when
// another point stands beside it. Those that cannot be read, for a reason that is too long for a line, come last and together.
func (d *Device) appendPrimary(dst []byte, read func(k int, p *Point) devices.PointState) []byte {
	start, unreadable := len(dst), 0
	for k, i := range d.Primary {
		p := &d.Points[i]
		state := read(k, p)
		switch {
		case state.At.IsZero():
			continue
		case tooLong(state):
			unreadable++
			continue
		case len(dst) > start:
			dst = append(dst, statusSeparator...)
		}
		if len(d.Primary) > 1 && (state.Quality != devices.Good || d.needsName(k)) {
			dst = append(append(dst, p.name()...), ' ')
		}
		dst = p.appendState(dst, state)
	}
	if unreadable == 0 {
		return dst
	}
	separator := statusSeparator
	for k, i := range d.Primary {
		p := &d.Points[i]
		if state := read(k, p); state.At.IsZero() || !tooLong(state) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, separator...)
		}
		separator = ", "
		if len(d.Primary) > 1 {
			dst = append(dst, p.name()...)
		}
	}
	if len(d.Primary) > 1 {
		dst = append(dst, ' ')
	}
	return append(dst, "unreadable"...)
}

// maxReason bounds the reason of a fault in a line of several points, in bytes.
const maxReason = 90

// tooLong reports whether a point is faulty for a reason that a line has no room for, as one that quotes what came.
func tooLong(s devices.PointState) bool {
	if s.Quality != devices.Faulty || s.Err == nil {
		return false
	}
	text := reason(s.Err)
	_, ours := errors.AsType[*faultError](s.Err)
	return len(text) > maxReason || !ours && strings.ContainsRune(text, '"')
}
