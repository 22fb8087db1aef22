package config

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidings/drivers"
	"tidings/drivers/mqtt"
)

var update = flag.Bool("update", false, "write what the cases give to their files called want")

// environment is what the tests' loads see; nothing of the real one.
func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

func options(vars map[string]string) Options {
	if vars == nil {
		vars = map[string]string{}
	}
	if vars["HOME"] == "" {
		vars["HOME"] = "/home/user"
	}
	noBroker := func(context.Context) (net.Conn, error) { return nil, errors.New("nothing is dialled while loading") }
	return Options{
		Types: drivers.Types(drivers.Backends{MQTT: mqtt.Options{Local: noBroker}}), Env: environment(vars), Hostname: "attic", MachineID: "0123456789abcdef",
		Log: slog.New(slog.DiscardHandler),
	}
}

// write makes files below a new folder, private unless their name ends in .open, and returns the folder.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".open") {
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// load loads text as gateway.toml next to other files.
func load(t testing.TB, o Options, text string, others map[string]string) (*Config, string, error) {
	t.Helper()
	files := map[string]string{"gateway.toml": text}
	for name, content := range others {
		files[name] = content
	}
	dir := write(t, files)
	cfg, err := Load(filepath.Join(dir, "gateway.toml"), o)
	return cfg, dir, err
}

