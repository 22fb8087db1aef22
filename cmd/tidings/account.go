package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tidings/gateway"
	"tidings/mapping"
)

func accountCommand() *cobra.Command {
	return group("account", "Look after the accounts of the server inside", accountAddCommand(), accountListCommand(),
		accountRoleCommand(), accountPasswdCommand(), accountRemoveCommand())
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
		if role == "" {
			return noRole(args[0], "--role is missing")
		}
		if _, ok := mapping.ParseRole(role); !ok {
			return noRole(args[0], fmt.Sprintf("%q is no role", role))
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

func noRole(name, what string) error {
	return fmt.Errorf("account %s: %s: viewer (sees), operator (also switches) or admin (everything)", name, what)
}

func accountListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the accounts and what they may do", Args: cobra.NoArgs}
	client := socketFlag(c)
	asJSON := c.Flags().Bool("json", false, "print JSON, for programs")
	c.RunE = func(c *cobra.Command, _ []string) error {
		list, err := client().Accounts(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), list)
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(c.OutOrStdout(), "No accounts: `tidings account add` makes one.")
			return err
		}
		t := table{columns: []column{{head: "ACCOUNT"}, {head: "ADDRESS"}, {head: "ROLE"}}}
		for _, a := range list {
			t.row(a.Name, a.JID, a.Role)
		}
		return t.print(c.OutOrStdout(), 0)
	}
	return c
}

func accountRoleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "role NAME ROLE",
		Short: "Give an account another role",
		Long:  "Give an account another role. What [access] in the configuration says of it\ncomes first.",
		Args:  cobra.ExactArgs(2),
	}
	client := socketFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if _, ok := mapping.ParseRole(args[1]); !ok {
			return noRole(args[0], fmt.Sprintf("%q is no role", args[1]))
		}
		if err := client().SetRole(c.Context(), args[0], args[1]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "account %s: %s\n", args[0], args[1])
		return err
	}
	return c
}

func accountPasswdCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Give an account another password",
		Long: "Give an account another password, asked for as by `tidings account add`. Its\nclients " +
			"are logged out.",
		Args: cobra.ExactArgs(1),
	}
	client := socketFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if _, err := client().Status(c.Context()); err != nil {
			return err
		}
		password, err := readPassword(c.InOrStdin(), c.ErrOrStderr())
		if err != nil {
			return fmt.Errorf("account %s: %w", args[0], err)
		}
		if err := client().SetPassword(c.Context(), args[0], password); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "account %s: password changed\n", args[0])
		return err
	}
	return c
}

func accountRemoveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "Take an account away, with its contact list",
		Args:  cobra.ExactArgs(1),
	}
	client := socketFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := client().RemoveAccount(c.Context(), args[0]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "account %s removed\n", args[0])
		return err
	}
	return c
}
