package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Kind says which TOML values a key takes.
type Kind uint8

// The kinds of a key.
const (
	String   Kind = iota // a string
	Int                  // a whole number
	Float                // any number
	Bool                 // true or false
	Duration             // a string such as "500ms", "2m", "1h30m" or "30d"
	Size                 // bytes: a whole number, or a string such as "256KB" or "10MB"
	Strings              // an array of strings
	Floats               // an array of numbers
	Scalar               // a string, a number or a boolean: a value as the point's kind wants it
	SubTable             // a table, described by Spec
	Named                // a table of tables with names of the user's choice, each described by Spec
	Roles                // a string, or a table described by Spec: the two shapes of a line of [access]
)

var kindNames = [...]string{
	String: "a string", Int: "a whole number", Float: "a number", Bool: "true or false",
	Duration: `a duration such as "30s"`, Size: `a size such as "256KB"`, Strings: "an array of strings",
	Floats: "an array of numbers", Scalar: "a string, a number or true or false", SubTable: "a table",
	Named: "a table of tables", Roles: "a string or a table",
}

// String is what a person is told to write, such as "a whole number".
func (k Kind) String() string { return kindNames[k] }

// A Key is one declared configuration key.
type Key struct {
	Name    string
	Kind    Kind
	Default string   // as it would be written in the file; empty where there is none
	Help    string   // one line for the reference pages
	Choices []string // the values a string may have; empty for any
	// LaterChoices are values of the contract that this version does not act on: they are refused by name.
	LaterChoices []string
	Required     bool
	// Secret marks a key whose value is a secret, or stands in the file that Name_file names instead. Only Name is
	// declared; whoever loads the file puts the secret behind it, so String reads it in either case. The file it is in
	// must not be readable by others, and the value is never printed.
	Secret bool
	// Path marks a string that is the path of a file; keys that end in _file are paths without it. A relative one is
	// relative to the file that names it.
	Path bool
	// Later marks a key of the contract that this version does not act on: it is refused by name rather than
	// accepted and ignored.
	Later bool
	// Spec describes the table of a SubTable, or each table of a Named or Roles key.
	Spec *Spec
}

// A Spec is what one table may hold.
type Spec struct {
	Keys []Key
}

// Join makes one Spec of several parties' keys. A name declared twice is the first party's.
func Join(parties ...[]Key) Spec {
	var s Spec
	for _, keys := range parties {
		for _, k := range keys {
			if s.find(k.Name) == nil {
				s.Keys = append(s.Keys, k)
			}
		}
	}
	return s
}

func (s Spec) find(name string) *Key {
	for i := range s.Keys {
		if s.Keys[i].Name == name {
			return &s.Keys[i]
		}
	}
	if plain, ok := strings.CutSuffix(name, "_file"); ok {
		if k := s.find(plain); k != nil && k.Secret {
			return &Key{Name: name, Kind: String, Later: k.Later, Help: "the file that holds " + plain}
		}
	}
	return nil
}

// IsPath reports whether the key's value is the path of a file.
func (k Key) IsPath() bool {
	return k.Kind == String && (k.Path || strings.HasSuffix(k.Name, "_file"))
}

// nearest is the declared name a misspelt one most probably means, or "".
func (s Spec) nearest(name string) string {
	names := make([]string, 0, len(s.Keys))
	for _, k := range s.Keys {
		if !k.Later {
			names = append(names, k.Name)
		}
		if !k.Later && k.Secret {
			names = append(names, k.Name+"_file")
		}
	}
	return Nearest(name, names)
}

// Nearest returns the candidate closest to name by edit distance (a swap of neighbours counts once), or "" when
// none is close enough to be a slip of the finger.
func Nearest(name string, candidates []string) string {
	return nearest(name, candidates, func(string) int { return 1 + len(name)/3 })
}

// Near is Nearest for what people say, among words that are not all about the same: at most a third of the longer of the two may
// differ.
func Near(said string, candidates []string) string {
	return nearest(said, candidates, func(c string) int { return max(len(said), len(c)) / 3 })
}

func nearest(name string, candidates []string, most func(candidate string) int) string {
	best, bestDistance := "", 0
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d <= most(c) && (best == "" || d < bestDistance) {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the optimal string alignment distance.
func distance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}

// A Problem is one mistake in a file, in words for the person who wrote it.
type Problem struct {
	File string
	Line int    // 0 when the mistake has no line of its own
	Path string // the key path of the table, such as devices.lamp.points.power; may be empty
	Key  string // the key in that table the mistake is about; empty when it is the table itself. Not printed
	Text string
}

// String reads file:line: path: text. It is one line whatever the file holds: control characters are escaped.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Text)
	return oneLine(b.String())
}

func oneLine(s string) string {
	if !strings.ContainsFunc(s, unicode.IsControl) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Problems collects the mistakes of one load. The zero value is ready for use.
type Problems struct {
	list    []Problem
	settled int // this many of list are settled
}

// Add records p once: a key that several readers object to in the same words is one mistake, and of a key that was
// settled no more is said.
func (ps *Problems) Add(p Problem) {
	same := func(q Problem) bool {
		return p.File == q.File && p.Line == q.Line && p.Path == q.Path && p.Key == q.Key
	}
	if p.Key != "" && slices.ContainsFunc(ps.list[:ps.settled], same) {
		return
	}
	if !slices.Contains(ps.list, p) {
		ps.list = append(ps.list, p)
	}
}

// Settle ends one pass over the file: what a later reader says of a key that a mistake was found at so far is taken
// for a consequence and left out.
func (ps *Problems) Settle() { ps.settled = len(ps.list) }

// All returns what was recorded, by file and line.
func (ps *Problems) All() []Problem {
	out := slices.Clone(ps.list)
	slices.SortStableFunc(out, func(a, b Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return out
}

// Len is the number of mistakes.
func (ps *Problems) Len() int { return len(ps.list) }

// Err is nil when there are none, else an *[Error].
func (ps *Problems) Err() error {
	if len(ps.list) == 0 {
		return nil
	}
	return &Error{Problems: ps.All()}
}

// An Error is the mistakes of a load, at least one. It reads as a line each.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// ParseDuration reads a duration of the configuration: Go's syntax, and days ("30d").
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 && n < 36500 {
			return time.Duration(n * float64(24*time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration: write it as in \"500ms\", \"30s\", \"5m\", \"2h\" or \"30d\"", s)
	}
	return d, nil
}

// ParseSize reads a number of bytes: "10MB", "256KB", "512" (decimal multiples, as on a label).
func ParseSize(s string) (int64, error) {
	number, factor := strings.TrimSpace(strings.TrimSuffix(s, "B")), 1.0
	if i := strings.IndexAny(number, "KMG"); i >= 0 && i == len(number)-1 {
		factor = map[byte]float64{'K': 1e3, 'M': 1e6, 'G': 1e9}[number[i]]
		number = strings.TrimSpace(number[:i])
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0 && n*factor <= 1e15) {
		return 0, fmt.Errorf("%q is not a size: write it as in \"256KB\" or \"10MB\"", s)
	}
	return int64(n * factor), nil
}
