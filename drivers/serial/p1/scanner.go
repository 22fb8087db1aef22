package p1

import (
	"bytes"
	"errors"
	"hash/maphash"
	"strconv"
	"strings"
	"time"
)

// MaxTelegram is the longest telegram in bytes. That of a meter with four others behind it, a message of a thousand
// characters and a year of peaks has less than 5 KB.
const MaxTelegram = 8192

// Why bytes were skipped.
var (
	ErrNoise    = errors.New("not a telegram")
	ErrCut      = errors.New("a telegram without its end")
	ErrChecksum = errors.New("the checksum is wrong or missing")
	ErrSyntax   = errors.New("not the lines of a telegram")
	ErrTooLong  = errors.New("longer than any telegram")
	// ErrAlone is the first telegram without a checksum of its shape.
	ErrAlone = errors.New("no checksum, and not as those before")
)

// noiseUnit is how many bytes outside of telegrams are told of at once.
const noiseUnit = 1024

// A Scanner finds telegrams in the bytes of a port, in whatever pieces they come. What is not whole never makes one.
// Where there is a checksum, that says it. Without (DSMR 2 and 3) a telegram counts when one before it had the same
// shape, character by character but for the digits: what has lost a byte has not.
type Scanner struct {
	Found   func(t *Telegram, begun time.Time) // a telegram, whose first byte came at begun
	Skipped func(why error, raw []byte)        // what was none; raw, where there is something to show, is valid until it returns

	state state
	text  []byte // from "/" on
	begun time.Time
	sum   []byte // what came after "!"
	noise int    // bytes since the last telegram

	sums       bool   // this meter sends checksums
	shape      uint64 // that the telegrams without one have
	shapeOfOne uint64 // of the last that had another
}

type state uint8

const (
	outside  state = iota // no "/" so far
	inside                // from "/" up to "!"
	checksum              // behind "!"
	overlong              // within something too long, up to the next "/"
)

// Feed takes the next piece, which came at the time at.
func (s *Scanner) Feed(piece []byte, at time.Time) {
	for len(piece) > 0 {
		switch s.state {
		case outside, overlong:
			begin := bytes.IndexByte(piece, '/')
			if begin < 0 {
				s.hiss(piece)
				return
			}
			s.hiss(piece[:begin])
			s.begin(at)
			piece = piece[begin+1:]
		case inside:
			// Neither character can be within a value or a code (IEC 62056-21).
			end := bytes.IndexAny(piece, "/!")
			if end < 0 {
				end = len(piece)
			}
			if len(s.text)+end+1 > MaxTelegram {
				s.skip(ErrTooLong)
				s.state = overlong
				continue
			}
			s.text = append(s.text, piece[:end]...)
			if piece = piece[end:]; len(piece) == 0 {
				return
			}
			if piece[0] == '/' {
				s.skip(ErrCut)
				continue
			}
			s.text, s.state = append(s.text, '!'), checksum
			piece = piece[1:]
		case checksum:
			switch c := piece[0]; {
			case isHex(c):
				if s.sum = append(s.sum, c); len(s.sum) == 4 {
					s.summed()
				}
				piece = piece[1:]
			case (c == '\r' || c == '\n') && len(s.sum) == 0:
				s.unsummed()
			case c == '/':
				s.skip(ErrCut)
			default:
				s.skip(ErrChecksum)
			}
		}
	}
}

// begin begins a telegram with its "/".
func (s *Scanner) begin(at time.Time) {
	s.state, s.begun, s.noise = inside, at, 0
	s.text, s.sum = append(s.text[:0], '/'), s.sum[:0]
}

// hiss takes what is outside of telegrams.
func (s *Scanner) hiss(noise []byte) {
	for len(noise) > 0 && s.state != overlong {
		if c := noise[0]; s.noise == 0 && (c == '\r' || c == '\n') {
			noise = noise[1:] // the end of the last telegram's line
			continue
		}
		if s.noise%noiseUnit == 0 {
			s.Skipped(ErrNoise, nil)
		}
		n := min(noiseUnit-s.noise%noiseUnit, len(noise))
		s.noise, noise = s.noise+n, noise[n:]
	}
}

