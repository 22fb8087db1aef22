package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidings/gateway"
	"tidings/mapping"
)

func devicesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "devices [DEVICE]",
		Short: "List the devices of the running gateway, or all of one",
		Long: "List the devices of the running gateway, or everything about one: its points,\n" +
			"what `tidings send` can have it do, and what was not understood of it.",
		Args: cobra.MaximumNArgs(1),
	}
	client := socketFlag(c)
	asJSON := c.Flags().Bool("json", false, "print JSON, for programs")
	c.RunE = func(c *cobra.Command, args []string) error {
		list, err := client().Devices(c.Context())
		if err != nil {
			return err
		}
		out := c.OutOrStdout()
		switch {
		case len(args) == 1:
			d, err := findDevice(list, args[0])
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(out, d)
			}
			return printDevice(out, d, time.Now())
		case *asJSON:
			return printJSON(out, list)
		}
		return printDevices(out, list)
	}
	return c
}

func findDevice(list []gateway.DeviceStatus, said string) (gateway.DeviceStatus, error) {
	names := make([]mapping.Names, len(list))
	for i, d := range list {
		names[i] = mapping.Names{ID: d.ID, Slug: d.Slug, Name: d.Name}
	}
	i, err := mapping.Called(said, names)
	if err != nil {
		return gateway.DeviceStatus{}, err
	}
	return list[i], nil
}

func stateOf(d gateway.DeviceStatus) string {
	switch {
	case d.Disabled:
		return "disabled"
	case d.Online:
		return "online"
	}
	return "offline"
}

func printDevices(out io.Writer, list []gateway.DeviceStatus) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "No devices yet: [devices] in the configuration names them, or an mqtt driver with `discovery` finds them.")
		return err
	}
	t := table{columns: []column{{head: "DEVICE"}, {head: "NAME", shrink: true}, {head: "PLACE", shrink: true}, {head: "STATE"},
		{head: "READS", shrink: true}, {head: "ADDRESS", drop: true}}}
	for _, d := range list {
		t.row(d.Slug, d.Name, d.Location, stateOf(d), d.Status, d.JID)
	}
	if err := t.print(out, widthOf(out)); err != nil {
		return err
	}
	return printNotes(out, list)
}

// printNotes prints the first note of each device, once for all of which it says the same.
func printNotes(out io.Writer, list []gateway.DeviceStatus) error {
	var notes []string
	of := map[string][]gateway.DeviceStatus{}
	for _, d := range list {
		if len(d.Notes) > 0 {
			if of[d.Notes[0]] == nil {
				notes = append(notes, d.Notes[0])
			}
			of[d.Notes[0]] = append(of[d.Notes[0]], d)
		}
	}
	for _, note := range notes {
		who, more := of[note][0].Slug, ""
		if n := len(of[note]) - 1; n > 0 {
			who += fmt.Sprintf(" and %d more", n)
		} else if n := len(of[note][0].Notes) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more: tidings devices %s)", n, who)
		}
		if _, err := fmt.Fprintf(out, "%s: %s%s\n", who, strings.Map(printable, note), more); err != nil {
			return err
		}
	}
	return nil
}

func printDevice(out io.Writer, d gateway.DeviceStatus, now time.Time) error {
	about := table{columns: make([]column, 2)}
	about.row("name", d.Name)
	about.row("address", d.JID)
	if d.Location != "" {
		about.row("place", d.Location)
	}
	for _, row := range [][2]string{{"model", d.Model}, {"firmware", d.Version}, {"match", d.Match}} {
		if row[1] != "" {
			about.row(row[0], row[1])
		}
	}
	if d.Driver != "" { // else all of it is computed
		about.row("driver", d.Driver)
	}
	about.row("state", stateOf(d))
	about.row("reads", d.Status)
	for _, note := range d.Notes {
		about.row("note", note)
	}
	if err := about.print(out, 0); err != nil {
		return err
	}
	points := table{columns: []column{{head: "POINT"}, {head: "VALUE"}, {head: "READ"}}}
	for _, p := range d.Points {
		points.row(p.Name, p.Value, clock(p.At, now))
	}
	if len(points.rows) > 0 {
		fmt.Fprintln(out)
		if err := points.print(out, 0); err != nil {
			return err
		}
	}
	if len(d.Commands) > 0 {
		fmt.Fprintln(out)
	}
	for _, words := range d.Commands {
		if _, err := fmt.Fprintf(out, "tidings send %s %s\n", d.Slug, words); err != nil {
			return err
		}
	}
	return nil
}

// clock is the time of day, and the day where it is another one.
func clock(at, now time.Time) string {
	if at.IsZero() {
		return "never"
	}
	at, now = at.Local(), now.Local()
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04:05")
	}
	return at.Format("2006-01-02 15:04:05")
}
