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
	"unicode/utf8"

	"tidings/devices"
	"tidings/devices/schema"
)

// A config is the driver's own table.
type config struct {
	broker   *url.URL // nil: the broker inside the gateway
	username string
	password secret
	clientID string
	lasting  bool // the client id is the same at the next start, so that the broker may keep the session
	qos      byte
	cameras  bool // some point is a picture, or may become one

	discovery []string // the conventions by which devices announce themselves
	prefix    string   // of Home Assistant's topics
	domain    string   // of Homie's
	birth     bool
	ignore    patterns

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
	b := &builder{matches: map[string]string{}}
	d := &driver{name: c.Name, config: b.config(c.Table, o), options: o, log: c.Log, matched: map[string]*table{}}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	for _, dc := range c.Devices {
		t := b.table(dc)
		d.tables = append(d.tables, t)
		if t.match != "" {
			d.matched[t.match] = t
		}
	}
	if b.mistakes {
		return nil
	}
	d.config.cameras = b.cameras || len(d.config.discovery) > 0
	d.reset()
	for _, c := range d.conventions {
		d.filters = append(d.filters, c.filters...)
	}
	return d
}

// A builder reads tables and remembers whether there was a mistake.
type builder struct {
	mistakes  bool
	cameras   bool              // some point is a picture
	discovery []string          // the conventions of the driver's table
	matches   map[string]string // the tables by their match
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
	b.discover(t, &c)
	return c
}

// discover reads what is of devices that announce themselves.
func (b *builder) discover(t *schema.Table, c *config) {
	for _, name := range t.Strings("discovery") {
		switch {
		case conventionNamed(name) == nil:
			b.mistake(t, "discovery", "discovery: there is no %q%s", name, otherwise(name))
		case slices.Contains(c.discovery, name):
			b.mistake(t, "discovery", "discovery: %q is there twice", name)
		default:
			c.discovery = append(c.discovery, name)
		}
	}
	b.discovery = c.discovery
	c.prefix = b.prefix(t, "discovery_prefix", "homeassistant", t.StringOr("discovery_prefix", "homeassistant"))
	c.domain = b.prefix(t, "homie_domain", "homie", t.StringOr("homie_domain", "homie"))
	if t.Has("birth") && !slices.Contains(c.discovery, "homeassistant") {
		b.mistake(t, "birth", "birth: is of Home Assistant's convention: add \"homeassistant\" to discovery")
	}
	c.birth = t.Bool("birth", false)
	var err error
	if c.ignore, err = parsePatterns(t.Strings("ignore")); err != nil {
		b.mistake(t, "ignore", "ignore: %v", err)
	}
}

// prefix checks what the topics of a convention begin with.
func (b *builder) prefix(t *schema.Table, key, convention, prefix string) string {
	if err := checkTopic(prefix); err != nil {
		b.mistake(t, key, "%s: %v", key, err)
	}
	if t.Has(key) && !slices.Contains(b.discovery, convention) {
		b.mistake(t, key, "%s: nothing is discovered by %q here: add it to discovery", key, convention)
	}
	return strings.Trim(prefix, "/")
}

// statusTopic is where Home Assistant says that it is there.
func (c *config) statusTopic() string { return c.prefix + "/status" }

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

// defaultPicture is how large a picture may be without max_size; bytes.
const defaultPicture = 1_000_000

// picture checks what is of pictures alone.
func (b *builder) picture(t *schema.Table, p *entry) {
	limit := t.Size("max_size", defaultPicture)
	switch {
	case !p.kinded: // the device says whether it is a picture
		if limit < 1000 || limit > devices.MaxImage {
			b.mistake(t, "max_size", "max_size: between 1KB and 4MB can be used")
		}
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
func (b *builder) payloads(t *schema.Table, p *entry) {
	key := cmp.Or(has(t, "on"), has(t, "off"))
	if key == "" {
		return
	}
	if p.kinded && p.kind != devices.KindSwitch && p.kind != devices.KindAction {
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

// commands checks what goes with command, by making the payloads there will be. A matched device may have a command of its own.
func (b *builder) commands(t *schema.Table, p *entry, safe devices.Value, matched bool) {
	if p.command == "" && !matched {
		for _, key := range []string{"write", "retain"} {
			if t.Has(key) {
				b.mistake(t, key, "%s: there is no command, the topic to publish to", key)
			}
		}
		if !safe.IsZero() {
			b.mistake(t, "safe", "safe: the point cannot be set: it has no command")
		}
		return
	}
	if t.Has("write") {
		var err error
		if p.write, err = parseWrite(t.String("write")); err == nil && p.kinded {
			_, err = p.encode(p.sample())
		}
		if err != nil {
			b.mistake(t, "write", "write: %s", templateError(err))
			return
		}
	}
	if p.kinded && !safe.IsZero() {
		if _, err := p.encode(safe); err != nil {
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
