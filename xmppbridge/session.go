package xmppbridge

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

// The bounds of command sessions: five minutes to fill in a form, a few under way for one client, some hundreds in all.
const (
	sessionLife       = 5 * time.Minute
	maxSessionsPerJID = 10
	maxSessions       = 500
)

// A session is one command being filled in. It belongs to the full JID that began it. Only one request of it is worked
// on at a time: sessions.take hands it out and put gives it back.
type session struct {
	id      string
	node    string // as it was called
	to      string // likewise, normalised: a session goes on where it began
	cmd     *command
	steps   []step
	at      int
	call    *call
	expires time.Time
}

type sessions struct {
	mu   sync.Mutex
	live map[string]*session
	// expired remembers ids for as long again, to tell "too late" from "never was".
	expired map[string]time.Time
}

func newSessions() *sessions {
	return &sessions{live: map[string]*session{}, expired: map[string]time.Time{}}
}

// begin makes a session, unless there are too many.
func (s *sessions) begin(session *session, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := 0
	for _, other := range s.live {
		if other.call.full == session.call.full {
			mine++
		}
	}
	if mine >= maxSessionsPerJID || len(s.live) >= maxSessions {
		return false
	}
	session.id, session.expires = rand.Text(), now.Add(sessionLife)
	s.live[session.id] = session
	return true
}

// take hands out a session for one request and removes it until put.
func (s *sessions) take(id, full, to, node string, now time.Time) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.live[id]
	if _, was := s.expired[id]; was || found != nil && now.After(found.expires) {
		return nil, commandError(stream.NotAllowed, "session-expired", "this took more than five minutes: begin again")
	}
	if found == nil || found.call.full != full || found.to != to || found.node != node {
		return nil, commandError(stream.BadRequest, "bad-sessionid", "")
	}
	delete(s.live, id)
	return found, nil
}

func (s *sessions) put(session *session, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session.expires = now.Add(sessionLife)
	s.live[session.id] = session
}

// endIf drops the sessions of someone who went away, or may no longer do this.
func (s *sessions) endIf(ended func(*session) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, session := range s.live {
		if ended(session) {
			delete(s.live, id)
		}
	}
}

func (s *sessions) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, session := range s.live {
		if now.After(session.expires) {
			delete(s.live, id)
			s.expired[id] = now
		}
	}
	for id, at := range s.expired {
		if now.Sub(at) > 2*sessionLife {
			delete(s.expired, id)
		}
	}
}

// answerCommand is XEP-0050's request: it begins a command, or goes on with one.
func answerCommand(b *Bridge, r *request) (*stream.Element, error) {
	action := r.query.Attr("action")
	if !slices.Contains([]string{"", "execute", "next", "prev", "complete", "cancel"}, action) {
		return nil, commandError(stream.BadRequest, "malformed-action", "there is no action "+action)
	}
	node, now := r.query.Attr("node"), time.Now()
	s := (*session)(nil)
	var err error
	if id := r.query.Attr("sessionid"); id != "" {
		if s, err = b.sessions.take(id, r.full, address(r.to), node, now); err != nil {
			return nil, err
		}
	} else if s, err = b.newSession(r, node); err != nil {
		return nil, err
	} else if action != "" && action != "execute" {
		return nil, commandError(stream.BadRequest, "bad-action", "a command begins with execute")
	}
	answer, err := b.advance(r, s, action)
	if err != nil && !errors.Is(err, errLater) && s.id != "" {
		b.sessions.put(s, now) // the person may correct the form, or send it again
	}
	return answer, err
}

// address is a JID in the one way it is written.
func address(to string) string {
	j, err := jid.Parse(to)
	if err != nil {
		return to
	}
	return j.String()
}

// last reports whether the page a session is at is the last one that it is known to have.
func (s *session) last() bool { return s.at == len(s.steps)-1 && !s.steps[s.at].more }

// over reports whether every page is filled in: what was handed to a worker is not taken back.
func (s *session) over() bool { return s.at >= len(s.steps) }

func (b *Bridge) newSession(r *request, node string) (*session, error) {
	cmd, err := b.command(r, node)
	if err != nil {
		return nil, err
	}
	s := &session{node: node, to: address(r.to), cmd: cmd, call: &call{asker: r.asker, chosen: map[string]string{}}}
	if cmd.steps != nil {
		s.steps = cmd.steps(b, r.asker)
	}
	return s, nil
}

