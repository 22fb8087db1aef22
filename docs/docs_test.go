package docs

import (
	"cmp"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tidings/gateway"
)

// pages are all Markdown files of the project, by their path from its top.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != ".." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		name, relErr := filepath.Rel("..", path)
		found[filepath.ToSlash(name)] = string(text)
		return cmp.Or(err, relErr)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var tomlBlock = regexp.MustCompile("(?ms)^```toml\n(.*?)^```$")

// TestConfigurations loads every configuration that the pages show. A part of one is completed with what it leaves out.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	blocks := 0
	for name, text := range pages(t) {
		for _, block := range tomlBlock.FindAllStringSubmatchIndex(text, -1) {
			blocks++
			line := 1 + strings.Count(text[:block[2]], "\n")
			file := configuration(t, text[block[2]:block[3]])
			if err := gateway.Check(file); err != nil {
				t.Errorf("%s:%d: %v", name, line, err)
			}
		}
	}
	if blocks < 8 {
		t.Errorf("%d configurations found: are the blocks marked as toml?", blocks)
	}
}

// completions are the tables a configuration cannot do without, by how one that has them is recognised. The person in
// [access] is whom the pages send alerts to.
var completions = []struct{ mark, text string }{
	{"[xmpp]", "[xmpp]\nmode = \"local\"\naddress = \"home.arpa\"\n"},
	{"[access]", "[access]\n\"alice@home.arpa\" = \"admin\"\n"},
	{"[drivers.", "[drivers.house]\ntype = \"mqtt\"\nbroker = \"mqtt://127.0.0.1:1883\"\n"},
	{"[devices.", "[devices.lamp]\ndriver = \"house\"\n[devices.lamp.points.power]\nsource = \"stat/lamp/POWER\"\n"},
}

// configuration writes a block as a file, with the files it names beside it.
func configuration(t *testing.T, block string) string {
	t.Helper()
	for _, c := range completions {
		if !strings.Contains("\n"+block, "\n"+c.mark) {
			block += "\n" + c.text
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"gateway.toml": block,
		"xmpp.secret":  "secret\n",
		"mqtt.secret":  "secret\n",
		"broker.users": "lamp:$2a$04$WbJjHvPwPyjhCBNjG8cWx.ZbF0B6fM3BCkYz5FW2wYgqVx1WcYfHe\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "gateway.toml")
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestLinks follows the links within the project, those to a heading too.
func TestLinks(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for name, text := range all {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(cmp.Or(found[1], found[2]), "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := name
			if target != "" {
				path = filepath.Join(filepath.Dir(name), filepath.FromSlash(target))
			}
			if _, err := os.Stat(filepath.Join("..", path)); err != nil {
				t.Errorf("%s: a link leads nowhere: %v", name, err)
			}
			if anchor != "" && !slices.Contains(anchors(all[path]), anchor) {
				t.Errorf("%s: %s has no heading #%s", name, path, anchor)
			}
		}
	}
}

// anchors are the names that headings have in links.
func anchors(text string) []string {
	var out []string
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		slug := noSlug.ReplaceAllString(strings.ToLower(h[1]), "")
		out = append(out, strings.ReplaceAll(slug, " ", "-"))
	}
	return out
}

var quoted = regexp.MustCompile("^\\| `([^`]+)` \\|")

// TestSentences looks up the sentences of the troubleshooting table in the code. A word in capitals and an ellipsis
// stand for what differs each time.
func TestSentences(t *testing.T) {
	t.Parallel()
	code := sources(t)
	_, table, found := strings.Cut(pages(t)["docs/operations.md"], "## Troubleshooting")
	if !found {
		t.Fatal("docs/operations.md has no troubleshooting")
	}
	rows := 0
	for line := range strings.Lines(table) {
		sentence := quoted.FindStringSubmatch(line)
		if sentence == nil {
			continue
		}
		rows++
		for _, part := range varying.Split(sentence[1], -1) {
			if part = strings.Trim(part, " :,"); part != "" && !strings.Contains(code, part) {
				t.Errorf("nothing in the code says %q, which is in %q", part, sentence[1])
			}
		}
	}
	if rows < 10 {
		t.Errorf("%d sentences found", rows)
	}
}

var varying = regexp.MustCompile(`…|\b[A-Z]{2,}\b(?::)?|"`)

// sources is all Go code that is no test, without its escapes.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(all.String(), `\"`, `"`)
}

// may says which packages of the module those at a path, and below it, may import; the longest path counts. A name
// ending in / stands for everything below.
var may = map[string][]string{
	"devices":               {"devices/"},
	"drivers":               {"devices/", "drivers/"},
	"drivers/chips":         {"devices/", "drivers/handover"},
	"drivers/drivertest":    {"devices/"},
	"drivers/gpio":          {"devices/", "drivers/handover"},
	"drivers/mqtt":          {"devices/", "drivers/mqtt/"},
	"drivers/handover":      {"devices/"},
	"drivers/onewire":       {"devices/"},
	"drivers/pwm":           {"devices/", "drivers/handover"},
	"drivers/serial":        {"devices/", "drivers/serial/"},
	"drivers/serial/modbus": {},
	"mapping":               {"devices/"},
	"xmppbridge":            {"devices/", "mapping", "xmppbridge/"},
	"xmppbridge/chart":      {},
	"xmppbridge/stream":     {},
	"xmppbridge/link":       {"xmppbridge/stream"},
	"xmppbridge/local":      {"xmppbridge/stream"},
	"gateway":               {"devices/", "drivers/", "mapping", "xmppbridge/", "gateway/"},
	"gateway/mdns":          {},
	"gateway/store":         {"devices/", "xmppbridge/"},
	"firmware-sim":          {"firmware-sim/"},
	"firmware-sim/chips":    {},
	"firmware-sim/onewire":  {}, "firmware-sim/pwm": {},
	"firmware-sim/gpio": {}, "firmware-sim/mqtt": {"firmware-sim/mqtt/"}, "firmware-sim/serial": {},
	"packaging": {}, "docs": {},
	"cmd": {"devices/", "drivers/", "mapping", "xmppbridge/", "gateway/", "firmware-sim/"},
}

// TestImports holds the packages to the rule of architecture.md.
func TestImports(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		room := strings.TrimPrefix(words[0], "tidings/")
		rule := ""
		for _, path := range slices.Sorted(maps.Keys(may)) {
			if within(room, path+"/") && len(path) > len(rule) {
				rule = path
			}
		}
		if rule == "" {
			t.Errorf("%s: docs_test.go and architecture.md say nothing of it", room)
			continue
		}
		for _, imported := range words[1:] {
			ours, of := strings.CutPrefix(imported, "tidings/")
			switch {
			case of && !slices.ContainsFunc(may[rule], func(path string) bool { return within(ours, path) }):
				t.Errorf("%s imports %s, and %s may import %q", room, ours, rule, may[rule])
			case imported == "encoding/xml" && within(room, "mapping/"):
				t.Errorf("%s knows of XML", room)
			}
		}
	}
}

// within reports whether a package is the one at path or, where path ends in /, one below it.
func within(name, path string) bool {
	return name == strings.TrimSuffix(path, "/") || strings.HasSuffix(path, "/") && strings.HasPrefix(name, path)
}
