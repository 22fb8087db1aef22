package xmppbridge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

const (
	chooseNode = "choose"
	// rowsPerPage bounds one page of a table: servers cap a stanza at 256 KiB.
	rowsPerPage = 100
	// maxChoices bounds the options of one list field.
	maxChoices = 200
	// maxLogLine bounds a line of the log: fifty stay far below what a stanza may have.
	maxLogLine = 500
)

// hubCommands are the hub's own: everyone's, then those of admins.
func (b *Bridge) hubCommands(a asker) []*command {
	list := []*command{
		{node: "devices", name: "All devices", steps: devicePages, do: showDevices},
		{node: "alerts", name: "Alerts…", acts: true, steps: alertSteps, do: attendAlerts},
	}
	if b.addsDevices() {
		list = append(list, addCommand())
	}
	if a.role < mapping.Admin || b.o.Admin == nil {
		return list
	}
	if b.o.Inviter != nil {
		list = append(list, inviteAccountCommand())
	}
	return append(list,
		&command{node: "reload", name: "Reload configuration", acts: true, do: reload},
		&command{node: "restart", name: "Restart a driver…", acts: true, steps: restartSteps, do: restart},
		&command{node: "log", name: "Log", do: showLog})
}

// deviceTable is every device the asker may see, a row each.
func deviceTable(b *Bridge, a asker) table {
	t := table{title: "All devices", columns: []string{"Device", "Place", "State"}}
	visible := b.visible(a)
	slices.SortStableFunc(visible, func(x, y *mapping.Device) int {
		return cmp.Or(cmp.Compare(x.Location, y.Location), cmp.Compare(x.Name, y.Name))
	})
	name := b.apart(visible)
	for _, d := range visible {
		state := strings.TrimPrefix(b.summary(d), d.Name)
		t.rows = append(t.rows, []string{name(d), d.Location, strings.TrimPrefix(strings.TrimPrefix(state, ": "), " is ")})
	}
	return t
}

// devicePages makes a page of each hundred devices but the last, which is the outcome.
func devicePages(b *Bridge, a asker) []step {
	t := deviceTable(b, a)
	var steps []step
	for page := 0; len(t.rows) > rowsPerPage; page++ {
		part := table{title: t.title, columns: t.columns, rows: t.rows[:rowsPerPage]}
		t.rows = t.rows[rowsPerPage:]
		steps = append(steps, step{show: func(*Bridge, *call) *stream.Element { return part.element() }})
	}
	return steps
}

func showDevices(_ context.Context, b *Bridge, c *call) (*outcome, error) {
	t := deviceTable(b, c.asker)
	n := len(t.rows)
	if rest := n % rowsPerPage; n > rowsPerPage && rest != 0 {
		t.rows = t.rows[n-rest:]
	} else if n > rowsPerPage {
		t.rows = t.rows[n-rowsPerPage:]
	}
	note := fmt.Sprintf("%d devices", n)
	if n == 1 {
		note = "1 device"
	}
	return &outcome{level: "info", note: note, table: &t}, nil
}

// chooseCommand leads to the commands of one of many devices: by a part of its name where even a list would be long.
func chooseCommand() *command {
	return &command{node: chooseNode, name: "Choose a device…", steps: chooseSteps,
		do: func(context.Context, *Bridge, *call) (*outcome, error) {
			return &outcome{level: "info", note: "Nothing was chosen"}, nil
		}}
}

func chooseSteps(b *Bridge, a asker) []step {
	var steps []step
	visible := b.visible(a)
	slices.SortStableFunc(visible, func(x, y *mapping.Device) int { return cmp.Compare(x.Name, y.Name) })
	if len(visible) > maxChoices {
		steps = append(steps, step{
			show: func(*Bridge, *call) *stream.Element {
				return newForm("form", "Choose a device", fmt.Sprintf("There are %d devices.", len(visible))).
					Add(newField("part", "text-single", "Part of its name or place"))
			},
			accept: func(c *call, values map[string][]string) error {
				c.chosen["part"] = strings.ToLower(strings.Join(values["part"], ""))
				return nil
			},
		})
	}
	return append(steps, chooseDeviceStep(visible), chooseActionStep())
}

