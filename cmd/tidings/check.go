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
			"The exit status is 1 if there is one. No device is opened, nothing is connected.",
		Example: "  tidings check gateway.toml",
	}
	config := configFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		file, err := config(args)
		if err == nil {
			err = gateway.Check(file)
		}
		if mistakes := (*schema.Error)(nil); errors.As(err, &mistakes) {
			return &codeError{1, mistakes}
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), file+": no mistakes")
		return err
	}
	return c
}
