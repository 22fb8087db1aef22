package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func statusCommand() *cobra.Command {
	c := &cobra.Command{Use: "status", Short: "Say how the running gateway is, and each of its drivers", Args: cobra.NoArgs}
	client := socketFlag(c)
	asJSON := c.Flags().Bool("json", false, "print JSON, for programs")
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := client().Status(c.Context())
		if err != nil {
			return err
		}
		out := c.OutOrStdout()
		if *asJSON {
			return printJSON(out, s)
		}
		connected := "on XMPP"
		if !s.Connected {
			connected = "not on XMPP, and trying"
		}
		fmt.Fprintf(out, "%s: %s (tidings %s)\n\n", s.Name, connected, s.Version)
		t := table{columns: []column{{head: "DRIVER"}, {head: "TYPE"}, {head: "STATE"}}}
		for _, d := range s.Drivers {
			// The error names its driver, which the line does already.
			t.row(d.Name, d.Type, cmp.Or(strings.TrimPrefix(d.Error, d.Type+" "+d.Name+": "), "working"))
		}
		if err := t.print(out, 0); err != nil {
			return err
		}
		if len(s.Rooms) > 0 {
			fmt.Fprintln(out)
			t := table{columns: []column{{head: "ROOM"}, {head: "STATE"}}}
			for _, r := range s.Rooms {
				t.row(r.JID, r.State)
			}
			if err := t.print(out, 0); err != nil {
				return err
			}
		}
		if s.Refused == 0 {
			return nil
		}
		_, err = fmt.Fprintf(out, "\nrefused from drivers since the start: %d (too many devices, or readings of none that was announced)\n", s.Refused)
		return err
	}
	return c
}
