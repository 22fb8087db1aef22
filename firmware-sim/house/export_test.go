package house

import "time"

// Outdoors is the temperature outdoors where a day lasts so long.
func Outdoors(day time.Duration, at time.Time) float64 { return weather{day}.outdoors(at) }
