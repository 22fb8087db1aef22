package xmppbridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"mellium.im/xmpp/jid"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/local"
	"tidings/xmppbridge/stream"
)

// What Invite refuses.
var (
	ErrNoRole  = errors.New("has no role: add a line for them to [access] first")
	ErrContact = errors.New("the server inside gives its accounts their contacts: there is nobody to be invited this way")
)

const addNode = "add"

// Invite asks somebody to take the hub as a contact, and returns a URI that leads to it, for those who would rather ask
// themselves. asked is false when they have it already.
func (b *Bridge) Invite(person string) (uri string, asked bool, err error) {
	j, err := jid.Parse(person)
	switch {
	case err != nil || j.Localpart() == "":
		return "", false, fmt.Errorf("%q is not an address: write it as in alice@example.org", person)
	case b.o.Audience == Rosters:
		return "", false, ErrContact
	case b.access().Role(j.Bare().String()) == mapping.None:
		return "", false, fmt.Errorf("%s %w", j.Bare(), ErrNoRole)
	}
	hub, _ := b.addresses().Hub()
	uri = ContactURI(hub, b.name())
	sub := b.roster.get(hub, j.Bare().String())
	if sub.From && sub.To {
		return uri, false, nil
	}
	return uri, true, b.request(sub)
}

// ContactURI is the URI by which clients add a contact (RFC 5122, XEP-0147 and its action roster).
func ContactURI(bare, name string) string {
	local, domain, _ := strings.Cut(bare, "@")
	return "xmpp:" + url.PathEscape(local) + "@" + domain + "?roster;name=" + url.PathEscape(name)
}

// request asks somebody for a subscription on behalf of one of our bare JIDs, and says when it could not be sent.
func (b *Bridge) request(sub Subscription) error {
	asked := sub
	asked.Asked = true
	b.roster.put(asked) // before: the answer may come at once
	err := b.send(b.subscribing(sub.Target, sub.Watcher))
	if err != nil {
		b.roster.put(sub)
	}
	return err
}

// addsDevices reports whether devices are contacts that people have to add.
func (b *Bridge) addsDevices() bool {
	return b.o.Audience == Subscribers && b.addresses().Contacts()
}

// missing are the devices somebody may see and does not have as contacts.
func (b *Bridge) missing(a asker) []*mapping.Device {
	var out []*mapping.Device
	for _, d := range b.visible(a) {
		if bare, _ := b.addresses().Device(d.ID); !b.shared(d.ID) && !b.roster.get(bare, a.bare).From {
			out = append(out, d)
		}
	}
	slices.SortStableFunc(out, func(x, y *mapping.Device) int {
		return cmp.Or(cmp.Compare(x.Location, y.Location), cmp.Compare(x.Name, y.Name))
	})
	return out
}

// add makes devices contacts of somebody: where their server lets us they are put into the list, elsewhere each asks.
func (b *Bridge) add(ctx context.Context, a asker, list []*mapping.Device) (added, asked int, err error) {
	for _, d := range list {
		bare, _ := b.addresses().Device(d.ID)
		if b.lists.may(a.bare) {
			err = b.lists.give(ctx, a.bare, local.Contact{JID: bare, Name: d.Name, Groups: []string{cmp.Or(d.Location, b.name())}})
			if err == nil {
				added++
				continue
			}
		}
		if err = b.request(b.roster.get(bare, a.bare)); err != nil {
			return added, asked, err
		}
		asked++
	}
	return added, asked, nil
}

// addCommand offers the devices that are not among somebody's contacts, to be chosen from.
func addCommand() *command {
	return &command{node: addNode, name: "Add devices…", acts: true, steps: addSteps, do: addChosen}
}

func addSteps(b *Bridge, a asker) []step {
	missing := b.missing(a)
	if len(missing) == 0 {
		return nil
	}
	return []step{{
		show: func(*Bridge, *call) *stream.Element {
			list := newField("devices", "list-multi", "Devices")
			for _, d := range missing[:min(len(missing), maxChoices)] {
				name := d.Name
				if d.Location != "" {
					name += " (" + d.Location + ")"
				}
				addOption(list, name, string(d.ID))
			}
			instructions := "Each becomes a contact of its own. Your client may ask you to confirm each."
			if n := len(missing); n > maxChoices {
				instructions += fmt.Sprintf(" The first %d of %d.", maxChoices, n)
			}
			return newForm("form", "Add devices", instructions).Add(list)
		},
		accept: func(c *call, values map[string][]string) error {
			for _, id := range values["devices"] {
				if !slices.ContainsFunc(missing, func(d *mapping.Device) bool { return string(d.ID) == id }) {
					return badPayload("choose among the devices")
				}
			}
			c.chosen["devices"] = strings.Join(values["devices"], "\n")
			return nil
		},
	}}
}

