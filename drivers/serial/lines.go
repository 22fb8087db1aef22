package serial

import (
	"bytes"
	"time"
)

// MaxLine is the longest line in bytes, without its end. Longer ones are skipped: a line that never ends is what a
// wrong baud rate looks like.
const MaxLine = 4096

// A splitter makes lines of what a port delivers, in whatever pieces. CR, LF and CRLF end a line; empty lines are
// dropped. Its memory is bounded by MaxLine.
type splitter struct {
	part  []byte    // of a line whose end has not come
	begun time.Time // when the first byte of part came
	over  bool      // the line is too long: drop the rest of it

	line    func(line []byte, begun time.Time) // a line; the slice is valid until it returns
	tooLong func()                             // a line over MaxLine, once
}

// feed takes the next piece, which came at the time at.
func (s *splitter) feed(piece []byte, at time.Time) {
	for len(piece) > 0 {
		end := bytes.IndexAny(piece, "\r\n")
		if end < 0 {
			s.keep(piece, at)
			return
		}
		switch {
		case s.over:
			s.over = false
		case len(s.part) == 0 && end <= MaxLine:
			if end > 0 {
				s.line(piece[:end], at)
			}
		default:
			if s.keep(piece[:end], at); !s.over {
				s.line(s.part, s.begun)
			}
			s.part, s.over = s.part[:0], false
		}
		piece = piece[end+1:]
	}
}

// keep adds to the line whose end has not come.
func (s *splitter) keep(piece []byte, at time.Time) {
	switch {
	case s.over:
	case len(s.part)+len(piece) > MaxLine:
		s.part, s.over = s.part[:0], true
		s.tooLong()
	default:
		if len(s.part) == 0 {
			s.begun = at
		}
		s.part = append(s.part, piece...)
	}
}
