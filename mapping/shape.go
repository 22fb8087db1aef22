package mapping

import (
	"slices"

	"tidings/devices"
)

// share finds the shape of a device among those of others that are alike, or makes it.
func (r *Rules) share(points []devices.Point, cfg *DeviceConfig) *shape {
	var config []*pointConfig
	class := ""
	if cfg != nil {
		config, class = cfg.points, cfg.Class
	}
	r.buf = appendPoints(r.buf[:0], points)
	for _, s := range r.shapes[string(r.buf)] {
		if s.class == class && s.zone == r.o.Location && slices.Equal(s.config, config) {
			return s
		}
	}
	s := newShape(slices.Clone(points), config, class, r.o.Location)
	s.key = string(r.buf)
	r.shapes[s.key] = append(r.shapes[s.key], s)
	return s
}

// release forgets a shape that no device has any more.
func (r *Rules) release(s *shape) {
	if s.users--; s.users > 0 {
		return
	}
	rest := slices.DeleteFunc(r.shapes[s.key], func(other *shape) bool { return other == s })
	if len(rest) == 0 {
		delete(r.shapes, s.key)
	} else {
		r.shapes[s.key] = rest
	}
}
