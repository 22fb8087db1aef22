package mqtt

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tidings/devices"
	"tidings/devices/schema"
)

// silence is the default for offline_after of a device without an availability topic.
const silence = 5 * time.Minute

// A config is the driver's own table.
type config struct {
	broker   *url.URL // nil: the broker inside the gateway
	username string
	password secret
	clientID string
	lasting  bool // the client id is the same at the next start, so that the broker may keep the session
	qos      byte
	cameras  bool // some point is a picture

	caFile, certFile, keyFile string
}

// packet is how long what the broker sends may be; bytes.
func (c config) packet() int {
	if c.cameras {
		return maxPictures
	}
	return maxPacket
}

// A secret does not show in a log.
type secret string

func (secret) String() string { return "[secret]" }

// LogValue keeps it out of structured logs too.
func (secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// build makes the driver of a table and records what is wrong; with any mistake there is no driver.
func build(c devices.Connection, o Options) devices.Driver {
	b := &builder{}
	d := &driver{
		name:    c.Name,
		config:  b.config(c.Table, o),
		options: o,
		log:     c.Log,
		topics:  map[string]*topic{},
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	for _, dc := range c.Devices {
		d.add(b.device(c.Name, dc))
	}
	if b.mistakes {
		return nil
	}
	return d
}

// A builder reads tables and remembers whether there was a mistake.
type builder struct {
	mistakes bool
	points   []devices.Point // of the device before: ten thousand that are alike share one list
}

// shared is points, or the list of the device before where that says the same.
func (b *builder) shared(points []devices.Point) []devices.Point {
	same := slices.EqualFunc(points, b.points, func(x, y devices.Point) bool {
		return x.Name == y.Name && x.Kind == y.Kind && x.Unit == y.Unit && x.Readable == y.Readable && x.Writable == y.Writable &&
			x.Confirms == y.Confirms && slices.Equal(x.Options, y.Options)
	})
	if !same {
		b.points = points
	}
	return b.points
}

func (b *builder) mistake(t *schema.Table, key, format string, args ...any) {
	t.Errorf(key, format, args...)
	b.mistakes = true
}

func (b *builder) config(t *schema.Table, o Options) config {
	c := config{
		username: t.String("username"),
		password: secret(t.String("password")),
		clientID: t.String("client_id"),
		lasting:  true,
		caFile:   file(t, "tls_ca_file"),
		certFile: file(t, "tls_cert_file"),
		keyFile:  file(t, "tls_key_file"),
	}
	switch text := t.String("broker"); {
	case text == "local" && o.Local == nil:
		b.mistake(t, "broker", `broker: there is no broker inside: add a [broker] section, or name one as in "mqtt://127.0.0.1:1883"`)
	case text == "local":
	default:
		var err error
		if c.broker, err = parseBroker(text); err != nil {
			b.mistake(t, "broker", "broker: %v", err)
		}
	}
	tls := c.broker != nil && (c.broker.Scheme == "mqtts" || c.broker.Scheme == "wss")
	for _, key := range []string{"tls_ca_file", "tls_cert_file", "tls_key_file"} {
		if c.broker != nil && !tls && t.String(key) != "" {
			b.mistake(t, key, "%s: the connection has no TLS: make the broker %q", key, map[string]string{"mqtt": "mqtts://…", "ws": "wss://…"}[c.broker.Scheme])
		}
	}
	if (c.certFile == "") != (c.keyFile == "") {
		b.mistake(t, cmp.Or(has(t, "tls_cert_file"), has(t, "tls_key_file")), "tls_cert_file and tls_key_file: one is there without the other")
	}
	if c.password != "" && c.username == "" {
		b.mistake(t, "password", "password: there is no username to go with it")
	}
	if qos := t.Int("qos", 0); qos < 0 || qos > 2 {
		b.mistake(t, "qos", "qos: %d is none of 0, 1 and 2", qos)
	} else {
		c.qos = byte(qos)
	}
	if err := checkString(c.clientID); err != nil {
		b.mistake(t, "client_id", "client_id: %v", err)
	}
	if c.clientID == "" {
		c.clientID, c.lasting = defaultClientID()
	}
	return c
}

// parseBroker reads the address of a broker and fills in the scheme's port.
func parseBroker(text string) (*url.URL, error) {
	ports := map[string]string{"mqtt": "1883", "mqtts": "8883", "ws": "80", "wss": "443"}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return nil, fmt.Errorf("%q is no address: write it as in \"mqtt://127.0.0.1:1883\"", text)
	}
	port, ok := ports[u.Scheme]
	switch {
	case !ok:
		return nil, fmt.Errorf("%s:// is none of mqtt://, mqtts://, ws:// and wss://", u.Scheme)
	case u.User != nil:
		return nil, fmt.Errorf("the user name belongs into username, and the password into password_file")
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host", text)
	case strings.HasPrefix(u.Scheme, "mqtt") && strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("%q has a path, which only ws:// and wss:// have", text)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u, nil
}

func (b *builder) device(driver string, dc devices.DeviceConfig) *device {
	t := dc.Table
	dev := &device{
		id:           dc.ID,
		availability: t.String("availability"),
		online:       cmp.Or(t.String("online"), "online"),
		offline:      cmp.Or(t.String("offline"), "offline"),
		points:       make([]*point, 0, len(dc.Points)),
	}
	if t.Has("availability") {
		b.topic(t, "availability", dev.availability)
	} else if key := cmp.Or(has(t, "online"), has(t, "offline")); key != "" {
		b.mistake(t, key, "%s: is a payload of the availability topic, and there is none", key)
	}
	if dev.online == dev.offline {
		b.mistake(t, cmp.Or(has(t, "offline"), "online"), "online and offline are both %q", dev.online)
	}
	dev.info = devices.Info{ID: dc.ID, Driver: driver, Address: dev.availability, Points: make([]devices.Point, 0, len(dc.Points))}
	if dev.availability == "" {
		dev.info.Silence = silence
	}
	for _, pc := range dc.Points {
		p := b.point(pc)
		dev.points = append(dev.points, p)
		dev.info.Points = append(dev.info.Points, devices.Point{
			Name: p.name, Kind: p.kind, Options: p.options,
			Readable: p.source != "", Writable: p.command != "", Confirms: p.source != "" && p.command != "",
		})
		dev.info.Address = cmp.Or(dev.info.Address, p.source, p.command)
	}
	dev.info.Points = b.shared(dev.info.Points)
	return dev
}

func (b *builder) point(pc devices.PointConfig) *point {
	t := pc.Table
	p := &point{
		name: pc.Name, kind: pc.Kind, options: pc.Options,
		source: t.String("source"), command: t.String("command"),
		on: scalar(t, "on"), off: scalar(t, "off"),
		retain: t.Bool("retain", false),
	}
	if safe := pc.Safe; !safe.IsZero() {
		p.safe = &safe
	}
	if t.Has("source") {
		b.topic(t, "source", p.source)
	}
	if t.Has("command") {
		b.topic(t, "command", p.command)
	}
	if !t.Has("source") && !t.Has("command") {
		b.mistake(t, "", "neither source nor command: name the topic it is read from, or the one that sets it")
	}
	if p.kind == devices.KindAction && p.source != "" {
		b.mistake(t, "source", "source: an action has nothing to read: name the topic that does it in command")
	}
	if t.Has("path") {
		var err error
		if p.path, err = parsePath(t.String("path")); err != nil {
			b.mistake(t, "path", "path: %q %v", t.String("path"), err)
		}
		if p.source == "" {
			b.mistake(t, "path", "path: there is no source to look in")
		}
	}
	b.picture(t, p)
	b.payloads(t, p)
	b.commands(t, p)
	return p
}

// defaultPicture is how large a picture may be without max_size; bytes.
const defaultPicture = 1_000_000

// picture checks what is of pictures alone.
func (b *builder) picture(t *schema.Table, p *point) {
	limit := t.Size("max_size", defaultPicture)
	switch {
	case p.kind != devices.KindImage && t.Has("max_size"):
		b.mistake(t, "max_size", "max_size: is for pictures, and this is a %s", p.kind)
	case p.kind != devices.KindImage:
		return
	case limit < 1000 || limit > devices.MaxImage:
		b.mistake(t, "max_size", "max_size: between 1KB and 4MB can be used")
	case p.command != "":
		b.mistake(t, "command", "command: a picture cannot be set: what makes the camera take one is a point of its own, kind = \"action\"")
	}
	p.limit = int32(limit)
}

// payloads checks on and off.
func (b *builder) payloads(t *schema.Table, p *point) {
	key := cmp.Or(has(t, "on"), has(t, "off"))
	if key == "" {
		return
	}
	if p.kind != devices.KindSwitch && p.kind != devices.KindAction {
		b.mistake(t, key, "%s: is for switches, and this is a %s", key, p.kind)
	}
	if on, off := p.payloads(); on == off {
		b.mistake(t, key, "on and off are both %q", on)
	}
	for _, key := range []string{"on", "off"} {
		if s := scalar(t, key); s != strings.TrimSpace(s) {
			b.mistake(t, key, "%s: %q has space around it, which is cut off what devices say", key, s)
		}
	}
}

// commands checks what goes with command, by making the payloads there will be.
func (b *builder) commands(t *schema.Table, p *point) {
	if p.command == "" {
		for _, key := range []string{"write", "retain"} {
			if t.Has(key) {
				b.mistake(t, key, "%s: there is no command, the topic to publish to", key)
			}
		}
		if p.safe != nil {
			b.mistake(t, "safe", "safe: the point cannot be set: it has no command")
		}
		return
	}
	if t.Has("write") {
		var err error
		if p.write, err = parseWrite(t.String("write")); err != nil {
			b.mistake(t, "write", "write: %s", templateError(err))
			return
		}
		if _, err := p.encode(p.sample()); err != nil {
			b.mistake(t, "write", "write: %s", templateError(err))
			return
		}
	}
	if p.safe != nil {
		if _, err := p.encode(*p.safe); err != nil {
			b.mistake(t, "safe", "safe: %v", err)
		}
	}
}

// templateError is a template's error without the places that only Go programmers know.
func templateError(err error) string {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "write: "), "template: ")
	return strings.TrimPrefix(text, "write:1: ")
}

