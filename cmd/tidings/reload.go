package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tidings/gateway/control"
)

func reloadCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have the running gateway read its configuration again",
		Long: "Have the running gateway read its configuration again, as SIGHUP does. With a\n" +
			"mistake in it the old one stays in force and every mistake is printed; otherwise\n" +
			"only what changed is restarted.",
		Args: cobra.NoArgs,
	}
	client := socketFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		err := client().Reload(c.Context())
		if refused := (*control.RefusedError)(nil); errors.As(err, &refused) {
			return &codeError{1, fmt.Errorf("%w\ntidings: not reloaded, the old configuration stays in force", refused)}
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), "reloaded")
		return err
	}
	return c
}
