package xmppbridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/iot"
	"tidings/xmppbridge/stream"
)

// maxWrites is how many parameters one set may write, over all its devices.
const maxWrites = 100

// A setting is one set: what it writes, in the order it came.
type setting struct {
	asker
	dialect *iot.Dialect
	control iot.Control
	named   bool
	devices []*mapping.Device
	writes  []devices.Request
	names   []string // of the parameters, each once
}

// answerControl answers set: every parameter is checked before the first is written.
func answerControl(d *iot.Dialect) handler {
	return func(b *Bridge, r *request) (*stream.Element, error) {
		control, err := d.ReadControl(r.query)
		form := control.Form != nil
		s := &setting{asker: r.asker, dialect: d, control: control}
		if err == nil {
			err = b.prepare(s, r.target)
		}
		if err == nil {
			err = b.admitSet(r.full, r.iq, r.fresh)
		}
		if err != nil {
			return nil, b.refuseSet(d, r.iq, form, err)
		}
		queued := b.work.do(s.key(), job{
			failed: func() {
				b.send(stream.ErrorReply(r.iq, stream.NewStanzaError(stream.InternalServerError, "")))
			},
			do: func(ctx context.Context) {
				if err := b.write(ctx, s); err != nil {
					_ = b.refuseSet(d, r.iq, form, err)
					return
				}
				b.send(stream.Result(r.iq, d.Set(s.written(b))))
			}})
		if !queued {
			b.replay.undo(r.full, r.iq)
			return nil, b.refuseSet(d, r.iq, form, devices.ErrBusy)
		}
		return nil, errLater
	}
}

// deliverSet takes a set that comes as a message, which nobody waits to hear the end of (XEP-0325 §3.1), and reports
// whether the message was one.
func (b *Bridge) deliverSet(st *stream.Element, fresh bool) bool {
	var d *iot.Dialect
	var set *stream.Element
	for c := range st.Children() {
		if dialect, ok := iot.Of(c.Space); ok && c.Is(dialect.Control, "set") {
			d, set = dialect, c
			break
		}
	}
	if set == nil {
		return false
	}
	a := b.asker(st)
	target, known := b.addresses().Resolve(st.Attr("to"))
	if _, own := b.addresses().Resolve(a.full); own || !known || a.role == mapping.None || st.Attr("type") == "groupchat" {
		return true
	}
	control, err := d.ReadControl(set)
	s := &setting{asker: a, dialect: d, control: control}
	if err == nil {
		err = b.prepare(s, target)
	}
	if err == nil {
		err = b.admitSet(a.full, st, fresh)
	}
	if err == nil && !b.work.do(s.key(), job{failed: func() {}, do: func(ctx context.Context) {
		if err := b.write(ctx, s); err != nil {
			b.log.Info("message not carried out", "jid", a.full, "err", err)
		}
	}}) {
		b.replay.undo(a.full, st)
		err = devices.ErrBusy
	}
	if err != nil {
		b.log.Info("message not carried out", "jid", a.full, "err", err)
	}
	return true
}

// admitSet refuses what may be old and what was carried out already.
func (b *Bridge) admitSet(full string, st *stream.Element, fresh bool) error {
	if err := b.refuseOld(st, fresh); err != nil {
		return err
	}
	if !b.replay.first(full, st, time.Now()) {
		return stream.NewStanzaError(stream.Conflict, "this very set was carried out already")
	}
	return nil
}

// key is the workers' queue of a set: that of its device, so that sets and commands for one device are in order.
func (s *setting) key() jobKey {
	if len(s.devices) == 1 {
		return jobKey{s.full, s.devices[0].ID}
	}
	return jobKey{s.full, hubKey}
}

