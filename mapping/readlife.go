package mapping

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
)

// Bounds of what an alert may ask for.
const (
	leastRepeat = 10 * time.Second // more often is a flood
	maxOffers   = 8                // buttons that a phone shows
	maxChart    = 366 * 24 * time.Hour
)

// life reads what becomes of an alert once it is active.
func (r *reader) life(t *schema.Table, a *AlertConfig, about []*DeviceConfig) {
	if a.Repeat = t.Duration("repeat", 0); t.Has("repeat") && a.Repeat < leastRepeat {
		t.Errorf("repeat", "repeat is less than 10 s: leave it out, or give how often it is said again, as in \"30m\"")
	}
	if a.Chart = t.Duration("chart", 0); t.Has("chart") && (a.Chart <= 0 || a.Chart > maxChart) {
		t.Errorf("chart", "chart is how much of the time before the picture shows, as in \"6h\": more than nothing and at most a year")
	}
	if e := t.Table("escalate"); t.Has("escalate") && e != nil {
		a.Escalate = r.escalation(e, a, about)
	}
	if q := t.Table("quiet"); t.Has("quiet") && q != nil {
		a.quiet = readQuiet(q)
	}
	r.offers(t, a, about)
}

func (r *reader) escalation(t *schema.Table, a *AlertConfig, about []*DeviceConfig) *Escalation {
	e := &Escalation{After: t.Duration("after", 0), To: r.recipients(t, a, about)}
	if t.Has("after") && e.After <= 0 {
		t.Errorf("after", "after = \"0s\" would tell them at once: put them into the alert's own to, or give how long others have to acknowledge it")
	}
	for _, who := range e.To {
		if slices.Contains(a.To, who) {
			t.Errorf("to", "%s is in the alert's own to already and hears of it first: name somebody else, or take escalate out", who)
		}
	}
	return e
}

// clock is a time of day.
var clock = regexp.MustCompile(`^([01]?[0-9]|2[0-3]):([0-5][0-9])$`)

func readQuiet(t *schema.Table) *quietHours {
	q := &quietHours{}
	for _, end := range []struct {
		key string
		to  *int
	}{{"from", &q.from}, {"to", &q.to}} {
		m := clock.FindStringSubmatch(t.String(end.key))
		if m == nil {
			if t.Has(end.key) {
				t.Errorf(end.key, "%s: %q is no time of day: write it as in \"22:00\"", end.key, t.String(end.key))
			}
			return nil
		}
		hour, _ := strconv.Atoi(m[1])
		minute, _ := strconv.Atoi(m[2])
		*end.to = hour*60 + minute
	}
	if q.from == q.to {
		t.Errorf("to", "quiet from %[1]s to %[1]s is the whole day: nobody would ever be told", t.String("from"))
		return nil
	}
	if q.except = t.Has("except"); q.except {
		q.level = Level(max(slices.Index(levelNames[:], t.String("except")), 0))
	}
	return q
}

// offers reads `offer`: commands of the devices that the alert is about, of one at least. The others have no such button.
func (r *reader) offers(t *schema.Table, a *AlertConfig, about []*DeviceConfig) {
	list := t.Strings("offer")
	if len(list) > maxOffers {
		t.Errorf("offer", "offer has %d commands, and more than %d are no help: leave some out", len(list), maxOffers)
		return
	}
	for _, words := range list {
		fits := len(about) == 0 || r.open(a.Device, about)
		var names []string
		for _, d := range about {
			model := d.foreseen()
			if fits = fits || model.Offer(words) != nil; fits {
				break
			}
			for _, action := range model.Actions() {
				names = append(names, offerName(&action))
			}
		}
		switch {
		case !fits:
			t.Errorf("offer", "offer: %s has no command %q%s", a.Device, words, didYouMean(words, names, ""))
		case slices.Contains(a.Offer, words):
			t.Errorf("offer", "offer: %q stands there twice", words)
		default:
			a.Offer = append(a.Offer, words)
		}
	}
}

// foreseen is a configured device as it will be, as far as that can be known before its driver has announced it.
func (d *DeviceConfig) foreseen() *Device {
	var raw []devices.Point
	for _, p := range d.points {
		if p.value != nil {
			continue // newShape makes it
		}
		raw = append(raw, devices.Point{Name: p.name, Kind: p.kind, Writable: !p.readOnly})
	}
	s := newShape(raw, d.points, d.Class, nil)
	return &Device{ID: d.ID, Points: s.points}
}

// Offer finds the command that words name, for a button under a message: as Understand does, but one that asks for a value
// goes by its name alone ("set target"). It is nil when there is none.
func (d *Device) Offer(words string) *Action {
	said := strings.Fields(strings.ToLower(words))
	actions := d.Actions()
	for i := range actions {
		if a := &actions[i]; !a.Really && strings.Join(said, " ") == offerName(a) {
			return a
		}
	}
	if a, _ := d.Understand(said); a != nil && !a.Ask {
		return a
	}
	return nil
}

// offerName is what a command is called in `offer`.
func offerName(a *Action) string { return strings.ToLower(strings.TrimSuffix(a.Name, "…")) }
