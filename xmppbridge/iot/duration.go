package iot

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxDuration bounds an interval: nobody waits longer for the next event.
const maxDuration = 366 * 24 * time.Hour

// readDuration reads an xs:duration that is positive or nothing and has a length of its own: "PT1.5S", "P1DT12H". Years
// and months have none. What is not there is 0.
func readDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no duration such as PT1S or P1DT12H", cut(s))
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), "P")
	switch {
	case s == "":
		return 0, nil
	case !ok || rest == "" || len(rest) > 60:
		return 0, bad
	}
	date, clock, hasClock := strings.Cut(rest, "T")
	if hasClock && clock == "" {
		return 0, bad
	}
	total := 0.0
	for _, part := range []struct {
		text    string
		letters string
		units   []time.Duration
	}{
		{date, "D", []time.Duration{24 * time.Hour}},
		{clock, "HMS", []time.Duration{time.Hour, time.Minute, time.Second}},
	} {
		text, letters, units := part.text, part.letters, part.units
		for text != "" {
			end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
			if end <= 0 {
				return 0, bad
			}
			at := strings.IndexByte(letters, text[end])
			n, err := strconv.ParseFloat(text[:end], 64)
			if at < 0 || err != nil || text[end] != 'S' && strings.Contains(text[:end], ".") {
				return 0, bad
			}
			total += n * float64(units[at])
			text, letters, units = text[end+1:], letters[at+1:], units[at+1:]
		}
	}
	if total > float64(maxDuration) {
		return 0, fmt.Errorf("%q is longer than a year", cut(s))
	}
	return time.Duration(total), nil
}
