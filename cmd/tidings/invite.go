package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mdp/qrterminal/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func inviteCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "invite JID",
		Short: "Ask a person to take the house as a contact",
		Long: "Ask a person with a role in [access] to take the house as a contact, and print a\n" +
			"link that does the same from their side, on a terminal as a QR code too. From\n" +
			"there the house's command \"Add devices…\" brings the devices.",
		Example: "  tidings invite alice@example.org",
		Args:    cobra.ExactArgs(1),
	}
	client := socketFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		result, err := client().Invite(c.Context(), args[0])
		if err != nil {
			return err
		}
		said := args[0] + " was asked"
		if !result.Asked {
			said = args[0] + " has the house among their contacts already"
		}
		return printLink(c.OutOrStdout(), said, result.URI)
	}
	return c
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