func (b *builder) topic(t *schema.Table, key, topic string) {
	if err := checkTopic(topic); err != nil {
		b.mistake(t, key, "%s: %v", key, err)
	}
}

// checkTopic: MQTT 3.1.1, section 4.7; without wildcards, because what matches one is many points.
func checkTopic(topic string) error {
	switch {
	case topic == "":
		return fmt.Errorf("is empty: it takes a topic, as in \"stat/lamp/POWER\"")
	case strings.ContainsAny(topic, "+#"):
		return fmt.Errorf("%q has a wildcard: name each topic, with a point of its own", topic)
	}
	return checkString(topic)
}

// checkString: what MQTT can carry as a string, section 1.5.3.
func checkString(s string) error {
	switch {
	case len(s) > 65535:
		return fmt.Errorf("%d bytes are too long for MQTT", len(s))
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		return fmt.Errorf("%q is no text", s)
	}
	return nil
}

// scalar is the text of a string, number or boolean, as a device would write it.
func scalar(t *schema.Table, key string) string {
	v, _ := t.Get(key)
	switch v := v.V.(type) {
	case string:
		return v
	case float64:
		return devices.Number(v).String()
	case int64, bool:
		return fmt.Sprint(v)
	}
	return ""
}

// has returns key when the table has it, for the place of a mistake.
func has(t *schema.Table, key string) string {
	if t.Has(key) {
		return key
	}
	return ""
}

// file is the path behind key; a relative one is relative to the file that names it.
func file(t *schema.Table, key string) string {
	name := t.String(key)
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	v, _ := t.Get(key)
	return filepath.Join(filepath.Dir(v.File), name)
}

// defaultClientID is the same at every start where the machine has an id.
func defaultClientID() (id string, lasting bool) {
	if machine, err := os.ReadFile("/etc/machine-id"); err == nil {
		if id := strings.TrimSpace(string(machine)); id != "" {
			return "tidings-" + id, true
		}
	}
	return "tidings-" + rand.Text(), false
}
