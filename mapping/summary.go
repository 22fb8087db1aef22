package mapping

import "tidings/devices"

// Summary writes what the primary points of d read now: what presence says of it, without the time presence takes to
// follow. It is empty when nothing was read yet.
func (d *Device) Summary(s devices.State) string {
	var dst []byte
	for k, i := range d.Primary {
		p := &d.Points[i]
		state, ok := s.Point(p.Name)
		if !ok || state.At.IsZero() {
			continue
		}
		if len(dst) > 0 {
			dst = append(dst, statusSeparator...)
		}
		if len(d.Primary) > 1 && (state.Quality != devices.Good || d.needsName(k)) {
			dst = append(append(dst, p.name()...), ' ')
		}
		dst = p.appendState(dst, state)
	}
	return string(dst)
}
