package local

import (
	"context"
	"errors"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

const (
	nsRegister = "jabber:iq:register"
	nsPreauth  = "urn:xmpp:pars:0"
	// maxToken bounds a token, maxPassword a password, in bytes.
	maxToken    = 128
	maxPassword = 512
)

// What an Invites answers when it makes no account. Any other error is told as a fault of the server.
var (
	ErrNoInvitation = errors.New("there is no such invitation: it was used, it ran out, or there never was one")
	ErrTaken        = errors.New("this name is taken")
	ErrUnfit        = errors.New("this cannot be a name or a password")
)

// Invites are the invitations that make accounts (XEP-0445). Its methods are called from the connections' goroutines,
// concurrently.
type Invites interface {
	// Open reports whether there is an invitation that can be used. It answers from memory.
	Open() bool
	// Invitation finds the one of a token, from memory, and the name it is for, "" for any.
	Invitation(token string) (name string, ok bool)
	// Accept uses an invitation up and makes the account, both or neither. The name is a normalised localpart.
	Accept(ctx context.Context, token, name, password string) error
}

// registration is what a connection that is not logged in has shown of an invitation.
type registration struct {
	token string
	name  string // the one it is for, "" for any
}

// registerFeatures tell that one may register: as XEP-0077, XEP-0445 and the latter's first drafts have it. Without an open
// invitation nothing is told.
func (l *login) registerFeatures() []*stream.Element {
	if i := l.server.invites; i == nil || !i.Open() {
		return nil
	}
	return []*stream.Element{
		stream.New("http://jabber.org/features/iq-register", "register"),
		stream.New("urn:xmpp:ibr-token:0", "register"),
		stream.New("urn:xmpp:invite", "register"),
	}
}

// register answers what somebody sends who has no account yet, and reports whether it was any of that. It is asked on a stream
// that nobody can listen to. Whoever knows no token learns nothing from the answers: neither whether there are invitations
// nor which names are taken.
func (l *login) register(ctx context.Context, e *stream.Element) (bool, error) {
	if l.server.invites == nil || !stream.IsRequest(e) || !onlyChild(e) || e.Attr("id") == "" {
		return false, nil
	}
	if to, err := jid.Parse(e.Attr("to")); e.Attr("to") != "" && (err != nil || to.String() != l.server.domain) {
		return false, nil
	}
	payload := e.First()
	set := e.Attr("type") == "set"
	var answer *stream.Element
	var err error
	switch {
	case set && payload.Is(nsPreauth, "preauth"):
		err = l.preauth(ctx, payload.Attr("token"))
	case payload.Is(nsRegister, "query") && l.invited == nil:
		err = stream.NewStanzaError(stream.NotAllowed, "an account is made with an invitation")
	case payload.Is(nsRegister, "query") && !set:
		answer = stream.New(nsRegister, "query").Add(
			stream.New(nsRegister, "instructions").AddText("Choose a name and a password."),
			stream.New(nsRegister, "username").AddText(l.invited.name), stream.New(nsRegister, "password"))
	case payload.Is(nsRegister, "query"):
		err = l.signUp(ctx, payload)
	default:
		return false, nil
	}
	var refused *stream.StanzaError
	switch {
	case err == nil:
		return true, l.send(stream.Result(e, answer))
	case errors.As(err, &refused):
		return true, l.send(stream.ErrorReply(e, refused))
	}
	return true, err
}

// preauth takes a token. A wrong one counts as a failed login: the next waits.
func (l *login) preauth(ctx context.Context, token string) error {
	switch err := l.wait(ctx); {
	case errors.Is(err, errTemporary):
		return stream.NewStanzaError(stream.ResourceConstraint, "too many attempts: try again in a moment")
	case err != nil:
		return err
	}
	name, ok := "", false
	if len(token) <= maxToken {
		name, ok = l.server.invites.Invitation(token)
	}
	if !ok {
		return l.wrongToken()
	}
	l.invited = &registration{token: token, name: name}
	return nil
}

func (l *login) wrongToken() error {
	l.invited = nil
	l.server.log.Info("invitation refused", "address", l.wire.RemoteAddr().String())
	l.server.gate.failed(l.from, time.Now())
	if l.failed++; l.failed >= l.server.limits.Attempts {
		return &stream.Error{Condition: stream.PolicyViolation, Text: "too many wrong invitations"}
	}
	return stream.NewStanzaError(stream.ItemNotFound, ErrNoInvitation.Error())
}

// signUp makes the account (XEP-0077 §3.1.1).
func (l *login) signUp(ctx context.Context, query *stream.Element) error {
	s := l.server
	name, password := s.localpart(query.ChildText(nsRegister, "username")), query.ChildText(nsRegister, "password")
	switch {
	case query.Child(nsRegister, "remove") != nil:
		return stream.NewStanzaError(stream.NotAllowed, "log in first")
	case name == "" || password == "" || len(password) > maxPassword:
		return stream.NewStanzaError(stream.NotAcceptable, ErrUnfit.Error())
	case l.invited.name != "" && name != l.invited.name:
		return stream.NewStanzaError(stream.NotAcceptable, "this invitation is for "+l.invited.name)
	}
	err := s.invites.Accept(ctx, l.invited.token, name, password)
	switch {
	case err == nil:
		s.log.Info("account made with an invitation", "account", name, "address", l.wire.RemoteAddr().String())
		l.invited = nil
		return nil
	case errors.Is(err, ErrNoInvitation): // somebody was faster
		return l.wrongToken()
	case errors.Is(err, ErrTaken):
		return stream.NewStanzaError(stream.Conflict, ErrTaken.Error())
	case errors.Is(err, ErrUnfit):
		return stream.NewStanzaError(stream.NotAcceptable, ErrUnfit.Error())
	case ctx.Err() != nil:
		return ctx.Err()
	}
	s.log.Error("account not made", "account", name, "err", err)
	return stream.NewStanzaError(stream.InternalServerError, "")
}
