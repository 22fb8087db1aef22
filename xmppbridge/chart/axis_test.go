package chart

import (
	"slices"
	"testing"
	"time"
	_ "time/tzdata" // the test's zone, wherever it runs
)

func TestScale(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		low, high float64
		want      []string
	}{
		{20.2, 31, []string{"20", "25", "30", "35"}},
		{0, 100, []string{"0", "20", "40", "60", "80", "100"}},
		{-12.3, 4, []string{"−15", "−10", "−5", "0", "5"}},
		{21.42, 21.48, []string{"21.42", "21.44", "21.46", "21.48"}},
		{72, 72, []string{"68", "70", "72", "74", "76"}},
		{0, 0, []string{"−1.0", "−0.5", "0", "0.5", "1.0"}},
		{100e3, 250e3, []string{"100k", "150k", "200k", "250k"}},
		{0, 2.1e6, []string{"0", "0.5M", "1.0M", "1.5M", "2.0M", "2.5M"}},
		{0.001, 0.004, []string{"0.001", "0.002", "0.003", "0.004"}},
	} {
		s := newScale(test.low, test.high)
		var got []string
		for _, v := range s.at() {
			got = append(got, s.label(v))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%v to %v: %q, want %q", test.low, test.high, got, test.want)
		}
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		to   time.Time
		span time.Duration
		want []string
	}{
		"an hour":              {time.Date(2026, 9, 23, 14, 5, 0, 0, berlin), time.Hour, []string{"13:10", "13:20", "13:30", "13:40", "13:50", "14:00"}},
		"a day":                {time.Date(2026, 9, 23, 14, 5, 0, 0, berlin), 24 * time.Hour, []string{"16:00", "20:00", "Wed 23", "04:00", "08:00", "12:00"}},
		"a week":               {time.Date(2026, 9, 23, 14, 5, 0, 0, berlin), 7 * 24 * time.Hour, []string{"17 Sep", "19 Sep", "21 Sep", "23 Sep"}},
		"a minute":             {time.Date(2026, 9, 23, 14, 5, 5, 0, berlin), time.Minute, []string{"14:04:10", "14:04:20", "14:04:30", "14:04:40", "14:04:50", "14:05:00"}},
		"a year":               {time.Date(2026, 9, 23, 14, 5, 0, 0, berlin), 365 * 24 * time.Hour, []string{"Dec 2025", "Mar 2026", "Jun 2026", "Sep 2026"}},
		"in a day of 25 hours": {time.Date(2026, 10, 25, 12, 30, 0, 0, berlin), 14 * time.Hour, []string{"Sun 25", "03:00", "06:00", "09:00", "12:00"}},
		"in a day of 23 hours": {time.Date(2027, 3, 28, 6, 30, 0, 0, berlin), 6*time.Hour + 30*time.Minute, []string{"23:00", "Sun 28", "01:00", "03:00", "04:00", "05:00", "06:00"}},
	} {
		from := test.to.Add(-test.span)
		var got []string
		last := from
		for i, m := range moments(from, test.to, berlin, 7) {
			if m.at.Before(from) || m.at.After(test.to) || i > 0 && !m.at.After(last) {
				t.Errorf("%s: a mark at %v", name, m.at)
			}
			last = m.at
			got = append(got, m.label)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
