package config

import (
	"log/slog"
	"os"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/mqtt/broker"
	"tidings/mapping"
)

// Options say what a configuration is read with. The zero value knows no driver.
type Options struct {
	Types []devices.Type // the drivers there are
	// Env looks an environment variable up: for ${NAME}, and for the directories that systemd and the desktop name
	// (CREDENTIALS_DIRECTORY, STATE_DIRECTORY, RUNTIME_DIRECTORY, XDG_STATE_HOME, XDG_RUNTIME_DIR, HOME).
	// os.LookupEnv when nil.
	Env func(name string) (value string, ok bool)
	// Hostname and MachineID stand for ${HOSTNAME} and ${MACHINE_ID}; the system's when empty.
	Hostname, MachineID string
	// Accounts are the names of the local server's accounts, where the caller knows them: no device can have one.
	Accounts []string
	// Memory is handed to the drivers; nil where nothing is kept.
	Memory devices.Memory
	// Log is handed to the drivers and to the broker inside; nothing is logged while loading. Discarded when nil.
	Log *slog.Logger
}

// Load reads the configuration in the file called path. The error lists every mistake, a line each and in the order
// of the file, or is the one that kept the file from being read.
func Load(path string, o Options) (*Config, error) {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &loader{Options: o, problems: new(schema.Problems), open: map[string]bool{}, expanded: map[place]bool{}, specs: map[*devices.Type]specs{}}
	root, ok := l.read(path)
	if !ok {
		return nil, l.problems.Err()
	}
	cfg := l.config(path, root)
	if err := l.problems.Err(); err != nil {
		return nil, err
	}
	return cfg, nil
}

// A loader is one call of Load.
type loader struct {
	Options
	problems *schema.Problems
	open     map[string]bool // files that others may read
	expanded map[place]bool  // strings that came from a variable
	specs    map[*devices.Type]specs
}

// A place is one key of one file.
type place struct {
	file string
	line int
	path string
}

// config makes the Config of a whole tree. It goes on after mistakes, so that every part can tell its own.
func (l *loader) config(path string, root *schema.Table) *Config {
	l.problems.Settle() // of what was said of variables
	takeOutNothing(root)
	root.Check(rootSpec())
	l.expandDevices(root)
	l.checkDrivers(root)
	l.checkDevices(root)
	l.problems.Settle()
	types := l.typesByName(root) // also of drivers that are taken out
	takeOut(root)
	l.resolvePaths(root)
	l.resolveSecrets(root)

	cfg := &Config{File: path}
	cfg.Gateway = l.gateway(root)
	cfg.XMPP = readXMPP(root)
	cfg.Rooms = readRooms(root, cfg.XMPP)
	cfg.Control = l.control(root.Table("control"), cfg.Gateway.DataDir)
	if section := root.Table("broker"); section != nil {
		options := broker.Parse(section, l.Log)
		options.Dir = cfg.Gateway.DataDir
		cfg.Broker = &options
	}
	if section := root.Table("publish"); section != nil {
		cfg.Publish = readPublish(section, cfg.XMPP.Mode)
	}
	if section := root.Table("history"); section != nil {
		cfg.History = readHistory(section)
	}
	mode := cfg.XMPP.Mode
	if mode == Local && cfg.XMPP.Address == "" {
		mode = "" // without a domain nobody would be of it
	}
	cfg.Mapping = mapping.Read(root, mapping.ReadOptions{
		Mode: mode, Layout: cfg.XMPP.Layout, Domain: cfg.XMPP.Address, Hub: cfg.XMPP.Hub,
		Types: types, Accounts: l.Accounts,
	})
	for _, alert := range cfg.Mapping.Alerts {
		if t := root.Table("alerts").Table(alert.Name); alert.Chart > 0 && !root.Has("history") {
			t.Errorf("chart", "chart: nothing is kept that a picture could show: add a section [history]")
		}
	}
	l.problems.Settle()
	cfg.Drivers = l.drivers(root, cfg)
	return cfg
}

// takeOutNothing tells of tables that hold nothing but `enabled = false`: what they are to take out is not there,
// because its name is misspelt or has changed.
func takeOutNothing(root *schema.Table) {
	for _, section := range []string{"drivers", "devices", "alerts"} {
		tables := root.Table(section)
		for _, t := range tables.Tables() {
			if t.Bool("enabled", true) || len(t.Keys()) > 1 {
				continue
			}
			tables.Delete(t.Name())
			t.Errorf("enabled", "there is no other [%s] to take out%s", t.Path, orNearest(t.Name(), tables.Keys()))
		}
	}
}

// takeOut removes the drivers and alerts that have `enabled = false`. The devices of a driver that goes are as those that
// have it themselves: they stay, for people keep them as contacts, and no driver is told of them.
func takeOut(root *schema.Table) {
	drivers := root.Table("drivers")
	for _, device := range root.Table("devices").Tables() {
		if driver := drivers.Table(device.String("driver")); driver != nil && !driver.Bool("enabled", true) {
			v, _ := driver.Get("enabled")
			device.Set("enabled", v)
		}
	}
	for _, section := range []*schema.Table{drivers, root.Table("alerts")} {
		for _, t := range section.Tables() {
			if !t.Bool("enabled", true) {
				section.Delete(t.Name())
			}
		}
	}
}