// TestCases loads the folders of testdata/cases: gateway.toml and what lies beside it, against the mistakes in want. A
// file whose name ends in .open is readable by others.
func TestCases(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/cases/*")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, dir := range cases {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				text, err := os.ReadFile(path)
				name, _ := filepath.Rel(dir, path)
				files[name] = string(text)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			want := files["want"]
			delete(files, "want")
			main := "gateway.toml"
			if _, ok := files[main]; !ok {
				main = "gateway.toml.open"
			}
			made := write(t, files)
			cfg, err := Load(filepath.Join(made, main), options(map[string]string{"ROOM": "Attic", "CREDENTIALS_DIRECTORY": filepath.Join(made, "credentials")}))
			got := ""
			if err != nil {
				got = strings.ReplaceAll(err.Error(), made+string(filepath.Separator), "") + "\n"
			}
			if *update {
				if err := os.WriteFile(filepath.Join(dir, "want"), []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if (cfg == nil) != (err != nil) {
				t.Errorf("configuration %v with error %v", cfg != nil, err)
			}
		})
	}
}

const component = `[xmpp]
mode = "component"
address = "Things.Example.org"
secret_file = "secret"
`

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg, _, err := load(t, options(nil), component, map[string]string{"secret": "s3cret\r\n"})
	if err != nil {
		t.Fatal(err)
	}
	x := cfg.XMPP
	if x.Mode != Component || x.Address != "things.example.org" || x.Server != "127.0.0.1:5347" || string(x.Secret) != "s3cret" ||
		x.Layout != ContactLayout || x.Hub != "home" || x.TLS != TLSOff || x.PresenceInterval.String() != "10s" {
		t.Errorf("xmpp: %+v", x)
	}
	if g := cfg.Gateway; g.Name != "Home" || g.DataDir != "/home/user/.local/state/tidings" || g.LogLevel != slog.LevelInfo || g.Location == nil {
		t.Errorf("gateway: %+v", g)
	}
	if cfg.Control.Socket != "/home/user/.local/state/tidings/tidings.sock" || cfg.Broker != nil || len(cfg.Drivers) != 0 || cfg.Mapping == nil {
		t.Errorf("config: %+v", cfg)
	}
}

func TestDirectories(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		vars         map[string]string
		text         string
		data, socket string
	}{
		{map[string]string{"STATE_DIRECTORY": "/var/lib/tidings:/var/lib/other", "RUNTIME_DIRECTORY": "/run/tidings", "XDG_STATE_HOME": "/x", "XDG_RUNTIME_DIR": "/y"}, "",
			"/var/lib/tidings", "/run/tidings/tidings.sock"},
		{map[string]string{"XDG_STATE_HOME": "/x", "XDG_RUNTIME_DIR": "/run/user/1000"}, "", "/x/tidings", "/run/user/1000/tidings.sock"},
		{map[string]string{"XDG_STATE_HOME": "relative"}, "", "/home/user/.local/state/tidings", "/home/user/.local/state/tidings/tidings.sock"},
		{map[string]string{"STATE_DIRECTORY": "/s"}, "[gateway]\ndata_dir = '/d'\n", "/d", "/d/tidings.sock"},
		{map[string]string{"STATE_DIRECTORY": "/s"}, "[control]\nsocket = '/d/s.sock'\n", "/s", "/d/s.sock"},
	} {
		cfg, _, err := load(t, options(c.vars), component+c.text, map[string]string{"secret": "x"})
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Gateway.DataDir != c.data || cfg.Control.Socket != c.socket {
			t.Errorf("%v %s: %s %s", c.vars, c.text, cfg.Gateway.DataDir, cfg.Control.Socket)
		}
	}
}

func TestRelativePaths(t *testing.T) {
	t.Parallel()
	cfg, dir, err := load(t, options(nil), "[gateway]\ninclude = ['parts/*.toml']\ndata_dir = 'data'\n", map[string]string{
		"parts/10.toml":  "[xmpp]\nmode = 'component'\naddress = 'things.example.org'\nsecret_file = '../secret'\n",
		"parts/20.toml":  "[control]\nsocket = 'here.sock'\n[gateway]\nname = 'Over ${HOSTNAME}'\n",
		"secret":         "x",
		"parts/30.toml~": "not this one",
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Gateway.DataDir != filepath.Join(dir, "data") || cfg.Control.Socket != filepath.Join(dir, "parts", "here.sock") || cfg.Gateway.Name != "Over attic" {
		t.Errorf("%s %s %s", cfg.Gateway.DataDir, cfg.Control.Socket, cfg.Gateway.Name)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	cfg, _, err := load(t, options(map[string]string{"WHO": "${HOSTNAME}", "EMPTY": ""}),
		component+"[gateway]\nname = '$${a} ${WHO}${EMPTY} ${MACHINE_ID} $5'\n", map[string]string{"secret": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "${a} ${HOSTNAME} 0123456789abcdef $5"; cfg.Gateway.Name != want {
		t.Errorf("got %s, want %s", cfg.Gateway.Name, want)
	}
}

// TestMistakesOfTheMachine: what depends on more than the file.
func TestMistakesOfTheMachine(t *testing.T) {
	t.Parallel()
	const local = "[xmpp]\nmode = 'local'\naddress = 'home.arpa'\n[drivers.pins]\ntype = 'gpio'\n[devices.alice]\ndriver = 'pins'\n"
	o := options(nil)
	o.Accounts = []string{"alice"}
	if _, _, err := load(t, o, local, nil); err == nil || !strings.Contains(err.Error(), "gateway.toml:6: devices.alice: a device cannot be named like the account alice") {
		t.Errorf("account: %v", err)
	}
	o = options(nil)
	o.Env = environment(nil)
	if _, _, err := load(t, o, local, nil); err == nil || !strings.HasSuffix(err.Error(), "gateway.toml:1: data_dir is missing: neither STATE_DIRECTORY nor XDG_STATE_HOME nor HOME says where to keep things") {
		t.Errorf("no home: %v", err)
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"one.toml": "[gateway]\ninclude = ['two.toml', 'three.toml']\n[xmpp]\nmod = 1\n", "two.toml": "a = ", "three.toml": "b = 1\nb = 2\n"})
	for path, want := range map[string]string{
		"none.toml": "none.toml: there is no such file",
		".":         ".: not a file with text in it",
		"one.toml":  "three.toml:2: b is there a second time: a key or a table can stand only once\ntwo.toml:1: a: there is no value after the =",
	} {
		_, err := Load(filepath.Join(dir, path), options(nil))
		if err == nil || strings.ReplaceAll(strings.ReplaceAll(err.Error(), dir+"/", ""), dir, ".") != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}
