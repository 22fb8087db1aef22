package stream

// Manage has stanzas counted, kept and acknowledged from now on, in a: first is queued (a client's <enable/>, a server's <enabled/>
// or <resumed/>; nil for nothing), behind it once more what a holds unacknowledged of a stream that was cut, and then come those sent
// from now on. Stanzas read are counted at once; a client whose <enable/> is not answered yet calls [Acks.Begin] when it is. <r/> is
// answered and <a/> taken from now on; other elements of NSManagement are Handle's. The peer is asked for an acknowledgement behind
// whatever is written, one question at a time; a question unanswered for Options.Dead ends the stream. ErrFull and ErrClosed are
// those of Send, and nothing is done then.
//
// What is sent again may exceed Options.Queue.
func (s *Stream) Manage(a *Acks, first *Element) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return ErrClosed
	}
	was := len(s.queue)
	if first != nil {
		s.queue = first.AppendXML(s.queue)
	}
	if len(s.queue)+s.flying > s.opt.Queue {
		s.queue = s.queue[:was]
		return ErrFull
	}
	a.reconnect()
	for _, stanza := range a.Unacked() {
		s.queue = append(s.queue, stanza...)
	}
	s.acks.Store(a)
	s.accepted += uint64(len(s.queue) - was)
	s.rouse()
	return nil
}

// Unmanage ends what Manage began: the peer refused. It counts nothing more.
func (s *Stream) Unmanage() { s.acks.Store(nil) }

// manage takes a question or an answer about acknowledgements, and reports whether it was one.
func (s *Stream) manage(e *Element) (done bool, err error) {
	a := s.acks.Load()
	switch {
	case a == nil:
		return false, nil
	case e.Name == "r":
		// Without room for it the peer asks again, or takes us for dead.
		_ = s.Send(a.answer())
		return true, nil
	case e.Name == "a":
		if err := a.answered(e); err != nil {
			return true, err
		}
		s.rouse() // for what was sent since it was asked
		return true, nil
	}
	return false, nil
}

var askAck = New(NSManagement, "r").AppendXML(nil)

// request asks for an acknowledgement behind what is queued, when there is something to ask for. The lock is held.
func (s *Stream) request(again bool) {
	if a := s.acks.Load(); a != nil && !s.sealed && a.ask(again) {
		s.queue = append(s.queue, askAck...)
		s.accepted += uint64(len(askAck))
	}
}

// urge asks again for what is still unacknowledged, as a peer may have answered before it handled all; ErrDead says that it
// has owed an answer for too long. It is the writer's.
func (s *Stream) urge() error {
	a := s.acks.Load()
	if a == nil {
		return nil
	}
	if a.overdue(s.opt.Dead) {
		return ErrDead
	}
	s.mu.Lock()
	s.request(true)
	s.mu.Unlock()
	return s.flush()
}
