package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxPassword bounds what is read of one, so that a wrong file does not fill the memory.
const maxPassword = 4 << 10

var errNoPassword = errors.New("there is no password on standard input: give it there, one line, or call this on a terminal")

// readPassword asks twice on a terminal and takes one line from anything else.
func readPassword(in io.Reader, prompt io.Writer) (string, error) {
	if file, ok := in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return askPassword(file, prompt)
	}
	line, err := bufio.NewReader(io.LimitReader(in, maxPassword)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("password: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errNoPassword
	}
	return line, nil
}

// askPassword reads from the terminal in raw mode, where Ctrl-C is a key like any other: however it ends, the terminal
// is left as it was.
func askPassword(file *os.File, prompt io.Writer) (password string, err error) {
	before, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(int(file.Fd()), before)) }()
	screen := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{file, prompt}, "")
	ask := func(text string) (string, error) {
		line, err := screen.ReadPassword(text)
		if errors.Is(err, io.EOF) {
			return "", errors.New("no password given")
		}
		return line, err
	}
	first, err := ask("Password: ")
	switch {
	case err != nil:
		return "", err
	case first == "":
		return "", errors.New("no password given")
	}
	second, err := ask("Again: ")
	switch {
	case err != nil:
		return "", err
	case first != second:
		return "", errors.New("the two passwords differ: nothing was changed")
	}
	return first, nil
}
