package local

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// mechanisms are the names offered, the better first.
func (l *login) mechanisms() []string {
	var plus []string
	if len(l.bindings) > 0 {
		plus = []string{sha256Hash.name + "-PLUS", sha1Hash.name + "-PLUS"}
	}
	return append(plus, sha256Hash.name, sha1Hash.name)
}

// authenticate is SASL. A client may try several times on one stream.
func (l *login) authenticate(ctx context.Context) error {
	list := stream.New(nsSASL, "mechanisms")
	for _, m := range l.mechanisms() {
		list.Add(stream.New(nsSASL, "mechanism").AddText(m))
	}
	types := stream.New(nsBinding, "sasl-channel-binding")
	for _, name := range l.announced {
		types.Add(stream.New(nsBinding, "channel-binding", "type", name))
	}
	if types.First() == nil {
		types = nil
	}
	if err := l.open(append(l.registerFeatures(), list, types)...); err != nil {
		return err
	}
	for {
		e, err := l.next()
		if err != nil {
			return err
		}
		if !e.Is(nsSASL, "auth") {
			if answered, err := l.register(ctx, e); err != nil {
				return err
			} else if !answered {
				return notYet(e)
			}
			continue
		}
		account, final, err := l.attempt(ctx, e)
		switch condition := saslCondition(err); {
		case err == nil:
			l.account = account
			return l.send(stream.New(nsSASL, "success").AddText(base64.StdEncoding.EncodeToString([]byte(final))))
		case condition == "":
			return err
		default:
			l.server.log.Info("login refused", "address", l.wire.RemoteAddr().String(), "reason", condition)
			if err := l.send(saslFailure(condition)); err != nil {
				return err
			}
			if errors.Is(err, errNotAuthorized) {
				l.server.gate.failed(l.from, time.Now())
			}
			if l.failed++; l.failed >= l.server.limits.Attempts {
				return &stream.Error{Condition: stream.PolicyViolation, Text: "too many failed logins"}
			}
		}
	}
}

// saslCondition is what a failed attempt answers, "" when the stream is over instead.
func saslCondition(err error) string {
	var condition saslError
	if errors.As(err, &condition) {
		return string(condition)
	}
	return ""
}

func saslFailure(condition string) *stream.Element {
	return stream.New(nsSASL, "failure").Add(stream.New(nsSASL, condition))
}

// attempt is one SASL exchange. It returns the account and the server's last message.
func (l *login) attempt(ctx context.Context, auth *stream.Element) (account, final string, err error) {
	s := l.server
	mechanism := auth.Attr("mechanism")
	if !slices.Contains(l.mechanisms(), mechanism) {
		return "", "", errMechanism
	}
	if err := l.wait(ctx); err != nil {
		return "", "", err
	}
	name, plus := strings.CutSuffix(mechanism, "-PLUS")
	ex := &exchange{
		hash: sha256Hash, plus: plus,
		bindings: l.bindings,
		authzid: func(user, authzid string) bool {
			id, err := jid.Parse(authzid)
			return err == nil && id.Domainpart() == s.domain && id.Resourcepart() == "" && id.Localpart() == s.localpart(user)
		},
	}
	if name == sha1Hash.name {
		ex.hash = sha1Hash
	}
	ex.lookup = func(user string) (string, Verifier, error) { return s.verifier(ctx, ex.hash, user) }

	message, err := saslData(auth)
	if err != nil {
		return "", "", err
	}
	if message == "" { // no initial response: ask for it
		if message, err = l.challenge(""); err != nil {
			return "", "", err
		}
	}
	first, err := ex.step1(message)
	if err != nil {
		return "", "", err
	}
	if message, err = l.challenge(first); err != nil {
		return "", "", err
	}
	final, err = ex.step2(message)
	return ex.account, final, err
}

// wait holds an attempt back after failed ones from the same address.
func (l *login) wait(ctx context.Context) error {
	d, ok := l.server.gate.delay(l.from, time.Now())
	switch {
	case !ok:
		return errTemporary
	case d == 0:
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// challenge sends a message of the server and returns the client's answer.
func (l *login) challenge(message string) (string, error) {
	c := stream.New(nsSASL, "challenge").AddText(base64.StdEncoding.EncodeToString([]byte(message)))
	if err := l.send(c); err != nil {
		return "", err
	}
	e, err := l.next()
	switch {
	case err != nil:
		return "", err
	case e.Is(nsSASL, "response"):
		return saslData(e)
	case e.Is(nsSASL, "abort"):
		return "", errAborted
	case e.Is(nsSASL, "auth"):
		return "", errMalformed // RFC 6120 §6.4.3: one exchange at a time
	default:
		return "", notYet(e)
	}
}

// saslData decodes a message of the client; "=" stands for an empty one (RFC 6120 §6.4.2).
func saslData(e *stream.Element) (string, error) {
	text := strings.TrimSpace(e.Content())
	if text == "=" {
		return "", nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || e.First() != nil {
		return "", errEncoding
	}
	return string(b), nil
}

// localpart normalises a name as a JID's localpart, "" when it cannot be one.
func (s *Server) localpart(name string) string {
	j, err := jid.New(name, s.domain, "")
	if err != nil {
		return ""
	}
	return j.Localpart()
}

// verifier finds what proves an account's password. What is no account gets a decoy, so that strangers cannot tell; the store
// is asked either way, so that they cannot tell by the time it takes.
func (s *Server) verifier(ctx context.Context, h scramHash, user string) (account string, v Verifier, err error) {
	account = s.localpart(user)
	name := cmp.Or(account, user)
	kept, err := s.store.Credentials(ctx, name)
	if err != nil && !errors.Is(err, ErrNoAccount) {
		s.log.Error("cannot read credentials", "account", name, "err", err)
		return "", Verifier{}, errTemporary
	}
	v = h.verify(kept)
	if err != nil || len(v.StoredKey) != h.size || account == "" || !s.backend.Account(account) {
		return "", h.decoy(s.decoys, name), nil
	}
	return account, v, nil
}
