package chart

import "time"

// A mark of the axis of time.
type moment struct {
	at    time.Time
	label string
	day   bool // a day begins
}

// steps are what may lie between two marks: in seconds below a day, in days from there.
var (
	seconds = []int{10, 30, 60, 120, 300, 600, 900, 1800, 3600, 2 * 3600, 3 * 3600, 4 * 3600, 6 * 3600, 12 * 3600}
	days    = []int{1, 2, 7, 14, 30, 91, 182, 365, 5 * 365}
)

// moments finds marks at round times of the clock on the wall, at most so many. A day of 23 or 25 hours has its marks where
// that clock shows them.
func moments(from, to time.Time, zone *time.Location, most int) []moment {
	total := to.Sub(from)
	for _, s := range seconds {
		if step := time.Duration(s) * time.Second; total/step < time.Duration(most) {
			return clockMarks(from, to, zone, s)
		}
	}
	for _, d := range days {
		if total/(24*time.Hour*time.Duration(d)) < time.Duration(most) {
			return dayMarks(from, to, zone, d)
		}
	}
	return nil
}

func clockMarks(from, to time.Time, zone *time.Location, step int) []moment {
	var out []moment
	y, m, d := from.In(zone).Date()
	for day := d; ; day++ {
		for s := 0; s < 24*3600; s += step {
			at := time.Date(y, m, day, s/3600, s/60%60, s%60, 0, zone)
			switch h, min, sec := at.Clock(); {
			case h*3600+min*60+sec != s: // that hour is left out on this day
				continue
			case at.After(to):
				return out
			case at.Before(from):
				continue
			}
			mark := moment{at: at, label: at.Format("15:04"), day: s == 0}
			if step < 60 {
				mark.label = at.Format("15:04:05")
			}
			if mark.day {
				mark.label = at.Format("Mon 2")
			}
			out = append(out, mark)
		}
	}
}

func dayMarks(from, to time.Time, zone *time.Location, step int) []moment {
	layout := "2 Jan"
	switch {
	case step == 1:
		layout = "Mon 2"
	case step >= 91:
		layout = "Jan 2006"
	}
	var out []moment
	y, m, d := from.In(zone).Date()
	if step >= 30 { // months begin on the first
		for i := 0; ; i += step / 30 {
			at := time.Date(y, m+time.Month(i), 1, 0, 0, 0, 0, zone)
			if at.After(to) {
				return out
			}
			if !at.Before(from) {
				out = append(out, moment{at: at, label: at.Format(layout), day: true})
			}
		}
	}
	for day := d + 1; ; day += step {
		at := time.Date(y, m, day, 0, 0, 0, 0, zone)
		if at.After(to) {
			return out
		}
		if !at.Before(from) {
			out = append(out, moment{at: at, label: at.Format(layout), day: true})
		}
	}
}
