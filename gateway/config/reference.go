package config

import (
	"bytes"
	"fmt"
	"strings"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/mqtt/broker"
	"tidings/mapping"
)

const referenceHead = `<!-- Made by "go generate ./gateway/config" from the keys that the code declares. Change it there. -->

# Configuration

One file of [TOML](https://toml.io) configures the gateway: ` + "`tidings run --config gateway.toml`" + `. [gateway.toml](../gateway.toml) is
a sample to start from; this page is every key. ` + "`tidings check`" + ` finds the mistakes of a file without touching hardware or network, each
with its line.

- **Names.** Drivers, devices and alerts are named with small letters, digits and hyphens, points with small letters, digits and
  underscores, a letter first. What people see is the ` + "`name`" + ` of a device.
- **Durations** are strings such as ` + "`\"500ms\"`, `\"30s\"`, `\"5m\"`, `\"2h\"` or `\"30d\"`" + `; **sizes** are bytes or strings such as ` + "`\"256KB\"`" + `.
- **Secrets.** ` + "`NAME_file`" + ` names a file that holds the secret, in place of ` + "`NAME`" + `; a line end after it does not count. Neither that
  file nor a configuration file with a secret in it may be readable by others. Without either key, the systemd credential named
  below is used (` + "`LoadCredential=`" + `).
- **Variables.** ` + "`${HOSTNAME}`, `${MACHINE_ID}`" + ` and ` + "`${NAME}`" + ` from the environment are put into any string; ` + "`$${`" + ` stands for those two
  characters. A variable that is not set is a mistake.
- **Files.** Relative paths are relative to the file they stand in. Included files lie over the main one, those of a pattern in the order of their
  names: tables merge, everything else replaces. ` + "`enabled = false`" + ` takes out an alert or a driver, and disables a device or all
  those of a driver: it keeps its address and whoever has it as a contact, who see it as disabled until it is enabled again.
`

// Reference is the reference page of the configuration, in Markdown: every key that the gateway, mapping and the
// drivers of the given types declare.
func Reference(types []devices.Type) []byte {
	p := &page{}
	p.WriteString(referenceHead)
	p.section(code("[gateway]"), "The gateway itself.", gatewayKeys)
	p.section(code("[xmpp]"), "How the gateway joins the network. The secret's systemd credential is `xmpp-secret`.", xmppKeys)
	p.section(code("[xmpp.local]"), "The server inside, with `mode = \"local\"`.", localKeys)
	p.section(code("[xmpp.local.upload]"), "A place for people's files and the gateway's pictures (XEP-0363), which an empty table is enough for: `upload = {}`.", uploadKeys)
	p.section(code("[access]"), "Who may see and do what. Each key is a person (`\"alice@example.org\"`), everyone of a domain (`\"*@example.org\"`), "+
		"or a room (`\"room:ops@rooms.example.org\"`), each value a role or a table of the following. A person's own line counts before that of the "+
		"room they speak in, and that before their domain's.", mapping.AccessSpec.Keys)
	p.section(code("[rooms.\"ROOM\"]"), "Rooms that the gateway joins, one table each, named by the room's address; in component and client mode.", roomKeys)
	p.section(code("[drivers.NAME]"), "One table a connection. These keys are those of every driver.", schema.Join([]schema.Key{typeKey, enabledKey}, mapping.DriverKeys).Keys)
	p.types(types, code("[drivers.NAME]"), connectionKeys)
	p.section(code("[broker]"), "The MQTT broker inside, which an empty section is enough for.", broker.Keys)
	p.section(code("[devices.NAME]"), "One table a device. These keys are those of every device.", schema.Join(mapping.DeviceKeys, []schema.Key{enabledKey, pointsKey}).Keys)
	p.types(types, code("[devices.NAME]"), deviceKeys)
	p.section(code("[devices.NAME.points.NAME]"), "One table for each thing a device measures or does. These keys are those of every point.", mapping.PointKeys)
	p.types(types, code("[devices.NAME.points.NAME]"), pointKeys)
	p.section(code("[alerts.NAME]"), "What is said to whom when something happens.", schema.Join(mapping.AlertKeys, []schema.Key{enabledKey}).Keys)
	p.section(code("[history]"), "Readings that are kept, for charts, for people and for programs. Without the section none are; an empty one is enough.", historyKeys)
	p.section(code("[publish]"), "Readings as pubsub items (XEP-0060), for programs: a node for each point, which whoever may see the device may read. "+
		"See [Programs](programs.md#pubsub).", publishKeys)
	p.section(code("[control]"), "The socket of the command line.", controlKeys)

	p.WriteString("\n## Not in this version\n\nThese are refused by name rather than accepted and ignored.\n\n")
	for _, k := range rootSpec().Keys {
		if k.Later {
			fmt.Fprintf(p, "- %s: %s\n", code("["+k.Name+"]"), k.Help)
		}
	}
	for _, line := range p.refused {
		p.WriteString(line)
	}
	return p.Bytes()
}

// A page is the text so far and the keys of later versions met on the way.
type page struct {
	bytes.Buffer
	refused []string
}

// types writes what each type adds to a table.
func (p *page) types(types []devices.Type, title string, which func(*devices.Type) []schema.Key) {
	for i := range types {
		about := ""
		if strings.HasPrefix(title, "`[drivers") {
			about = types[i].Help
		}
		p.section(title+" of "+types[i].Name, about, which(&types[i]))
	}
}

// section writes the keys of one table.
func (p *page) section(title, about string, keys []schema.Key) {
	var rows []string
	for _, k := range keys {
		switch {
		case k.Later:
			p.refused = append(p.refused, fmt.Sprintf("- %s in %s: %s\n", code(k.Name), title, k.Help))
			continue
		case k.Secret && strings.HasSuffix(k.Name, "_file"):
			continue // stands with the key it is the file of
		}
		rows = append(rows, row(k))
		for _, choice := range k.LaterChoices {
			p.refused = append(p.refused, fmt.Sprintf("- %s in %s\n", code(fmt.Sprintf("%s = %q", k.Name, choice)), title))
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(p, "\n## %s\n", title)
	if about != "" {
		fmt.Fprintf(p, "\n%s\n", about)
	}
	p.WriteString("\n| key | takes | default | meaning |\n| --- | --- | --- | --- |\n" + strings.Join(rows, ""))
}

func row(k schema.Key) string {
	name, takes, def := code(k.Name), k.Kind.String(), ""
	switch {
	case len(k.Choices) > 0:
		quoted := make([]string, len(k.Choices))
		for i, c := range k.Choices {
			quoted[i] = code(fmt.Sprintf("%q", c))
		}
		takes = strings.Join(quoted, ", ")
	case k.IsPath():
		takes = "a path"
	case k.Secret:
		name, takes = name+" or "+code(k.Name+"_file"), "a secret"
	}
	switch {
	case k.Required:
		def = "required"
	case k.Default != "":
		def = code(written(k))
	}
	return fmt.Sprintf("| %s | %s | %s | %s |\n", name, cell(takes), cell(def), cell(k.Help))
}

// written is the default as it would be written in the file: some declarations leave the quotes out.
func written(k schema.Key) string {
	switch k.Kind {
	case schema.String, schema.Duration, schema.Size, schema.Scalar:
		if table, err := schema.Parse("", []byte("x = "+k.Default)); err != nil || !table.Has("x") {
			return fmt.Sprintf("%q", k.Default)
		}
	}
	return k.Default
}

func code(s string) string { return "`" + s + "`" }

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
