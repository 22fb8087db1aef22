package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tidings/devices/schema"
	"tidings/gateway"
)

func checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Find the mistakes of a configuration, touching nothing",
		Long: "Read a configuration as the gateway does and print every mistake with its line.\n" +
			"The exit status is 1 if there is one. No device is opened, nothing is connected.\n\n" +
			"With --online, for mode = \"client\": also log in to the account and refuse\n" +
			"one that is a person's: that has a vCard, or that somebody else is logged in\n" +
			"to. The gateway may be running.",
		Example: "  tidings check gateway.toml\n  tidings check --online gateway.toml",
	}
	config := configFlag(c)
	online := c.Flags().Bool("online", false, "log in and see that the account is the gateway's own")
	c.RunE = func(c *cobra.Command, args []string) error {
		file, err := config(args)
		if err == nil {
			if *online {
				err = gateway.CheckOnline(c.Context(), file)
			} else {
				err = gateway.Check(file)
			}
		}
		if mistakes := (*schema.Error)(nil); errors.As(err, &mistakes) {
			return &codeError{1, mistakes}
		}
		if err != nil {
			return err
		}
		said := file + ": no mistakes"
		if *online {
			said += ", and the account is the gateway's own"
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), said)
		return err
	}
	return c
}
