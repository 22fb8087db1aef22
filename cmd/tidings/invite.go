package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mdp/qrterminal/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tidings/devices/schema"
	"tidings/gateway"
	"tidings/gateway/control"
)

func inviteCommand() *cobra.Command {
	var role, lasts, withdraw string
	var list bool
	c := &cobra.Command{
		Use:   "invite JID | invite --role ROLE [NAME]",
		Short: "Ask a person to take the house as a contact, or to make an account",
		Long: "Where people have accounts elsewhere: ask a person with a role in [access] to\n" +
			"take the house as a contact, and print a link that does the same from their\n" +
			"side. From there the house's command \"Add devices…\" brings the devices.\n\n" +
			"With the server inside (mode = \"local\"): print a link with which somebody makes\n" +
			"an account, once. Whoever has the link can use it. With NAME it is for an\n" +
			"account of that name.\n\nOn a terminal the link is shown as a QR code, too.",
		Example: "  tidings invite alice@example.org\n  tidings invite --role operator\n  tidings invite --role viewer --expires 12h bob",
		Args:    cobra.MaximumNArgs(1),
	}
	client := socketFlag(c)
	c.Flags().StringVar(&role, "role", "", "`ROLE` of the account: viewer (sees), operator (also\nswitches) or admin (everything)")
	c.Flags().StringVar(&lasts, "expires", "3d", "how long the link can be used: `TIME`, as\n12h")
	c.Flags().BoolVar(&list, "list", false, "list the links for accounts that nobody has used yet")
	c.Flags().StringVar(&withdraw, "withdraw", "", "take back the link of this `ID`, as --list has it")
	c.MarkFlagsMutuallyExclusive("role", "list", "withdraw")
	c.RunE = func(c *cobra.Command, args []string) error {
		name := strings.Join(args, "")
		switch {
		case (list || withdraw != "") && name != "":
			return fmt.Errorf("invite: %q has no place here: --list and --withdraw stand alone", name)
		case list:
			return listInvitations(c, client())
		case withdraw != "":
			return client().WithdrawInvitation(c.Context(), withdraw)
		case role != "":
			return inviteAccount(c, client(), role, name, lasts)
		case name != "":
			return inviteContact(c, client(), name)
		}
		return errors.New("invite: whom? An address such as alice@example.org for a contact; --role for an account: viewer (sees), operator (also switches) or admin (everything)")
	}
	return c
}

// inviteContact asks a person to take the house as a contact.
func inviteContact(c *cobra.Command, client *control.Client, jid string) error {
	result, err := client.Invite(c.Context(), jid)
	if err != nil {
		return err
	}
	said := jid + " was asked"
	if !result.Asked {
		said = jid + " has the house among their contacts already"
	}
	return printLink(c.OutOrStdout(), said, result.URI)
}

// inviteAccount prints a link for an account of the server inside.
func inviteAccount(c *cobra.Command, client *control.Client, role, name, lasts string) error {
	expires, err := schema.ParseDuration(lasts)
	if err != nil || expires <= 0 {
		return fmt.Errorf("invite: --expires %q is no time: write it as 12h or 7d", lasts)
	}
	// The address may be written whole.
	name, _, _ = strings.Cut(name, "@")
	made, err := client.InviteAccount(c.Context(), gateway.InvitationRequest{Role: role, Name: name, Expires: expires})
	if err != nil {
		return err
	}
	whose := "one account"
	if made.Name != "" {
		whose = "the account " + made.Name
	}
	return printLink(c.OutOrStdout(), fmt.Sprintf("A link for %s (%s), good until %s. Whoever has it can use it.",
		whose, made.Role, made.Expires.Local().Format("2006-01-02 15:04")), made.URI)
}

func listInvitations(c *cobra.Command, client *control.Client) error {
	all, err := client.Invitations(c.Context())
	if err != nil {
		return err
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.OutOrStdout(), "No open invitations: `tidings invite --role ROLE` makes one.")
		return err
	}
	t := table{columns: []column{{head: "ID"}, {head: "ROLE"}, {head: "ACCOUNT"}, {head: "UNTIL"}}}
	for _, i := range all {
		t.row(i.ID, i.Role, cmp.Or(i.Name, "any"), i.Expires.Local().Format("2006-01-02 15:04"))
	}
	return t.print(c.OutOrStdout(), 0)
}

// printLink prints a line and a link, with a QR code where somebody can point a phone at it.
func printLink(out io.Writer, line, uri string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n", line)
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		qrterminal.GenerateHalfBlock(uri, qrterminal.L, &text)
	}
	fmt.Fprintf(&text, "%s\n", uri)
	_, err := io.WriteString(out, text.String())
	return err
}
