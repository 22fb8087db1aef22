package template

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// testCase is a template with a payload and what comes of it: > and the output, ? for the use of what is not defined, !
// for another error.
type testCase struct {
	file         string
	line         int // of the payload
	source, text string
	want         string
}

var caseFiles = []string{"testdata/cases.txt", "testdata/emitters.txt"}

// readCases reads a file of cases; the answers are missing in one that was not written yet.
func readCases(t *testing.T, file string) []testCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []testCase
	var source []string
	fresh := true
	for i, line := range strings.Split(string(data), "\n") {
		mark, rest := line, ""
		if len(line) > 1 {
			mark, rest = line[:1], line[2:]
		}
		switch mark {
		case "", "#":
		case "T":
			if !fresh {
				source, fresh = nil, true
			}
			source = append(source, rest)
		case "<":
			fresh = false
			cases = append(cases, testCase{file: file, line: i + 1, source: strings.Join(source, "\n"), text: rest})
		case ">", "?", "!":
			cases[len(cases)-1].want = strings.TrimSpace(mark + " " + rest)
		default:
			t.Fatalf("%s:%d: %q", file, i+1, line)
		}
	}
	return cases
}

// noon is the time in all cases.
var noon = time.Date(2026, 3, 1, 12, 30, 45, 123456000, time.FixedZone("CET", 3600))

// answer is what comes of a case, as the files have it, and the error if there was one.
func (c testCase) answer() (string, error) {
	tmpl, err := Parse(c.source)
	if err != nil {
		return "!", err
	}
	out, err := tmpl.Execute(&Payload{Text: c.text, Time: noon})
	switch {
	case errors.Is(err, ErrUndefined):
		return "?", err
	case err != nil:
		return "!", err
	}
	return written(out.Text), nil
}

// written is an output as the files have it.
func written(output string) string {
	return strings.TrimSpace("> " + strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(output))
}

func (c testCase) String() string {
	return fmt.Sprintf("%s:%d: %s of %s", c.file, c.line, c.source, c.text)
}

// TestCases needs no Python: the answers are in the files, which TestOracle holds against it.
func TestCases(t *testing.T) {
	t.Parallel()
	n := 0
	for _, file := range caseFiles {
		for _, c := range readCases(t, file) {
			n++
			if got, err := c.answer(); got != c.want {
				t.Errorf("%v\n got %s %v\nwant %s", c, got, err, c.want)
			}
		}
	}
	if n < 400 {
		t.Errorf("%d cases", n)
	}
}
