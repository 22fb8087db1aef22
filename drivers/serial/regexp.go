package serial

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"tidings/devices"
	"tidings/devices/schema"
)

// patternLines is the protocol "regexp": lines that a regular expression (RE2) describes as a whole. A source is the name
// of a group in it; a group that had no part in a line is not in that line.
type patternLines struct {
	pattern *regexp.Regexp
	groups  []string // by their number; "" where one has no name
}

var errNoMatch = errors.New("not as the pattern says")

// newPattern reads the protocol's key.
func newPattern(t *schema.Table) (protocol, bool) {
	text := t.String("pattern")
	if text == "" {
		t.Errorf("pattern", `pattern is missing: what a line looks like, as 'T=(?P<t>[\d.]+) H=(?P<h>\d+)'`)
		return nil, false
	}
	if _, err := regexp.Compile(text); err != nil {
		t.Errorf("pattern", "pattern: %v", err)
		return nil, false
	}
	// The whole line: a part of one would pass for a reading where the line was cut.
	pattern, err := regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		t.Errorf("pattern", "pattern: %v", err)
		return nil, false
	}
	p := &patternLines{pattern: pattern, groups: pattern.SubexpNames()}
	if !slices.ContainsFunc(p.groups, func(name string) bool { return name != "" }) {
		t.Errorf("pattern", `pattern: no group has a name: it is written (?P<name>...)`)
		return nil, false
	}
	return p, true
}

func (p *patternLines) source(name string, kind devices.PointKind) (devices.Point, error) {
	if name == "" || !slices.Contains(p.groups, name) {
		named := slices.DeleteFunc(slices.Clone(p.groups), func(name string) bool { return name == "" })
		return devices.Point{}, fmt.Errorf("%s", noneOf(name, named))
	}
	return devices.Point{Kind: kind}, nil
}

func (p *patternLines) words() words { return words{"lines", "baud, protocol and pattern"} }

func (p *patternLines) decoder(r *reader) decoder { return newLines(r, p) }

// synchronous: it is not known what the pattern takes.
func (*patternLines) synchronous() bool { return false }

// text is the text itself: it is the template that knows what the board takes.
func (*patternLines) text(s string) (string, error) {
	if hasControl(s) {
		return "", fmt.Errorf("%q has a control character in it", s)
	}
	return s, nil
}

func (p *patternLines) parse(text []byte) (fields, error) {
	line := string(text)
	at := p.pattern.FindStringSubmatchIndex(line)
	if at == nil {
		return nil, errNoMatch
	}
	return match{p.groups, line, at}, nil
}

// match is a line with where its groups are.
type match struct {
	groups []string
	line   string
	at     []int
}

func (m match) find(source string) (field, bool) {
	i := slices.Index(m.groups, source)
	if i < 0 || m.at[2*i] < 0 {
		return field{}, false
	}
	return field{kind: bare, text: m.line[m.at[2*i]:m.at[2*i+1]]}, true
}
