package xmppbridge

import (
	"fmt"
	"math"
	"strings"
	"time"

	"tidings/devices"
	"tidings/mapping"
)

// A summary is what a point was over some time, in a few numbers; a switch counts as 0 and 1.
type summary struct {
	min, mean, max, last float64
	known                time.Duration // for how much of the time
}

// summarise sums spans up; ok is false where nothing was known in any of them.
func summarise(spans []Span) (s summary, ok bool) {
	sum := 0.0
	for _, span := range spans {
		if span.Count == 0 {
			continue
		}
		if !ok {
			s.min, s.max, s.mean = span.Min, span.Max, span.Mean
		}
		ok = true
		s.min, s.max, s.last = math.Min(s.min, span.Min), math.Max(s.max, span.Max), span.Last
		sum += span.Mean * span.Known.Seconds()
		s.known += span.Known
	}
	if s.known > 0 {
		s.mean = sum / s.known.Seconds()
	}
	return s, ok
}

// summaryTable is the short table that stands for a chart: the lowest, the mean, the highest and the last of a number; of a
// switch how much of the time it was on. It is nil where nothing was known.
func summaryTable(title string, p *mapping.Point, spans []Span) *table {
	rows := summaryRows(p, spans)
	if rows == nil {
		return nil
	}
	return &table{title: title, columns: []string{p.Label, "Value"}, rows: rows}
}

// summaryText is that table as one line; empty where nothing was known.
func summaryText(p *mapping.Point, spans []Span) string {
	var parts []string
	for _, row := range summaryRows(p, spans) {
		parts = append(parts, strings.ToLower(row[0])+" "+row[1])
	}
	return strings.Join(parts, ", ")
}

func summaryRows(p *mapping.Point, spans []Span) [][]string {
	s, ok := summarise(spans)
	if !ok {
		return nil
	}
	if p.Kind == devices.KindSwitch {
		on, off := p.Format(devices.Bool(true)), p.Format(devices.Bool(false))
		return [][]string{
			{capital(on), part(s.mean, s.known)}, {capital(off), part(1-s.mean, s.known)}, {"Last", p.Format(devices.Bool(s.last != 0))},
		}
	}
	number := func(f float64) string { return p.Format(devices.Number(f)) }
	return [][]string{{"Min", number(s.min)}, {"Mean", number(rounded(s.mean, s.min, s.max, s.last))}, {"Max", number(s.max)}, {"Last", number(s.last)}}
}

// part is a share of some time, for people.
func part(share float64, of time.Duration) string {
	return fmt.Sprintf("%.0f %% (%s)", 100*share, mapping.Duration(time.Duration(share*float64(of))))
}

// rounded cuts a mean to one digit more than the numbers it is of have.
func rounded(mean float64, of ...float64) float64 {
	decimals := 0
	for _, f := range of {
		text := devices.Number(f).String()
		if i := strings.IndexByte(text, '.'); i >= 0 && !strings.ContainsRune(text, 'e') {
			decimals = max(decimals, len(text)-i-1)
		}
	}
	scale := math.Pow10(min(decimals+1, 9))
	if r := math.Round(mean*scale) / scale; !math.IsInf(r, 0) {
		return r
	}
	return mean
}
