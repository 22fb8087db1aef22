package serial

import (
	"bytes"
	"time"
	"unicode/utf8"
)

// MaxLine is the longest line in bytes, without its end. Longer ones are skipped: a line that never ends is what a
// wrong baud rate looks like.
const MaxLine = 4096

// A grammar takes the lines of one session apart.
type grammar interface {
	// parse takes one line of valid UTF-8 apart. The fields do not hold on to the line.
	parse(line []byte) (fields, error)
	// synchronous reports whether half a line can never pass for a whole one.
	synchronous() bool
}

// lines is the decoder of protocols whose messages are lines of text. CR, LF and CRLF end a line; empty lines are
// dropped. Its memory is bounded by MaxLine.
type lines struct {
	reader  *reader
	grammar grammar

	part  []byte    // of a line whose end has not come
	begun time.Time // when the first byte of part came
	over  bool      // drop what comes up to the next end: the line is too long, or its beginning was not heard
}

func newLines(r *reader, g grammar) *lines { return &lines{reader: r, grammar: g} }

// midway drops the first line where half a line could pass for a whole one.
func (s *lines) midway() {
	if !s.grammar.synchronous() {
		s.reader.tally.Partial++
		s.over = true
	}
}

// line takes one line, whose first byte came at begun.
func (s *lines) line(line []byte, begun time.Time) {
	if !utf8.Valid(line) {
		s.reader.skipped(&s.reader.tally.Encoding, line)
		return
	}
	said, err := s.grammar.parse(line)
	if err != nil {
		s.reader.skipped(&s.reader.tally.Malformed, line)
		return
	}
	s.reader.said(said, begun)
}

// feed takes the next piece, which came at the time at.
func (s *lines) feed(piece []byte, at time.Time) {
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
func (s *lines) keep(piece []byte, at time.Time) {
	switch {
	case s.over:
	case len(s.part)+len(piece) > MaxLine:
		s.part, s.over = s.part[:0], true
		s.reader.skipped(&s.reader.tally.TooLong, nil)
	default:
		if len(s.part) == 0 {
			s.begun = at
		}
		s.part = append(s.part, piece...)
	}
}
