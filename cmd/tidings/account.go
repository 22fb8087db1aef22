package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tidings/gateway"
	"tidings/mapping"
)

func accountCommand() *cobra.Command {
	return group("account", "Look after the accounts of the server inside", accountAddCommand())
}

func accountAddCommand() *cobra.Command {
	var role string
	c := &cobra.Command{
		Use:   "add NAME --role ROLE",
		Short: "Make an account",
		Long: "Make an account of the server inside (mode = \"local\"). The password is asked for\n" +
			"twice on a terminal, and read from standard input elsewhere: one line.",
		Example: "  tidings account add alice --role admin\n  tidings account add bob --role viewer <bob.password",
		Args:    cobra.ExactArgs(1),
	}
	client := socketFlag(c)
	c.Flags().StringVar(&role, "role", "", "`ROLE`: viewer (sees), operator (also switches) or admin\n(everything)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if _, ok := mapping.ParseRole(role); !ok {
			what := fmt.Sprintf("%q is no role", role)
			if role == "" {
				what = "--role is missing"
			}
			return fmt.Errorf("account %s: %s: viewer (sees), operator (also switches) or admin (everything)", args[0], what)
		}
		// Asked first: nobody likes to think of a password in vain.
		if _, err := client().Status(c.Context()); err != nil {
			return err
		}
		password, err := readPassword(c.InOrStdin(), c.ErrOrStderr())
		if err != nil {
			return fmt.Errorf("account %s: %w", args[0], err)
		}
		if err := client().AddAccount(c.Context(), gateway.AccountRequest{Name: args[0], Role: role, Password: password}); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "account %s added: %s\n", args[0], strings.ToLower(role))
		return err
	}
	return c
}
