package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/mapping"
)

// An AlertStatus is one active alert as `tidings alerts` shows it.
type AlertStatus struct {
	Name   string     `json:"name"`
	Device devices.ID `json:"device"`
	Level  string     `json:"level"`
	Since  time.Time  `json:"since"`
	Text   string     `json:"text"`
	By     string     `json:"by,omitempty"` // who has acknowledged it
	// SilencedUntil is the end of a silence for everyone; zero: there is none.
	SilencedUntil time.Time `json:"silenced_until,omitzero"`
}

// An AlertRequest names active alerts; what is empty stands for all.
type AlertRequest struct {
	Name   string     `json:"name,omitempty"`
	Device devices.ID `json:"device,omitempty"`
}

// A SilenceRequest keeps alerts from everyone for a while.
type SilenceRequest struct {
	AlertRequest
	Seconds float64 `json:"seconds,omitempty"`
	End     bool    `json:"end,omitempty"`
}

// onTheMachine is who acknowledges through the control socket.
const onTheMachine = "someone at the gateway"

// AlertStatus are the active alerts, oldest first.
func (g *Gateway) AlertStatus() []AlertStatus {
	out := []AlertStatus{}
	silences := g.router.Silences()
	for _, a := range g.router.Alerts() {
		out = append(out, alertStatus(a, silences))
	}
	return out
}

func alertStatus(a mapping.Alert, silences []mapping.SilenceState) AlertStatus {
	s := AlertStatus{Name: a.Name, Device: a.Device, Level: a.Level.String(), Since: a.At, Text: a.Text, By: a.By}
	for _, silence := range silences {
		covers := (silence.Alert == "" || silence.Alert == a.Name) && (silence.Device == "" || silence.Device == a.Device)
		if silence.Who == "" && covers && silence.Until.After(s.SilencedUntil) {
			s.SilencedUntil = silence.Until
		}
	}
	return s
}

// Acknowledge says that alerts were seen, and returns those that nobody had acknowledged before.
func (g *Gateway) Acknowledge(ctx context.Context, r AlertRequest) ([]AlertStatus, error) {
	if err := g.active(r); err != nil {
		return nil, err
	}
	done, err := g.router.Acknowledge(ctx, mapping.Acknowledge{Alerts: []mapping.AlertRef{{Alert: r.Name, Device: r.Device}}, By: onTheMachine})
	out := []AlertStatus{}
	for _, a := range done {
		out = append(out, alertStatus(a, nil))
	}
	return out, err
}

// active reports with an error that no such alert is active.
func (g *Gateway) active(r AlertRequest) error {
	var names []string
	for _, a := range g.router.Alerts() {
		if (r.Name == "" || a.Name == r.Name) && (r.Device == "" || a.Device == r.Device) {
			return nil
		}
		names = append(names, a.Name)
	}
	what := strings.Join(strings.Fields("no alert "+r.Name+" "+string(r.Device)+" is active"), " ")
	switch near := schema.Nearest(r.Name, names); {
	case len(names) == 0:
		return errors.New(what)
	case near != "":
		return fmt.Errorf("%s: did you mean %q?", what, near)
	}
	return fmt.Errorf("%s: `tidings alerts` lists those that are", what)
}

// Silence keeps alerts from everyone for a while: those that are active and those to come.
func (g *Gateway) Silence(ctx context.Context, r SilenceRequest) error {
	cfg := g.config.Load().Mapping
	if r.Name != "" && !slices.ContainsFunc(cfg.Alerts, func(a *mapping.AlertConfig) bool { return a.Name == r.Name }) {
		var names []string
		for _, a := range cfg.Alerts {
			names = append(names, a.Name)
		}
		if near := schema.Nearest(r.Name, names); near != "" {
			return fmt.Errorf("there is no alert %s: did you mean %q?", r.Name, near)
		}
		return fmt.Errorf("there is no alert %s in the configuration", r.Name)
	}
	if r.Device != "" {
		d, err := g.called(r.Device)
		if err != nil {
			return err
		}
		r.Device = d.ID
	}
	d := time.Duration(r.Seconds * float64(time.Second))
	if !r.End && (d < time.Second || d > 30*24*time.Hour) {
		return errors.New("a silence is between a second and 30 days long")
	}
	return g.router.Silence(ctx, mapping.Silence{Alert: r.Name, Device: r.Device, For: d, End: r.End})
}