// prepare finds the devices and points of a set, and checks all of it.
func (b *Bridge) prepare(s *setting, target mapping.Target) error {
	if target.Kind != mapping.ToDevice && len(s.control.Nodes) == 0 {
		// "All devices" would be a strange thing to switch by leaving something out.
		return &iot.SyntaxError{Text: "the gateway has many devices: name the one to set"}
	}
	var err error
	if s.devices, s.named, err = b.nodes(s.asker, target, s.control.Nodes); err != nil {
		return err
	}
	if n := len(s.devices) * len(s.control.Params); n > maxWrites {
		return stream.NewStanzaError(stream.PolicyViolation, fmt.Sprintf("%d parameters at once are too many: %d are not", n, maxWrites))
	}
	for _, d := range s.devices {
		if !b.access().CanControl(s.bare, d.ID) {
			return stream.NewStanzaError(stream.Forbidden, "your role may see "+d.Name+" but not control it")
		}
		if s.control.Form != nil {
			err = s.submitted(d)
		} else {
			err = s.params(d)
		}
		if err != nil {
			return err
		}
	}
	if len(s.writes) > maxWrites {
		return stream.NewStanzaError(stream.PolicyViolation, "the form sets too many parameters at once")
	}
	for _, w := range s.writes {
		if err := b.o.Executor.Check(w); err != nil {
			return &paramError{w.Point, err}
		}
	}
	return nil
}

// add notes one write.
func (s *setting) add(d *mapping.Device, p *mapping.Point, v devices.Value) error {
	if p.Kind != devices.KindAction {
		var err error
		if v, err = p.Check(v); err != nil {
			return &paramError{p.Name, err}
		}
	}
	s.writes = append(s.writes, devices.Request{By: devices.Principal(s.bare), Via: devices.ViaIoT, Device: d.ID, Point: p.Name, Value: v})
	if !slices.Contains(s.names, p.Name) {
		s.names = append(s.names, p.Name)
	}
	return nil
}

// parameter finds a point that can be set.
func parameter(d *mapping.Device, name string) (*mapping.Point, error) {
	p := d.Point(name)
	switch {
	case p == nil:
		return nil, &paramError{name, fmt.Errorf("%s: %s: %w", d.Name, name, devices.ErrUnknownPoint)}
	case !p.Writable:
		return nil, &paramError{name, fmt.Errorf("%s: %s: %w", d.Name, name, devices.ErrNotWritable)}
	}
	return p, nil
}

// wants is the kind of parameter that sets a point.
var wants = map[devices.PointKind]struct {
	kind iot.ParamKind
	word string
}{
	devices.KindNumber: {iot.NumberParam, "a number"},
	devices.KindSwitch: {iot.BoolParam, "a boolean"},
	devices.KindAction: {iot.BoolParam, "a boolean"},
	devices.KindText:   {iot.TextParam, "a string"},
	devices.KindChoice: {iot.TextParam, "a string or an enumeration"},
	devices.KindColor:  {iot.TextParam, "a color or a string such as #ff8800"},
	devices.KindTime:   {iot.TextParam, "a dateTime or a string such as 2026-01-31T18:30:00Z"},
}

// params takes the parameters of a set for one device. The type has to be the point's: nothing is guessed.
func (s *setting) params(d *mapping.Device) error {
	for _, param := range s.control.Params {
		p, err := parameter(d, param.Name)
		if err != nil {
			return err
		}
		typed := param.Kind == iot.OtherParam && (p.Kind == devices.KindColor || p.Kind == devices.KindTime) // whose types are read by their words
		if w := wants[p.Kind]; w.kind != param.Kind && !typed {
			return &paramError{p.Name, fmt.Errorf("%s: this is %w, which takes %s", p.Name, devices.ErrValue, w.word)}
		}
		if on, _ := param.Value.Bool(); p.Kind == devices.KindAction && !on {
			return &paramError{p.Name, fmt.Errorf("%s: false is %w: true does it", p.Name, devices.ErrValue)}
		}
		if err := s.add(d, p, param.Value); err != nil {
			return err
		}
	}
	return nil
}

// submitted takes the fields of a form for one device, those present only.
func (s *setting) submitted(d *mapping.Device) error {
	values, ok := submitted(s.control.Form)
	if !ok {
		return &iot.SyntaxError{Text: "a submitted form (XEP-0004) is wanted here"}
	}
	delete(values, "FORM_TYPE")
	if len(values) == 0 {
		return &iot.SyntaxError{Text: "there is nothing to set"}
	}
	for i := range d.Points { // in the order of the points: a form has none
		p := &d.Points[i]
		list, there := values[p.Name]
		if !there {
			continue
		}
		delete(values, p.Name)
		if _, err := parameter(d, p.Name); err != nil {
			return err
		}
		v, err := submittedValue(p, list)
		if err != nil {
			return &paramError{p.Name, err}
		}
		if on, _ := v.Bool(); p.Kind == devices.KindAction && !on {
			continue // shown, and not asked for
		}
		if err := s.add(d, p, v); err != nil {
			return err
		}
	}
	for name := range values {
		_, err := parameter(d, name)
		return err
	}
	return nil
}

