package serial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tidings/devices"
	"tidings/drivers/serial/modbus"
)

// do has a command written in its turn, and returns when the slave has taken it. Those who wait are bounded by their ctx,
// and by whoever lets them call.
func (a *asking) do(ctx context.Context, cmd devices.Command) (devices.Result, error) {
	c := &command{ctx: ctx, value: cmd.Value, result: make(chan outcome, 1)}
	for _, s := range a.slaves {
		for _, d := range s.devices {
			if d.info.ID != cmd.Device {
				continue
			}
			c.slave = s
			for _, r := range d.registers {
				if r.Name == cmd.Point {
					c.point = r
				}
			}
		}
	}
	var err error
	if c.data, err = c.point.data(cmd.Value); err != nil {
		return devices.Result{}, fmt.Errorf("%s %s: %w", cmd.Device, cmd.Point, err)
	}
	if !a.put(c) {
		return devices.Result{}, fmt.Errorf("serial %s: %w", a.name, devices.ErrDown)
	}
	select {
	case o := <-c.result:
		return o.Result, a.explained(o.err)
	case <-ctx.Done():
	}
	if a.takeBack(c) {
		return devices.Result{}, ctx.Err()
	}
	o := <-c.result // soon: it has ctx, too
	return o.Result, a.explained(o.err)
}

// explained puts the name of the connection before an error.
func (a *asking) explained(err error) error {
	if err == nil {
		return nil
	}
	return like(err, fmt.Errorf("serial %s: %w", a.name, err))
}

func (a *asking) put(c *command) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return false
	}
	a.queue = append(a.queue, c)
	a.master.Wake()
	return true
}

// take is the command whose turn it is, or nil.
func (a *asking) take() *command {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		return nil
	}
	c := a.queue[0]
	a.queue = slices.Delete(a.queue, 0, 1)
	return c
}

// takeBack reports whether a command still waited, and now does no more.
func (a *asking) takeBack(c *command) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.queue, c)
	if i < 0 {
		return false
	}
	a.queue = slices.Delete(a.queue, i, i+1)
	return true
}

