package xmppbridge

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// How people say a length of time: for a chart, a history, a silence.

var (
	amount    = regexp.MustCompile(`^([0-9]+(?:[.,][0-9]+)?)([a-z]*)$`)
	timeUnits = map[string]time.Duration{
		"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
		"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour, "std": time.Hour,
		"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
		"w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour, "weeks": 7 * 24 * time.Hour,
		"month": 30 * 24 * time.Hour, "months": 30 * 24 * time.Hour, "y": 365 * 24 * time.Hour, "year": 365 * 24 * time.Hour,
	}
)

var errTwoSpans = errors.New("say one length of time, such as 24h or 7d")

// takeSpan takes a length of time out of words in lower case: "24h", "30 min", "the last week". Not said says that there is none;
// an error, that there are two. A unit alone is one ("week") where nothing with a number is: a point or an alert may be called so.
func takeSpan(words []string) (span time.Duration, said bool, rest []string, err error) {
	for _, at := range []func([]string) (time.Duration, int){amountAt, unitAt} {
		rest = nil
		for i := 0; i < len(words); i++ {
			d, used := at(words[i:])
			switch {
			case used == 0:
				rest = append(rest, words[i])
				continue
			case said:
				return 0, true, nil, errTwoSpans
			}
			span, said, i = d, true, i+used-1
		}
		if said {
			return span, true, rest, nil
		}
	}
	return 0, false, words, nil
}

// amountAt reads a length of time with a number where words begin with one, and says how many of them it is.
func amountAt(words []string) (span time.Duration, used int) {
	m := amount.FindStringSubmatch(words[0])
	if m == nil {
		return 0, 0
	}
	name, used := m[2], 1
	if name == "" && len(words) > 1 {
		name, used = words[1], 2
	}
	unit, ok := timeUnits[name]
	n, err := strconv.ParseFloat(strings.Replace(m[1], ",", ".", 1), 64)
	if !ok || err != nil {
		return 0, 0
	}
	return time.Duration(min(n*float64(unit), math.MaxInt64/2)), used // longer than anything may be
}

// unitAt reads a unit that stands for one of it: "week", and not "h".
func unitAt(words []string) (span time.Duration, used int) {
	if unit, ok := timeUnits[words[0]]; ok && len(words[0]) > 1 {
		return unit, 1
	}
	return 0, 0
}