func submittedValue(p *mapping.Point, list []string) (devices.Value, error) {
	if p.Kind == devices.KindSwitch || p.Kind == devices.KindAction {
		on, ok := formBool(list)
		if !ok {
			return devices.Value{}, fmt.Errorf("%s: this is %w: it takes true or false", p.Name, devices.ErrValue)
		}
		return devices.Bool(on), nil
	}
	if len(list) != 1 {
		return devices.Value{}, fmt.Errorf("%s: this is %w: one value is wanted", p.Name, devices.ErrValue)
	}
	return p.Parse(list[0])
}

// write carries a set out, in order, up to the first that fails.
func (b *Bridge) write(ctx context.Context, s *setting) error {
	ctx, cancel := context.WithTimeout(ctx, executeTimeout)
	defer cancel()
	var done []string
	for _, w := range s.writes {
		if _, err := b.o.Executor.Execute(ctx, w); err != nil {
			if len(done) > 0 {
				err = fmt.Errorf("%w (done before: %s)", err, strings.Join(done, ", "))
			}
			return &paramError{w.Point, err}
		}
		done = append(done, b.addresses().Slug(w.Device)+" "+w.Point)
	}
	return nil
}

func (s *setting) written(b *Bridge) iot.Written {
	out := iot.Written{Params: s.names}
	if s.named {
		for _, d := range s.devices {
			out.Nodes = append(out.Nodes, b.addresses().Slug(d.ID))
		}
	}
	return out
}

// refuseSet answers a set or getForm with an error, and with what the dialect says beside it.
func (b *Bridge) refuseSet(d *iot.Dialect, iq *stream.Element, form bool, err error) error {
	e := iotError(d, err)
	param := ""
	if p := (*paramError)(nil); errors.As(err, &p) {
		param = p.param
	} else if s := (*iot.SyntaxError)(nil); errors.As(err, &s) {
		param = s.Param
	}
	b.send(stream.ErrorReply(iq, e).Add(d.NotSet(e, param, form)))
	return errLater
}

// answerControlForm answers getForm: one field a point that the program may set, with its present value.
func answerControlForm(d *iot.Dialect) handler {
	return func(b *Bridge, r *request) (*stream.Element, error) {
		slugs, err := d.ReadNodes(r.query)
		if err == nil && (len(slugs) > 1 || len(slugs) == 0 && r.target.Kind != mapping.ToDevice) {
			err = &iot.SyntaxError{Text: "a form is of one device: name it"}
		}
		if err != nil {
			return nil, b.refuseSet(d, r.iq, false, err)
		}
		list, _, err := b.nodes(r.asker, r.target, slugs)
		if err == nil && !b.access().CanControl(r.bare, list[0].ID) {
			err = stream.NewStanzaError(stream.Forbidden, "your role may see "+list[0].Name+" but not control it")
		}
		if err != nil {
			return nil, b.refuseSet(d, r.iq, false, err)
		}
		device := list[0]
		form := newForm("form", device.Name, "")
		size := 0
		for i := range device.Points {
			p := &device.Points[i]
			if !p.Writable || !p.Programs {
				continue
			}
			present, _ := b.present(device.ID, p)
			field := valueField(p, present).SetAttr("var", p.Name)
			if p.Kind == devices.KindAction {
				field = newField(p.Name, "boolean", p.Label, "0")
			}
			// Only what is sent back is set, so nothing has to be.
			field.Nodes = slices.DeleteFunc(field.Nodes, func(c *stream.Element) bool { return c.Is(nsForm, "required") })
			if size += len(field.String()); size > 2*maxReadoutSize {
				break
			}
			form.Add(field)
		}
		return form, nil
	}
}