func (s *Scanner) skip(why error) {
	s.state = outside
	s.Skipped(why, s.text)
}

// summed takes the telegram that has a checksum.
func (s *Scanner) summed() {
	want, _ := strconv.ParseUint(string(s.sum), 16, 16)
	if crc16(s.text) != uint16(want) {
		s.skip(ErrChecksum)
		return
	}
	s.sums = true
	s.found(false)
}

// unsummed takes the telegram that has none.
func (s *Scanner) unsummed() {
	shape := shapeOf(s.text)
	switch {
	case s.sums || bytes.Contains(s.text, []byte("\n1-3:0.2.8(")) || bytes.Contains(s.text, []byte("\n0-0:96.1.4(")):
		s.skip(ErrChecksum) // a meter that tells the version of its telegrams has one in them
	case shape != s.shape && shape != s.shapeOfOne:
		s.shapeOfOne = shape
		s.skip(ErrAlone)
	default:
		s.shape = shape
		s.found(true)
	}
}

func (s *Scanner) found(strict bool) {
	t := parse(string(s.text), strict)
	if t == nil {
		s.skip(ErrSyntax)
		return
	}
	s.state = outside
	s.Found(t, s.begun)
}

var seed = maphash.MakeSeed()

// shapeOf is the same for texts that differ in digits only.
func shapeOf(text []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, c := range text {
		if c >= '0' && c <= '9' {
			c = '0'
		}
		h.WriteByte(c)
	}
	return h.Sum64()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f'
}

// crc16 is CRC-16/ARC: the polynomial x¹⁶+x¹⁵+x²+1, least significant bit first, from 0.
func crc16(data []byte) uint16 {
	var crc uint16
	for _, c := range data {
		crc = crc>>8 ^ crcTable[byte(crc)^c]
	}
	return crc
}

var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xA001
			} else {
				crc >>= 1
			}
		}
		table[i] = crc
	}
	return table
}()

// parse reads a telegram from "/" to "!"; nil when it is none. Where a checksum says that it is what the meter sent, a
// line that is not understood is left out; strict refuses the telegram.
func parse(text string, strict bool) *Telegram {
	head, rest, ok := strings.Cut(strings.TrimSuffix(text, "!"), "\n")
	if !ok {
		return nil
	}
	t := &Telegram{Ident: strings.TrimSpace(head[1:]), lines: make([]line, 0, 1+strings.Count(rest, "\n"))}
	for rest != "" {
		var text string
		text, rest, _ = strings.Cut(rest, "\n")
		text = strings.Trim(text, "\r ")
		code, groups, _ := strings.Cut(text, "(")
		switch {
		case text == "":
		case !isGroups(text[len(code):]) || !isCode(code):
			if strict {
				return nil
			}
		case code == "": // DSMR 2: the value of a gas meter stands on a line of its own
			if len(t.lines) == 0 {
				if strict {
					return nil
				}
				continue
			}
			t.lines[len(t.lines)-1].groups += "(" + groups
		default:
			t.lines = append(t.lines, line{code: plainCode(code), groups: "(" + groups})
		}
	}
	for i := range t.lines {
		t.lines[i].unfold()
	}
	if len(t.lines) == 0 {
		return nil
	}
	return t
}

// isCode reports whether s can be a code, or is none at all.
func isCode(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte(".:-*&", c) >= 0 {
			continue
		}
		return false
	}
	return true
}

// isGroups reports whether s is values in brackets, at least one.
func isGroups(s string) bool {
	for {
		if s == "" || s[0] != '(' {
			return false
		}
		end := strings.IndexAny(s[1:], "()")
		if end < 0 || s[1+end] != ')' {
			return false
		}
		if s = s[end+2:]; s == "" {
			return true
		}
	}
}
