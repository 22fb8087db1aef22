package homie

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

var errTooLong = fmt.Errorf("its $description is longer than %d bytes", discovery.MaxAnnouncement)

func errJSON(err error) error {
	return fmt.Errorf("its $description is not what the convention has: %w", err)
}

func errState(payload []byte) error {
	return fmt.Errorf("$state says %s, which the convention does not have", discovery.Quote(payload))
}

// ordered are ids in the order that a device gave, else sorted.
func ordered[T any](m map[string]T, order []string) []string {
	if order != nil {
		return order
	}
	return slices.Sorted(maps.Keys(m))
}

// build makes the points of a description. One is called like its property, and like its node too where another node has a
// property of that name.
func build(out *discovery.Device, base string, about *description) {
	uses := map[string]int{}
	for _, n := range about.Nodes {
		if n != nil {
			for id := range n.Properties {
				uses[discovery.PointName(id)]++
			}
		}
	}
	taken := map[string]bool{}
	note := func(format string, args ...any) {
		if len(out.Notes) < discovery.MaxNotes {
			out.Notes = append(out.Notes, fmt.Sprintf(format, args...))
		}
	}
	for _, nodeID := range ordered(about.Nodes, about.order) {
		n := about.Nodes[nodeID]
		if n == nil || !isID(nodeID) {
			note("not understood: node %.40q", nodeID)
			continue
		}
		for _, id := range ordered(n.Properties, n.order) {
			p := n.Properties[id]
			if p == nil || !isID(id) {
				note("not understood: %s/%.40q", nodeID, id)
				continue
			}
			name, label := discovery.PointName(id), p.Name
			if uses[name] > 1 {
				name = discovery.PointName(nodeID + "_" + id)
				if n.Name != "" && label != "" {
					label = n.Name + " " + label
				}
			}
			point, err := p.point(base + "/" + nodeID + "/" + id)
			switch {
			case err != nil:
				note("not understood: %s/%s: %v", nodeID, id, err)
			case taken[name]:
				note("not understood: %s/%s: another property has its name", nodeID, id)
			case len(out.Points) >= discovery.MaxPoints:
				note("left out: %s/%s: there are more than %d", nodeID, id, discovery.MaxPoints)
			default:
				taken[name] = true
				point.Name, point.Label = name, label
				if point.Kind == devices.KindSwitch && id == "open" && slices.Contains(opening, n.Type) {
					point.Class = n.Type // of what it is that is open
				}
				out.Points = append(out.Points, point)
			}
		}
	}
}

// opening are the types of nodes that are open or closed.
var opening = []string{"awning", "blind", "curtain", "door", "garage", "gate", "shade", "shutter", "valve", "window"}

// alert is the point of one of a device's own alerts.
func alert(id, text string) discovery.Point {
	return discovery.Point{
		Point: devices.Point{Name: discovery.PointName("alert_" + id), Kind: devices.KindText, Label: "Alert " + id, Readable: true},
		Value: devices.Text(text),
	}
}

// A datatype reads and writes the values of properties.
type datatype struct {
	kind  devices.PointKind
	parse func(string) (devices.Value, error)
	write func(devices.Value) (string, error)
}

// point makes the point of a property.
func (p *property) point(topic string) (discovery.Point, error) {
	out := discovery.Point{Point: devices.Point{Unit: p.Unit}}
	t, err := p.datatype(&out.Point)
	if err != nil {
		return out, err
	}
	out.Kind = t.kind
	kept := p.Retained == nil || *p.Retained
	if !kept && (t.kind == devices.KindText || t.kind == devices.KindChoice) {
		out.Kind = devices.KindEvent
		if p.Settable && len(out.Options) == 1 {
			out.Kind = devices.KindAction
		} else if p.Settable {
			out.Kind = t.kind
		}
	}
	if p.Settable {
		out.Writable, out.Confirms = true, kept
		only := out.Options
		out.Write = func(v devices.Value) ([]discovery.Message, error) {
			if out.Kind == devices.KindAction {
				v = devices.Text(only[0])
			}
			text, err := t.write(v)
			if err != nil {
				return nil, err
			}
			return []discovery.Message{*discovery.NewMessage(topic+"/set", []byte(text))}, nil
		}
	}
	if out.Kind == devices.KindAction || out.Kind == devices.KindEvent {
		out.Options, out.States = nil, nil
	}
	if out.Kind == devices.KindAction {
		return out, nil
	}
	out.Readable = true
	out.Sources = []discovery.Source{discovery.Plain(topic, t.parse)}
	return out, nil
}