func addChosen(ctx context.Context, b *Bridge, c *call) (*outcome, error) {
	ids := strings.Split(c.chosen["devices"], "\n")
	missing := b.missing(c.asker)
	if len(missing) == 0 {
		return &outcome{level: "info", note: "Every device you may see is among your contacts"}, nil
	}
	chosen := slices.DeleteFunc(missing, func(d *mapping.Device) bool { return !slices.Contains(ids, string(d.ID)) })
	if len(chosen) == 0 {
		return &outcome{level: "info", note: "Nothing was chosen"}, nil
	}
	added, asked, err := b.add(ctx, c.asker, chosen)
	if err != nil {
		return &outcome{level: "error", note: "Not all could be added: " + err.Error()}, nil
	}
	return &outcome{level: "info", note: addedWords(added, asked)}, nil
}

func addedWords(added, asked int) string {
	count := func(n int) string {
		if n == 1 {
			return "1 device"
		}
		return fmt.Sprintf("%d devices", n)
	}
	var parts []string
	if added > 0 {
		parts = append(parts, count(added)+" added to your contacts")
	}
	if asked > 0 {
		parts = append(parts, count(asked)+" asked to be your contact: accept in your client")
	}
	return strings.Join(parts, ", ")
}

// addWords understands "add devices", which lists them, and "add lamp, oven" or "add Kitchen", which adds what is called so or
// is there. It reports whether that was meant.
func (t *talk) addWords(words []string) bool {
	if len(words) == 0 || strings.ToLower(words[0]) != "add" || !t.b.addsDevices() || t.room != nil {
		return false
	}
	missing := t.b.missing(t.asker)
	if len(missing) == 0 {
		t.say("Every device you may see is among your contacts.")
		return true
	}
	var chosen []*mapping.Device
	for _, part := range t.listed() {
		for _, d := range missing {
			if (strings.ToLower(d.Name) == part || string(d.ID) == part || t.b.addresses().Slug(d.ID) == part || strings.ToLower(d.Location) == part) && !slices.Contains(chosen, d) {
				chosen = append(chosen, d)
			}
		}
	}
	if len(chosen) == 0 {
		t.sayMissing(missing)
		return true
	}
	if err := t.b.refuseOld(t.st, t.fresh); err != nil {
		t.refuse(err)
		return true
	}
	queued := t.b.work.do(jobKey{t.full, ""}, job{failed: func() {}, do: func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, executeTimeout)
		defer cancel()
		added, asked, err := t.b.add(ctx, t.asker, chosen)
		if err != nil {
			t.refuse(err)
			return
		}
		t.say(addedWords(added, asked) + ".")
	}})
	if !queued {
		t.refuse(devices.ErrBusy)
	}
	return true
}

// listed is what was said behind "add", between commas: as it stands, and without noise.
func (t *talk) listed() []string {
	var out []string
	_, rest, _ := strings.Cut(strings.ToLower(spoken(t.st)), "add ")
	for part := range strings.SplitSeq(rest, ",") {
		words := strings.Fields(strings.TrimRight(part, ".;:! "))
		if part = strings.Join(words, " "); part != "" {
			out = append(out, part, strings.Join(withoutNoise(words), " "))
		}
	}
	return out
}

func (t *talk) sayMissing(missing []*mapping.Device) {
	var lines []string
	for _, d := range missing[:min(len(missing), rowsPerPage)] {
		line := d.Name
		if d.Location != "" {
			line += " (" + d.Location + ")"
		}
		lines = append(lines, line)
	}
	if n := len(missing) - len(lines); n > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more", n))
	}
	t.say("Not yet among your contacts:\n" + strings.Join(lines, "\n") + "\nSay \"add\" with a name, several with commas, or a place.")
}
