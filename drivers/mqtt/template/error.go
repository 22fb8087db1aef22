package template

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrUndefined is in an error that came of a variable or attribute that there is not: the message did not have it.
var ErrUndefined = errors.New("undefined")

// ErrLimit is in an error of a template that would work too long or make too much.
var ErrLimit = errors.New("limit")

// An Error says in one line what is wrong with a template, and where.
type Error struct {
	Line, Column int // from 1, in characters; zero where there is no place
	Text         string
	cause        error
	offset       int
	placed       bool
}

func (e *Error) Error() string {
	switch {
	case e.Column == 0:
		return "template: " + e.Text
	case e.Line > 1:
		return fmt.Sprintf("template: line %d, column %d: %s", e.Line, e.Column, e.Text)
	}
	return fmt.Sprintf("template: column %d: %s", e.Column, e.Text)
}

func (e *Error) Unwrap() error { return e.cause }

func failf(format string, args ...any) error {
	return &Error{Text: oneLine(fmt.Sprintf(format, args...))}
}

// oneLine puts spaces for control characters.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
}

func failAt(offset int, format string, args ...any) error {
	return &Error{Text: oneLine(fmt.Sprintf(format, args...)), offset: offset, placed: true}
}

// at places an error that has no place yet.
func at(offset int, err error) error {
	if e, ok := err.(*Error); ok && !e.placed {
		e.offset, e.placed = offset, true
	}
	return err
}

// locate makes an offset into the source line and column.
func locate(err error, source string) error {
	e, ok := err.(*Error)
	if !ok || !e.placed {
		return err
	}
	before := source[:min(e.offset, len(source))]
	e.Line = 1 + strings.Count(before, "\n")
	e.Column = 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return e
}

// undefinedError is what using v says, which is undefined.
func undefinedError(v Value) error {
	what := v.str
	if what == "" {
		what = "a variable"
	}
	return &Error{Text: oneLine(what) + " is undefined", cause: ErrUndefined}
}