// advance carries out one action of a session.
func (b *Bridge) advance(r *request, s *session, action string) (*stream.Element, error) {
	begun := s.id != ""
	last := s.last()
	switch {
	case !begun:
		// Execute shows the first page, or does what asks nothing.
	case action == "cancel":
		return stream.New(nsCommands, "command", "node", s.node, "sessionid", s.id, "status", "canceled"), nil
	case action == "prev" && s.at > 0:
		s.at--
		return b.page(r, s)
	case action == "prev", action == "next" && last, action == "complete" && !last:
		return nil, commandError(stream.BadRequest, "bad-action", "that is not among the actions offered")
	default:
		page := *s
		if err := b.accept(r, s); err != nil {
			return nil, err
		}
		if s.over() {
			err := b.finish(r, s)
			if !errors.Is(err, errLater) {
				*s = page // not begun: it may be sent again
			}
			return nil, err
		}
	}
	if !s.over() {
		return b.page(r, s)
	}
	return nil, b.finish(r, s)
}

// accept takes the page that was filled in, and goes on to the next one or to the command that takes over.
func (b *Bridge) accept(r *request, s *session) error {
	step := s.steps[s.at]
	if step.accept != nil {
		values, ok := submitted(r.query.Child(nsForm, "x"))
		if !ok {
			return badPayload("a submitted form (XEP-0004) is wanted here")
		}
		if err := step.accept(s.call, values); err != nil {
			return err
		}
	}
	if step.then == nil {
		s.at++
		return nil
	}
	cmd, err := step.then(b, s.call)
	if err != nil {
		return err
	}
	s.cmd, s.steps, s.at = cmd, nil, 0
	if cmd.steps != nil {
		s.steps = cmd.steps(b, s.call.asker)
	}
	return nil
}

// page shows the page a session is at.
func (b *Bridge) page(r *request, s *session) (*stream.Element, error) {
	now := time.Now()
	if s.id != "" {
		b.sessions.put(s, now)
	} else if !b.sessions.begin(s, now) {
		return nil, stream.NewStanzaError(stream.ResourceConstraint, "too many commands are open: finish or cancel one")
	}
	execute := "next"
	if s.last() {
		execute = "complete"
	}
	actions := stream.New(nsCommands, "actions", "execute", execute)
	if s.at > 0 {
		actions.Add(stream.New(nsCommands, "prev"))
	}
	actions.Add(stream.New(nsCommands, execute))
	return stream.New(nsCommands, "command", "node", s.node, "sessionid", s.id, "status", "executing").
		Add(actions, s.steps[s.at].show(b, s.call)), nil
}

// finish hands a filled-in command to a worker, which answers. What acts is refused when it may be old, and done once.
func (b *Bridge) finish(r *request, s *session) error {
	if s.cmd.acts {
		if err := b.refuseOld(r.iq, r.fresh); err != nil {
			return err
		}
		if !b.replay.first(r.full, r.iq, time.Now()) {
			return stream.NewStanzaError(stream.Conflict, "this very command was carried out already")
		}
	}
	call := *s.call // the session may go on without this run
	failed := func() { b.send(stream.ErrorReply(r.iq, stream.NewStanzaError(stream.InternalServerError, ""))) }
	queued := b.work.do(jobKey{r.full, s.cmd.device}, job{failed: failed, do: func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, executeTimeout)
		defer cancel()
		done, err := s.cmd.do(ctx, b, &call)
		if err != nil {
			b.send(stream.ErrorReply(r.iq, stanzaError(err)))
			return
		}
		if done.more == nil {
			b.send(stream.Result(r.iq, completed(s, done)))
			return
		}
		answer, err := b.goOn(r, s, done)
		b.reply(r.iq, answer, err)
	}})
	if !queued {
		b.replay.undo(r.full, r.iq)
		return stanzaError(devices.ErrBusy)
	}
	return errLater
}

// goOn shows an outcome that is not all as a page of its session, which belongs to what comes next.
func (b *Bridge) goOn(r *request, s *session, done *outcome) (*stream.Element, error) {
	s.cmd, s.at = done.more, 0
	s.steps = []step{{more: true, show: func(*Bridge, *call) *stream.Element { return done.table.element() }}}
	answer, err := b.page(r, s)
	if err == nil && done.note != "" {
		answer.Add(stream.New(nsCommands, "note", "type", done.level).AddText(done.note))
	}
	return answer, err
}

// completed is the last word of a command.
func completed(s *session, done *outcome) *stream.Element {
	id := s.id
	if id == "" {
		id = rand.Text()
	}
	answer := stream.New(nsCommands, "command", "node", s.node, "sessionid", id, "status", "completed")
	if done.note != "" {
		answer.Add(stream.New(nsCommands, "note", "type", done.level).AddText(done.note))
	}
	if done.table != nil {
		answer.Add(done.table.element())
	}
	return answer.Add(done.form)
}
