package xmppbridge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// alertsWithPictures is a house where the alert "hot" is about the oven's target.
func alertsWithPictures(h *testHistory, u *testUploader) setup {
	s := withPictures(h, u)
	more := s.more
	s.more = func(o *Options) {
		more(o)
		o.Plot = func(alert string) (mapping.Plot, bool) {
			return mapping.Plot{Point: "target", Thresholds: []mapping.Threshold{{Value: 190, Above: true}}}, alert == "hot"
		}
	}
	return s
}

// alert puts one into the outbox for some people.
func (f *fixture) alert(m Outgoing, to ...string) {
	f.store.mu.Lock()
	for _, person := range to {
		m.Seq, m.To, m.Device, m.Body = int64(len(f.store.outbox)+1), person, "oven", "hot!"
		if m.At.IsZero() {
			m.At = time.Now()
		}
		f.store.outbox = append(f.store.outbox, m)
	}
	f.store.mu.Unlock()
	f.Alert()
}

func TestAlertChart(t *testing.T) {
	h, u := &testHistory{}, &testUploader{}
	bubble(t, alertsWithPictures(h, u), func(f *fixture) {
		f.alert(Outgoing{ID: "a1", Alert: "hot", Chart: 6 * time.Hour}, "alice@example.org", "otto@example.org")
		sent := f.sent()
		if len(sent) != 4 {
			t.Fatalf("sent: %v", sent)
		}
		for _, to := range []string{"alice@example.org", "otto@example.org"} {
			var ids []string
			for _, st := range sent {
				if st.Attr("to") == to {
					ids = append(ids, st.Attr("id"))
				}
			}
			if !slices.Equal(ids, []string{"a1", "a1-chart"}) {
				t.Errorf("%s gets %q: the alert comes first", to, ids)
			}
		}
		pictureIn(t, sent[3])
		if got := h.spans(); !slices.Equal(got, []string{"oven target 6h0m0s"}) {
			t.Errorf("drawn: %q, want one picture for both", got)
		}
		f.alert(Outgoing{ID: "a2", Alert: "hot", Chart: 6 * time.Hour, Occasion: mapping.Repeated}, "alice@example.org")
		f.alert(Outgoing{ID: "a3", Alert: "hot", Occasion: mapping.Escalated}, "vera@example.org")
		f.alert(Outgoing{ID: "a4", Alert: "hot", Chart: 6 * time.Hour, Occasion: mapping.Over}, "alice@example.org")
		f.sent()
		if got := h.spans(); len(got) > 0 {
			t.Errorf("drawn of a repetition, without a chart, of the end: %q", got)
		}
		f.alert(Outgoing{ID: "a5", Alert: "other", Chart: time.Hour, Occasion: mapping.Escalated, At: time.Now().Add(-time.Hour)}, "vera@example.org")
		f.sent()
		if got := h.spans(); !slices.Equal(got, []string{"oven target 1h0m0s"}) {
			t.Errorf("of an alert that compares nothing: %q", got)
		}
	})
}

// TestAlertChartHasItsLine looks at what is drawn.
func TestAlertChartHasItsLine(t *testing.T) {
	bubble(t, alertsWithPictures(&testHistory{}, &testUploader{}), func(f *fixture) {
		g, ok := f.charts.graph(&alertChart{Outgoing: Outgoing{Alert: "hot", Device: "oven", Chart: time.Hour, At: time.Now().Add(-2 * time.Hour)}})
		if !ok || len(g.lines) != 1 || g.lines[0].Value != 190 || g.lines[0].Label != "hot: above 190 °C" {
			t.Errorf("%+v", g)
		}
		if ago := time.Since(g.to); ago < time.Hour || g.to.Sub(g.from) != time.Hour {
			t.Errorf("an alert of two hours ago shows %v to %v", g.from, g.to)
		}
	})
}

// TestAlertChartHoldsNothingUp: alerts go out while their picture hangs, and without it.
func TestAlertChartHoldsNothingUp(t *testing.T) {
	u := &testUploader{}
	bubble(t, alertsWithPictures(&testHistory{}, u), func(f *fixture) {
		u.wait = make(chan struct{})
		for i := range maxAlertCharts + 10 {
			f.alert(Outgoing{ID: fmt.Sprint("a", i), Alert: "hot", Chart: time.Hour, At: time.Now().Add(time.Duration(i) * time.Second)}, "alice@example.org")
		}
		if sent := f.sent(); len(sent) != maxAlertCharts+10 {
			t.Errorf("%d alerts went out", len(sent))
		}
		f.store.mu.Lock()
		if n := len(f.store.outbox); n != 0 {
			t.Errorf("%d alerts are not confirmed", n)
		}
		f.store.mu.Unlock()
		close(u.wait)
		if sent := f.sent(); len(sent) > maxAlertCharts+1 || len(sent) < maxAlertCharts {
			t.Errorf("%d pictures came", len(sent))
		}
	})
}

func TestAlertChartFails(t *testing.T) {
	for name, test := range map[string]struct {
		h    *testHistory
		u    *testUploader
		want string // of a message behind the alert; empty: none
	}{
		"no service": {&testHistory{}, nil, "Oven: target, 6 h: min 159 °C"},
		"refused":    {&testHistory{}, &testUploader{err: errors.New("no")}, "Oven: target, 6 h: min 159 °C"},
		"no reading": {&testHistory{empty: true}, &testUploader{}, ""},
		"no disk":    {&testHistory{err: errors.New("gone")}, &testUploader{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, alertsWithPictures(test.h, test.u), func(f *fixture) {
				f.alert(Outgoing{ID: "a1", Alert: "hot", Chart: 6 * time.Hour}, "alice@example.org")
				sent := f.sent()
				if sent[0].Attr("id") != "a1" || test.want == "" && len(sent) != 1 {
					t.Fatalf("sent: %v", sent)
				}
				if test.want != "" && (len(sent) != 2 || !strings.Contains(sent[1].ChildText(stream.NS, "body"), test.want)) {
					t.Errorf("sent: %v", sent)
				}
			})
		})
	}
}

// TestAlertChartOnce: an alert that goes out again has its picture already.
func TestAlertChartOnce(t *testing.T) {
	h := &testHistory{}
	bubble(t, alertsWithPictures(h, &testUploader{}), func(f *fixture) {
		m := Outgoing{ID: "a1", To: "alice@example.org", Device: "oven", Alert: "hot", Chart: time.Hour, At: time.Now(), Body: "hot!"}
		for range 2 {
			if err := f.SendNow(t.Context(), []Outgoing{m}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := h.spans(); len(got) != 1 {
			t.Errorf("drawn: %q", got)
		}
	})
}

// TestAlertChartOfAnother: a picture of another device's point is for those who may see that one.
func TestAlertChartOfAnother(t *testing.T) {
	s := withPictures(&testHistory{}, &testUploader{})
	more := s.more
	s.more = func(o *Options) {
		more(o)
		o.Plot = func(string) (mapping.Plot, bool) { return mapping.Plot{Device: "oven", Point: "target"}, true }
	}
	bubble(t, s, func(f *fixture) {
		for i, to := range []string{"wim@example.org", "vera@example.org"} { // wim sees the lamp alone
			m := Outgoing{ID: "a1", To: to, Device: "lamp", Alert: "x", Chart: time.Hour, At: time.Now(), Body: "dark!"}
			if err := f.SendNow(t.Context(), []Outgoing{m}); err != nil {
				t.Fatal(err)
			}
			if sent := f.sent(); len(sent) != 1+i {
				t.Errorf("%s gets %v", to, sent)
			}
		}
	})
}
