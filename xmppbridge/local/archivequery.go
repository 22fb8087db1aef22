package local

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

const (
	nsMAM         = "urn:xmpp:mam:2"
	nsMAMExtended = "urn:xmpp:mam:2#extended"
	nsRSM         = "http://jabber.org/protocol/rsm"
	nsValidate    = "http://jabber.org/protocol/xdata-validate"

	// archivePage is how many messages one answer holds when the client does not say, and maxArchivePage whatever it says.
	archivePage    = 50
	maxArchivePage = 250
	// archivePageBytes bounds one answer well below what may wait for a client.
	archivePageBytes = 1 << 20
	// maxArchiveIDs is how many messages may be asked for by their ids at once.
	maxArchiveIDs = 100
)

// archiveFeatures are what disco says of an archive.
var archiveFeatures = []string{nsMAM, nsMAMExtended, nsStanzaID}

// archiveFields are what a question may filter by, and their types.
var archiveFields = []struct{ name, kind string }{{"with", "jid-single"}, {"start", "text-single"}, {"end", "text-single"},
	{"before-id", "text-single"}, {"after-id", "text-single"}, {"ids", "list-multi"}}

// archiveForm tells what a question may filter by (XEP-0313 §4.1.5).
func (c *session) archiveForm(_ context.Context, iq, _ *stream.Element) {
	if c.noArchive(iq) {
		return
	}
	form := stream.New(nsForm, "x", "type", "form").Add(stream.New(nsForm, "field", "type", "hidden", "var", "FORM_TYPE").
		Add(stream.New(nsForm, "value").AddText(nsMAM)))
	for _, f := range archiveFields {
		field := stream.New(nsForm, "field", "type", f.kind, "var", f.name)
		if f.kind == "list-multi" {
			field.Add(stream.New(nsValidate, "validate", "datatype", "xs:string").Add(stream.New(nsValidate, "open")))
		}
		form.Add(field)
	}
	c.result(iq, stream.New(nsMAM, "query").Add(form))
}

// archivePreferences answers what is archived by default (XEP-0441): everything, and the house decides that for all.
func (c *session) archivePreferences(_ context.Context, iq, _ *stream.Element) {
	if !c.noArchive(iq) {
		c.result(iq, stream.New(nsMAM, "prefs", "default", "always").Add(stream.New(nsMAM, "always"), stream.New(nsMAM, "never")))
	}
}

// archiveMetadata tells of the first and the last message (XEP-0313 §5).
func (c *session) archiveMetadata(ctx context.Context, iq, _ *stream.Element) {
	if c.noArchive(iq) {
		return
	}
	answer := stream.New(nsMAM, "metadata")
	for _, end := range []struct {
		name string
		last bool
	}{{"start", false}, {"end", true}} {
		page, err := c.archived(ctx, ArchiveQuery{Limit: 1, Last: end.last})
		if err != nil {
			c.refuse(iq, stream.InternalServerError)
			return
		}
		for _, m := range page.Messages {
			answer.Add(stream.New(nsMAM, end.name, "id", m.ID, "timestamp", m.At.UTC().Format(stampTime)))
		}
	}
	c.result(iq, answer)
}

// noArchive refuses what only an archive could answer where there is none.
func (c *session) noArchive(iq *stream.Element) bool {
	if c.server.archive > 0 {
		return false
	}
	c.refuse(iq, stream.ServiceUnavailable)
	return true
}

// archiveQuery answers with a page of the person's archive (XEP-0313 §4): a message each, and then the result.
func (c *session) archiveQuery(ctx context.Context, iq, ask *stream.Element) {
	if c.noArchive(iq) {
		return
	}
	q, err := archiveQuery(ask)
	var page ArchivePage
	if err == nil {
		page, err = c.archived(ctx, q)
	}
	var refused *stream.StanzaError
	switch {
	case err == nil:
	case errors.As(err, &refused):
		c.send(stream.ErrorReply(iq, refused))
		return
	case errors.Is(err, ErrNotArchived):
		c.refuse(iq, stream.ItemNotFound)
		return
	default:
		c.refuse(iq, stream.InternalServerError)
		return
	}
	set := stream.New(nsRSM, "set")
	if n := len(page.Messages); n > 0 {
		set.Add(stream.New(nsRSM, "first").AddText(page.Messages[0].ID), stream.New(nsRSM, "last").AddText(page.Messages[n-1].ID))
	}
	set.Add(stream.New(nsRSM, "count").AddText(strconv.Itoa(page.Count)))
	if ask.Child(nsMAM, "flip-page") != nil {
		slices.Reverse(page.Messages)
	}
	for _, m := range page.Messages {
		st, err := stream.Parse(m.Stanza)
		if err != nil {
			c.server.log.Error("cannot read an archived message", "account", c.account.name, "id", m.ID, "err", err)
			continue
		}
		c.send(stream.New(stream.NS, "message", "id", newID(), "from", c.account.bare, "to", c.full).Add(
			stream.New(nsMAM, "result", "queryid", ask.Attr("queryid"), "id", m.ID).Add(stream.New(nsForward, "forwarded").Add(
				stream.New(nsDelay, "delay", "stamp", m.At.UTC().Format(stampTime)), st))))
	}
	fin := stream.New(nsMAM, "fin")
	if page.Complete {
		fin.SetAttr("complete", "true")
	}
	c.result(iq, fin.Add(set))
}