// write carries out a command and has read back what came of it, unless ctx is done first. The error is the port's; the
// command's goes to who gave it.
func (a *asking) write(ctx context.Context, c *command) error {
	if c.slave.said && !c.slave.up { // one that nobody has asked yet may be there
		c.result <- outcome{err: fmt.Errorf("%w: %w", devices.ErrDown, c.slave.cause)}
		return nil
	}
	tries := a.tries
	if c.point.Kind == devices.KindAction {
		tries = 1 // it may have been done
	}
	either, cancel := context.WithCancel(c.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	sent, err := a.send(either, c.slave, c.point, c.data, tries)
	if err != nil && ctx.Err() != nil && c.ctx.Err() == nil {
		err = devices.ErrDown // it is the end
	}
	switch {
	case err == nil:
		a.present(c.slave)
		a.log.Debug("written", "slave", c.slave.address, "to", c.point.to.String(), "value", c.value.String())
		c.result <- outcome{Result: devices.Result{Written: sent}}
		if c.point.Readable {
			want := c.value
			a.checks = append(a.checks, &check{slave: c.slave, point: c.point, want: want, sent: sent, due: time.Now(), left: againTimes})
		}
		return nil
	case sent.IsZero():
		c.result <- outcome{err: err}
	default:
		c.result <- outcome{err: &devices.AskedError{Err: a.refusal(c, err)}}
	}
	if _, isException := errors.AsType[modbus.Exception](err); isException || lineTrouble(err) || either.Err() != nil {
		return nil
	}
	return err
}

// refusal says what became of a command.
func (a *asking) refusal(c *command, err error) error {
	switch {
	case errors.Is(err, modbus.ErrNoAnswer):
		return fmt.Errorf("slave %d, %s: %w", c.slave.address, c.point.to, devices.ErrTimeout)
	case errors.Is(err, modbus.ErrDamaged):
		return fmt.Errorf("slave %d, %s: %w: %w", c.slave.address, c.point.to, devices.ErrTimeout, err)
	case c.ctx.Err() != nil, errors.Is(err, devices.ErrDown):
		return err
	}
	return fmt.Errorf("slave %d refuses %s: %w", c.slave.address, c.point.to, err)
}

// send writes a value, up to so many times while there is no answer. It returns when it first began to leave, or the zero time
// when nothing did.
func (a *asking) send(ctx context.Context, s *slave, r *register, data []byte, tries int) (sent time.Time, err error) {
	if r.format.Type == modbus.Bit && !r.to.Table.Bits() {
		if data, err = a.withBit(ctx, s, r, data); err != nil {
			return sent, err
		}
	}
	request := modbus.SetRegisters(s.address, r.to.Address, data, r.multiple)
	if r.to.Table.Bits() {
		request = modbus.SetCoil(s.address, r.to.Address, data[0] == 1, r.multiple)
	}
	answer, err := a.insist(ctx, request, tries)
	return answer.Sent, err
}

// insist asks up to so many times while there is no answer. Sent is when the first question began to leave.
func (a *asking) insist(ctx context.Context, r modbus.Request, tries int) (answer modbus.Answer, err error) {
	var sent time.Time
	for range tries {
		if answer, err = a.master.Exchange(ctx, r); sent.IsZero() {
			sent = answer.Sent
		}
		if !errors.Is(err, modbus.ErrNoAnswer) && !errors.Is(err, modbus.ErrDamaged) {
			break
		}
	}
	answer.Sent = sent
	return answer, err
}

// withBit reads the register that a bit is in, and puts the bit into it: the others stay as they are.
func (a *asking) withBit(ctx context.Context, s *slave, r *register, data []byte) ([]byte, error) {
	answer, err := a.insist(ctx, modbus.Read(s.address, r.to.Table, r.to.Address, 1), a.tries)
	switch {
	case errors.Is(err, modbus.ErrNoAnswer):
		return nil, fmt.Errorf("slave %d, reading %s before its bit is written: %w", s.address, r.to, devices.ErrTimeout)
	case err != nil:
		return nil, fmt.Errorf("slave %d, reading %s before its bit is written: %w", s.address, r.to, err)
	}
	mask, err := r.format.Append(nil, 1)
	if err != nil {
		return nil, err
	}
	return []byte{answer.Data[0]&^mask[0] | data[0], answer.Data[1]&^mask[1] | data[1]}, nil
}

// firstCheck is the check that is due first, or nil.
func (a *asking) firstCheck() *check {
	var first *check
	for _, c := range a.checks {
		if first == nil || c.due.Before(first.due) {
			first = c
		}
	}
	return first
}

// check reads what was written, and everything else that lies there. The error is the port's.
func (a *asking) check(ctx context.Context, c *check) error {
	drop := func() { a.checks = slices.DeleteFunc(a.checks, func(other *check) bool { return other == c }) }
	answer, err := a.master.Exchange(ctx, modbus.Read(c.slave.address, c.point.at.Table, c.point.at.Address, c.point.at.Count))
	if err != nil {
		if lineTrouble(err) && c.left > 1 { // a frame may be lost: once more, and no more
			c.left, c.due = 1, time.Now()
			return nil
		}
		drop() // the next poll will tell
		if _, isException := errors.AsType[modbus.Exception](err); isException || lineTrouble(err) {
			return nil
		}
		return err
	}
	a.present(c.slave)
	b := modbus.Block{Item: c.point.at}
	for i, item := range c.slave.items {
		if item.Table == b.Table && item.Address >= b.Address && int(item.Address)+item.Count <= int(b.Address)+b.Count {
			b.Items = append(b.Items, i)
		}
	}
	a.publish(c.slave, b, answer)
	v, _, _ := c.point.value(b.Part(answer.Data, c.point.at))
	fresh := !answer.Sent.Before(c.sent) // or it is the answer to a question of before, that came late
	if c.left--; v == c.want && fresh || c.left == 0 {
		drop()
		return nil
	}
	c.due = time.Now().Add(again)
	return nil
}

// makeSafe writes the safe values of the slaves that are there, all within safeAll.
func (a *asking) makeSafe() {
	ctx, cancel := context.WithTimeout(context.Background(), safeAll)
	defer cancel()
	for _, s := range a.slaves {
		for _, d := range s.devices {
			for _, r := range d.registers {
				if r.safe.IsZero() || !s.up {
					continue
				}
				data, err := r.data(r.safe)
				if err == nil {
					_, err = a.send(ctx, s, r, data, a.tries)
				}
				if err != nil {
					a.log.Warn("safe value not written", "device", d.info.ID, "point", r.Name, "err", err)
				}
			}
		}
	}
}
