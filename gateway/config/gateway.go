package config

import (
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"tidings/devices/schema"
)

var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// gateway reads [gateway], which may be absent.
func (l *loader) gateway(root *schema.Table) Gateway {
	t := root.Table("gateway")
	g := Gateway{
		Name:     t.StringOr("name", "Home"),
		DataDir:  t.String("data_dir"),
		LogLevel: logLevels[t.String("log_level")], // info is zero
		Location: time.Local,
	}
	if zone := t.String("timezone"); zone != "" {
		location, err := time.LoadLocation(zone)
		if err != nil || zone == "Local" {
			t.Errorf("timezone", "timezone: %q is not in the time zone database: write it as in \"Europe/Berlin\"", zone)
		} else {
			g.Location = location
		}
	}
	if strings.TrimSpace(g.Name) == "" {
		t.Errorf("name", "name: people need a word for the gateway: leave it out or fill it in")
	}
	if g.DataDir == "" {
		g.DataDir = l.dataDir()
	}
	if g.DataDir == "" {
		root.Errorf("gateway", "data_dir is missing: neither STATE_DIRECTORY nor XDG_STATE_HOME nor HOME says where to keep things")
	}
	return g
}

func (l *loader) dataDir() string {
	if dir := l.dir("STATE_DIRECTORY"); dir != "" {
		return dir
	}
	if dir := l.dir("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "tidings")
	}
	if dir := l.dir("HOME"); dir != "" {
		return filepath.Join(dir, ".local", "state", "tidings")
	}
	return ""
}

// dir is the directory an environment variable names, the first where systemd lists several, or "" when there is none.
// A relative one is ignored, as the XDG Base Directory Specification wants it.
func (l *loader) dir(name string) string {
	value, _ := l.Env(name)
	first, _, _ := strings.Cut(value, ":")
	if !filepath.IsAbs(first) {
		return ""
	}
	return first
}

// control reads [control], which may be absent.
func (l *loader) control(t *schema.Table, dataDir string) Control {
	c := Control{Socket: t.String("socket")}
	if c.Socket != "" {
		return c
	}
	for _, name := range []string{"RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"} {
		if dir := l.dir(name); dir != "" {
			return Control{Socket: filepath.Join(dir, "tidings.sock")}
		}
	}
	return Control{Socket: filepath.Join(dataDir, "tidings.sock")}
}