// archived asks the store, one client at a time: the others wait rather than the rest of the gateway. What is too old and not
// forgotten yet is not there.
func (c *session) archived(ctx context.Context, q ArchiveQuery) (ArchivePage, error) {
	s := c.server
	s.reading.Lock()
	defer s.reading.Unlock()
	if oldest := time.Now().Add(-s.archive); q.Start.Before(oldest) {
		q.Start = oldest
	}
	q.Bytes = archivePageBytes
	page, err := s.store.Archived(ctx, c.account.name, q)
	if err != nil && !errors.Is(err, ErrNotArchived) {
		s.log.Error("cannot read the archive", "account", c.account.name, "err", err)
	}
	return page, err
}

// archiveQuery reads a question: its form, and which page of the answer is wanted (XEP-0059).
func archiveQuery(ask *stream.Element) (q ArchiveQuery, err error) {
	q.Limit = archivePage
	seen := map[string]bool{}
	for f := range ask.Child(nsForm, "x").Children() {
		if !f.Is(nsForm, "field") {
			continue
		}
		name, value := f.Attr("var"), strings.TrimSpace(f.ChildText(nsForm, "value"))
		if seen[name] {
			return q, stream.NewStanzaError(stream.BadRequest, name+" twice")
		}
		seen[name] = true
		switch name {
		case "FORM_TYPE":
			if value != nsMAM {
				return q, stream.NewStanzaError(stream.BadRequest, "not a form of the archive")
			}
		case "with":
			j, err := jid.Parse(value)
			if err != nil {
				return q, stream.NewStanzaError(stream.JIDMalformed, "with: not an address")
			}
			q.With = j.String()
		case "start":
			q.Start, err = archiveTime(name, value)
		case "end":
			q.End, err = archiveTime(name, value)
		case "after-id":
			q.After = append(q.After, value)
		case "before-id":
			q.Before = append(q.Before, value)
		case "ids":
			for v := range f.Children() {
				q.IDs = append(q.IDs, strings.TrimSpace(v.Content()))
			}
			if len(q.IDs) == 0 {
				err = stream.NewStanzaError(stream.BadRequest, "ids: none given")
			} else if len(q.IDs) > maxArchiveIDs {
				err = stream.NewStanzaError(stream.PolicyViolation, "ids: at most "+strconv.Itoa(maxArchiveIDs)+" at once")
			}
		default:
			err = stream.NewStanzaError(stream.FeatureNotImplemented, "no filter "+name)
		}
		if err != nil {
			return q, err
		}
	}
	return q, archivePaging(ask.Child(nsRSM, "set"), &q)
}

func archivePaging(set *stream.Element, q *ArchiveQuery) error {
	for e := range set.Children() {
		value := strings.TrimSpace(e.Content())
		switch e.Name {
		case "max":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return stream.NewStanzaError(stream.BadRequest, "max: not a number")
			}
			q.Limit = int(min(n, maxArchivePage))
		case "after":
			if value != "" {
				q.After = append(q.After, value)
			}
		case "before":
			q.Last = true
			if value != "" {
				q.Before = append(q.Before, value)
			}
		case "index":
			return stream.NewStanzaError(stream.FeatureNotImplemented, "pages are asked for by after and before")
		}
	}
	if len(q.After) > 2 || len(q.Before) > 2 { // one of the form, one of the page
		return stream.NewStanzaError(stream.BadRequest, "the same bound twice")
	}
	return nil
}

// archiveTime reads a moment (XEP-0082). One before all that could be kept is never the zero Time, which asks for nothing.
func archiveTime(name, value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		return t, stream.NewStanzaError(stream.BadRequest, name+": not a time as in 2026-09-22T15:22:33Z")
	}
	if t.Unix() < 0 {
		return time.Unix(0, 0), nil
	}
	return t, nil
}
