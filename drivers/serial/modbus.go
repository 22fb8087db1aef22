package serial

import (
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/serial/modbus"
	"tidings/drivers/serial/port"
)

const (
	defaultPoll    = 10 * time.Second
	defaultTimeout = 500 * time.Millisecond
	defaultRetries = 2
	leastPoll      = 50 * time.Millisecond
)

// A polled is the dialect of slaves that speak when they are asked: Modbus.
type polled struct {
	name    string // of the connection
	port    string
	line    modbus.Line
	tries   int // of one request
	devices []*polledDevice
	log     *slog.Logger
}

// A polledDevice is one device as it was configured; several may be in one slave.
type polledDevice struct {
	info      devices.Info
	slave     byte
	gap, most int
	registers []*register
}

// The keys of a Modbus line alone: of its devices, their points and its own.
var (
	modbusDeviceKeys = []schema.Key{
		{Name: "slave", Kind: schema.Int, Help: "modbus: its address on the line, 1 to 247"},
		{Name: "gap", Kind: schema.Int, Default: "0", Help: "modbus: so many registers that no point has may be read, where that saves a request; 0 reads none that may not be there"},
		{Name: "block", Kind: schema.Int, Default: "125", Help: "modbus: the most registers it takes in one request"},
	}
	modbusPointKeys = []schema.Key{
		{Name: "type", Kind: schema.String, Default: "uint16", Help: "modbus: int16, uint16, int32, uint32, int64, uint64, float32, float64 or bit:N, N from 0 for the lowest"},
		{Name: "order", Kind: schema.String, Default: "ABCD", Choices: modbus.Orders, Help: "modbus: how its bytes lie in the registers; CDAB has the low register first, BADC and DCBA swap the bytes of each"},
		{Name: "poll", Kind: schema.Duration, Help: "modbus: how often it is read; default: the driver's"},
		{Name: "write_on", Kind: schema.Int, Help: "modbus: the number that switches it on, or does an action; default: that of on, or 1"},
		{Name: "write_off", Kind: schema.Int, Help: "modbus: the number that switches it off; default: that of off, or 0"},
		{Name: "multiple", Kind: schema.Bool, Default: "false", Help: "modbus: written with function 15 or 16 even where it is one coil or register"},
	}
	modbusConnectionKeys = []schema.Key{
		{Name: "poll", Kind: schema.Duration, Default: `"10s"`, Help: "modbus: how often points are read that do not say"},
		{Name: "timeout", Kind: schema.Duration, Default: `"500ms"`, Help: "modbus: how long a slave may take to begin its answer"},
		{Name: "retries", Kind: schema.Int, Default: "2", Help: "modbus: how often a request is repeated before its slave counts as gone"},
		{Name: "pause", Kind: schema.Duration, Help: "modbus: the least silence before a request, for slow slaves; never less than the 3.5 characters of the standard"},
	}
)

// polling makes the builder of a Modbus line, with the frames of a serial line or of Modbus TCP.
func polling(tcp bool) func(devices.Connection) (dialect, bool) {
	return func(c devices.Connection) (dialect, bool) {
		t, ok := c.Table, true
		mistake := func(key, format string, args ...any) {
			ok = false
			t.Errorf(key, format, args...)
		}
		p := &polled{name: c.Name, port: t.String("port"), log: c.Log, line: modbus.Line{
			Baud: t.Int("baud", 9600), Timeout: t.Duration("timeout", defaultTimeout), Pause: t.Duration("pause", 0), TCP: tcp,
		}}
		network := strings.HasPrefix(p.port, "tcp://")
		switch {
		case tcp && !network && p.port != "":
			mistake("port", "port: protocol = \"modbus-tcp\" is for tcp://HOST:PORT; on a serial port it is \"modbus\"")
		case tcp:
			p.line.Baud = 0
		}
		if d := p.line.Timeout; d < 10*time.Millisecond || d > 10*time.Second {
			mistake("timeout", "timeout: 10ms to 10s can be waited for an answer")
		}
		if p.line.Pause > time.Second {
			mistake("pause", "pause: at most 1s can lie before each request")
		}
		retries := t.Int("retries", defaultRetries)
		if p.tries = retries + 1; retries < 0 || retries > 10 {
			mistake("retries", "retries: 0 to 10 repetitions make sense")
		}
		poll, good := pollOf(t, defaultPoll)
		ok = ok && good
		for _, dc := range c.Devices {
			d, good := p.device(dc, poll)
			p.devices = append(p.devices, d)
			ok = ok && good
		}
		return p, ok
	}
}

