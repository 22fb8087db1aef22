package xmppbridge

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidings/xmppbridge/stream"
)

// An Inviter makes a link with which somebody makes an account of the server inside, once: with a role, under a name or under
// any where that is empty, for so long.
type Inviter func(ctx context.Context, role, name string, lasts time.Duration) (uri string, err error)

// invitationDays are the times that the command offers.
var invitationDays = []int{1, 3, 7, 30}

// inviteAccountCommand is for admins of a gateway with the server inside.
func inviteAccountCommand() *command {
	return &command{node: "invite", name: "Invite someone…", acts: true, steps: invitationSteps, do: inviteAccount}
}

func invitationSteps(*Bridge, asker) []step {
	roles := []struct{ label, value string }{
		{"Viewer: sees the devices", "viewer"}, {"Operator: also switches them", "operator"}, {"Admin: may do everything", "admin"},
	}
	return []step{{
		show: func(*Bridge, *call) *stream.Element {
			role := newField("role", "list-single", "What they may do", "operator")
			for _, r := range roles {
				addOption(role, r.label, r.value)
			}
			days := newField("days", "list-single", "How long the invitation is good", "3")
			for _, n := range invitationDays {
				label := strconv.Itoa(n) + " days"
				if n == 1 {
					label = "1 day"
				}
				addOption(days, label, strconv.Itoa(n))
			}
			return newForm("form", "Invite someone", "Makes a link for one account. Whoever has the link can use it: send it to nobody else.").
				Add(required(role), newField("name", "text-single", "Their name in the address, or empty for one of their choice"), days)
		},
		accept: func(c *call, values map[string][]string) error {
			for _, field := range []string{"role", "name", "days"} {
				c.chosen[field] = strings.TrimSpace(strings.Join(values[field], ""))
			}
			days, err := strconv.Atoi(cmp.Or(c.chosen["days"], "3"))
			if err != nil || !slices.Contains(invitationDays, days) {
				return badPayload("choose one of the times")
			}
			c.chosen["days"] = strconv.Itoa(days)
			if !slices.ContainsFunc(roles, func(r struct{ label, value string }) bool { return r.value == c.chosen["role"] }) {
				return badPayload("choose one of the roles")
			}
			return nil
		},
	}}
}

func inviteAccount(ctx context.Context, b *Bridge, c *call) (*outcome, error) {
	days, err := strconv.Atoi(c.chosen["days"])
	if err != nil {
		return nil, err
	}
	uri, err := b.o.Inviter(ctx, c.chosen["role"], c.chosen["name"], time.Duration(days)*24*time.Hour)
	if err != nil {
		return &outcome{level: "error", note: err.Error()}, nil
	}
	return &outcome{level: "info", note: "Send this link to whom you invite: " + uri,
		form: newForm("result", "Invitation", "").Add(newField("uri", "text-single", "Link", uri))}, nil
}