func (p *property) datatype(out *devices.Point) (datatype, error) {
	switch p.Datatype {
	case "integer", "float", "percent":
		if p.Datatype == "percent" && out.Unit == "" { // of versions before 4
			out.Unit = "%"
		}
		if err := limits(out, p.Format); err != nil {
			return datatype{}, err
		}
		return datatype{devices.KindNumber, parseAs(devices.KindNumber), p.writeNumber}, nil
	case "boolean":
		return datatype{devices.KindSwitch, parseBool, writeBool}, nil
	case "enum":
		out.Options = strings.Split(p.Format, ",")
		if p.Format == "" {
			return datatype{}, errors.New("an enum without a format")
		}
		options := out.Options
		return datatype{devices.KindChoice, func(s string) (devices.Value, error) {
			if !slices.Contains(options, s) {
				return devices.Value{}, fmt.Errorf("payload: %s is none of %s", discovery.Quote([]byte(s)), p.Format)
			}
			return devices.Text(s), nil
		}, writeText}, nil
	case "color":
		return colors(p.Format, p.five)
	case "datetime":
		return datatype{devices.KindTime, parseAs(devices.KindTime), func(v devices.Value) (string, error) {
			if v.Kind() != devices.TimeKind {
				return "", discovery.Wrong(v, "time")
			}
			return v.String(), nil
		}}, nil
	case "duration":
		out.Unit = "s"
		return datatype{devices.KindNumber, parseDuration, writeDuration}, nil
	case "string", "json", "":
		return datatype{devices.KindText, func(s string) (devices.Value, error) {
			return devices.Text(strings.TrimSuffix(s, "\x00")), nil // one zero byte stands for the empty text
		}, writeText}, nil
	}
	return datatype{}, fmt.Errorf("datatype %.40q", p.Datatype)
}

func parseAs(kind devices.PointKind) func(string) (devices.Value, error) {
	return func(s string) (devices.Value, error) { return devices.ParseValue(kind, s) }
}

// limits reads "min:max:step", in which each may be left out.
func limits(out *devices.Point, format string) error {
	if format == "" {
		return nil
	}
	parts := strings.Split(format, ":")
	low, high, step := math.Inf(-1), math.Inf(1), 0.0
	for i, at := range []*float64{&low, &high, &step} {
		if i >= len(parts) || parts[i] == "" {
			continue
		}
		f, err := strconv.ParseFloat(parts[i], 64)
		if err != nil || devices.Number(f).IsZero() {
			return fmt.Errorf("format %.40q", format)
		}
		*at = f
	}
	if len(parts) > 3 || low > high || step < 0 {
		return fmt.Errorf("format %.40q", format)
	}
	if !math.IsInf(low, 0) && !math.IsInf(high, 0) {
		out.Low, out.High = low, high
	}
	out.Step = step
	return nil
}

func (p *property) writeNumber(v devices.Value) (string, error) {
	f, ok := v.Number()
	if !ok {
		return "", discovery.Wrong(v, "number")
	}
	if p.Datatype == "integer" {
		return strconv.FormatFloat(math.Round(f), 'f', 0, 64), nil
	}
	return v.String(), nil
}

func parseBool(s string) (devices.Value, error) {
	switch s {
	case "true":
		return devices.Bool(true), nil
	case "false":
		return devices.Bool(false), nil
	}
	return devices.Value{}, fmt.Errorf("payload: %s is neither true nor false", discovery.Quote([]byte(s)))
}

func writeBool(v devices.Value) (string, error) {
	if v.Kind() != devices.BoolKind {
		return "", discovery.Wrong(v, "switch position")
	}
	return v.String(), nil
}

func writeText(v devices.Value) (string, error) {
	s, ok := v.Text()
	if !ok {
		return "", discovery.Wrong(v, "text")
	}
	if s == "" {
		return "\x00", nil // an empty payload would take a kept message back
	}
	return s, nil
}

// parseDuration reads a duration of ISO 8601 as far as the convention has it, "PT12H5M46S", into seconds.
func parseDuration(s string) (devices.Value, error) {
	d, err := time.ParseDuration(strings.ToLower(strings.TrimPrefix(s, "PT")))
	if err != nil || !strings.HasPrefix(s, "PT") {
		return devices.Value{}, fmt.Errorf("payload: %s is no duration such as PT1H30M", discovery.Quote([]byte(s)))
	}
	return devices.Number(d.Seconds()), nil
}

func writeDuration(v devices.Value) (string, error) {
	f, ok := v.Number()
	if !ok || f < 0 || f > math.MaxInt32 {
		return "", discovery.Wrong(v, "duration in seconds")
	}
	seconds := int64(math.Round(f))
	return fmt.Sprintf("PT%dH%dM%dS", seconds/3600, seconds/60%60, seconds%60), nil
}