// pollOf reads the key poll of a driver or a point.
func pollOf(t *schema.Table, otherwise time.Duration) (time.Duration, bool) {
	d := t.Duration("poll", otherwise)
	if d < leastPoll {
		t.Errorf("poll", "poll: %s is more often than a line can: at least %s", t.String("poll"), leastPoll)
		return d, false
	}
	return d, true
}

func (p *polled) device(dc devices.DeviceConfig, poll time.Duration) (*polledDevice, bool) {
	t, ok := dc.Table, true
	mistake := func(key, format string, args ...any) {
		ok = false
		t.Errorf(key, format, args...)
	}
	slave := t.Int("slave", 0)
	d := &polledDevice{slave: byte(slave), gap: t.Int("gap", 0), most: t.Int("block", 125)}
	switch least := map[bool]int{true: 0, false: 1}[p.line.TCP]; {
	case !t.Has("slave"):
		mistake("slave", "slave is missing: the device's address on the Modbus line, 1 to 247")
	case slave < least || slave > 255:
		mistake("slave", "slave: %d is no address of a device: they are 1 to 247", slave)
	}
	if d.gap < 0 || d.gap > 2000 {
		mistake("gap", "gap: 0 to 2000 registers or coils can be read over")
	}
	if d.most < 1 || d.most > 125 {
		mistake("block", "block: one request takes 1 to 125 registers")
	}
	if t.Has("where") {
		mistake("where", "where is for devices that speak unasked: on a Modbus line slave says which it is")
	}
	d.info = devices.Info{ID: dc.ID, Driver: p.name, Model: t.String("model"), Address: address(p.port, slave)}
	for _, pc := range dc.Points {
		r, good := buildRegister(pc, poll)
		d.registers = append(d.registers, r)
		d.info.Points = append(d.info.Points, r.Point)
		ok = ok && good
	}
	return d, ok
}

// foreignKeys are the keys of a Modbus line in the tables of another: each is a mistake.
func foreignKeys(c devices.Connection) bool {
	ok := true
	refuse := func(t *schema.Table, keys []schema.Key) {
		for _, k := range keys {
			if t.Has(k.Name) {
				ok = false
				t.Errorf(k.Name, "%s is for protocol = \"modbus\"", k.Name)
			}
		}
	}
	refuse(c.Table, modbusConnectionKeys)
	for _, d := range c.Devices {
		refuse(d.Table, modbusDeviceKeys)
		for _, p := range d.Points {
			refuse(p.Table, modbusPointKeys)
		}
	}
	return ok
}

func (p *polled) infos() []devices.Info {
	infos := make([]devices.Info, len(p.devices))
	for i, d := range p.devices {
		infos[i] = d.info
	}
	return infos
}

func (p *polled) begin(opened port.Port, out devices.Sink) conversation {
	return newAsking(p, modbus.NewMaster(opened, p.line), out)
}

// folderOf is where the user of a driver has profiles, or "". Relative paths are not resolved yet.
func folderOf(driver *schema.Table) string {
	v, _ := driver.Get("profiles")
	folder, _ := v.V.(string)
	if folder == "" || filepath.IsAbs(folder) {
		return folder
	}
	return filepath.Join(filepath.Dir(v.File), folder)
}