func chooseDeviceStep(visible []*mapping.Device) step {
	return step{
		show: func(b *Bridge, c *call) *stream.Element {
			list, name := newField("device", "list-single", "Device"), b.apart(visible)
			n := 0
			for _, d := range visible {
				if text := strings.ToLower(d.Name + "\n" + d.Location + "\n" + b.addresses().Slug(d.ID)); strings.Contains(text, c.chosen["part"]) {
					if n++; n <= maxChoices {
						addOption(list, name(d), string(d.ID))
					}
				}
			}
			instructions := ""
			if n > maxChoices {
				instructions = fmt.Sprintf("The first %d of %d: go back and give more of the name.", maxChoices, n)
			} else if n == 0 {
				instructions = "No device has that in its name or place: go back and try another part."
			}
			return newForm("form", "Choose a device", instructions).Add(required(list))
		},
		accept: func(c *call, values map[string][]string) error {
			id := strings.Join(values["device"], "")
			if !slices.ContainsFunc(visible, func(d *mapping.Device) bool { return string(d.ID) == id }) {
				return badPayload("choose one of the devices")
			}
			c.chosen["device"] = id
			return nil
		},
	}
}

// chooseActionStep offers the commands of the device chosen before; the one chosen takes the session over.
func chooseActionStep() step {
	offered := func(b *Bridge, c *call) []*command {
		for _, d := range b.visible(c.asker) {
			if string(d.ID) == c.chosen["device"] {
				return b.deviceCommands(c.asker, d)
			}
		}
		return nil
	}
	return step{
		show: func(b *Bridge, c *call) *stream.Element {
			list := newField("command", "list-single", "Command")
			for _, o := range offered(b, c) {
				addOption(list, o.name, o.node)
			}
			return newForm("form", "Choose a command", "").Add(required(list))
		},
		accept: func(c *call, values map[string][]string) error {
			c.chosen["node"] = strings.Join(values["command"], "")
			return nil
		},
		then: func(b *Bridge, c *call) (*command, error) {
			for _, o := range offered(b, c) {
				if o.node == c.chosen["node"] {
					return o, nil
				}
			}
			return nil, badPayload("choose one of the commands")
		},
	}
}

func reload(ctx context.Context, b *Bridge, _ *call) (*outcome, error) {
	if err := b.o.Admin.Reload(ctx); ctx.Err() != nil {
		return &outcome{level: "warn", note: "The configuration is being reloaded, and this connection with it"}, nil
	} else if err != nil {
		return &outcome{level: "error", note: "Not reloaded, the old configuration stays in force:\n" + err.Error()}, nil
	}
	return &outcome{level: "info", note: "The configuration was reloaded"}, nil
}

func restartSteps(b *Bridge, _ asker) []step {
	names := b.o.Admin.Drivers()
	return []step{{
		show: func(*Bridge, *call) *stream.Element {
			list := newField("driver", "list-single", "Driver")
			for _, d := range names {
				label := d.Name + " (" + d.Type + ", working)"
				if d.Health != nil {
					label = d.Name + " (" + d.Type + ": " + d.Health.Error() + ")"
				}
				addOption(list, label, d.Name)
			}
			return newForm("form", "Restart a driver", "Its devices are away for a moment; outputs go to their safe state.").
				Add(required(list))
		},
		accept: func(c *call, values map[string][]string) error {
			c.chosen["driver"] = strings.Join(values["driver"], "")
			if !slices.ContainsFunc(names, func(d DriverStatus) bool { return d.Name == c.chosen["driver"] }) {
				return badPayload("choose one of the drivers")
			}
			return nil
		},
	}}
}

func restart(ctx context.Context, b *Bridge, c *call) (*outcome, error) {
	if err := b.o.Admin.RestartDriver(ctx, c.chosen["driver"]); err != nil {
		return &outcome{level: "error", note: err.Error()}, nil
	}
	return &outcome{level: "info", note: "Driver " + c.chosen["driver"] + " was restarted"}, nil
}

func showLog(_ context.Context, b *Bridge, _ *call) (*outcome, error) {
	lines := slices.Clone(b.o.Admin.Log(50))
	if len(lines) == 0 {
		return &outcome{level: "info", note: "The log is empty"}, nil
	}
	for i, line := range lines {
		if len(line) > maxLogLine {
			lines[i] = strings.ToValidUTF8(line[:maxLogLine], "") + "…"
		}
	}
	form := newForm("result", "Log", "").Add(newField("log", "text-multi", "The last lines", lines...))
	return &outcome{level: "info", note: lines[len(lines)-1], form: form}, nil
}
