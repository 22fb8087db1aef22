package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tidings/drivers/mqtt/broker"
)

func brokerCommand() *cobra.Command {
	return group("broker", "Look after the users of the MQTT broker inside", brokerAdduserCommand())
}

func brokerAdduserCommand() *cobra.Command {
	var file string
	var user broker.NewUser
	c := &cobra.Command{
		Use:   "adduser NAME --file FILE",
		Short: "Add a user, or give one another password",
		Long: "Add a user of the MQTT broker inside to its file of users, or give one another\n" +
			"password. The password is asked for twice on a terminal, and read from standard\n" +
			"input elsewhere: one line. A running broker takes it up by itself.\n\n" +
			"With --read and --write the user may use these topics only; with neither,\n" +
			"those that stand in the file, or all. In a topic + stands for one level, # for\n" +
			"all that follow, %u for the user's name and %c for the id of its client.",
		Example: "  tidings broker adduser phone --file broker.users\n" +
			"  tidings broker adduser lamp --file broker.users \\\n" +
			"      --read 'cmnd/%u/#' --write 'stat/%u/#' --write 'tele/%u/#'",
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&file, "file", "", "the `FILE` that users_file in [broker] names; made when it\nis not there")
	c.Flags().StringArrayVar(&user.Read, "read", nil, "a `TOPIC` the user may subscribe to; may be repeated")
	c.Flags().StringArrayVar(&user.Write, "write", nil, "a `TOPIC` the user may publish to; may be repeated")
	c.RunE = func(c *cobra.Command, args []string) error {
		if file == "" {
			return errors.New("broker: --file is missing: the one that users_file in [broker] names")
		}
		password, err := readPassword(c.InOrStdin(), c.ErrOrStderr())
		if err != nil {
			return fmt.Errorf("user %s: %w", args[0], err)
		}
		user.Name, user.Password = args[0], password
		if err := broker.AddUser(file, user); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "user %s written to %s\n", args[0], file)
		return err
	}
	return c
}
