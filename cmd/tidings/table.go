package main

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// A column is one of a table.
type column struct {
	head   string
	shrink bool // may be cut where the lines are too long
	drop   bool // may be left out then: it can be read elsewhere
}

// A table is text in columns. What comes from devices is printed without its control characters.
type table struct {
	columns []column
	rows    [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// How narrow columns are made: comfortable before a column is left out, narrow after that.
const (
	comfortable = 16
	narrow      = 8
	gap         = "  "
)

// print writes the table in lines of at most so many characters, as far as it can; 0 is any number.
func (t *table) print(w io.Writer, limit int) error {
	for _, row := range t.rows {
		for i := range row {
			row[i] = strings.TrimRight(strings.Map(printable, row[i]), " ")
		}
	}
	widths := t.widths()
	if limit > 0 && !t.fit(widths, limit, comfortable) {
		widths = t.widths()
		for i, c := range t.columns {
			if c.drop {
				widths[i] = -1
			}
		}
		t.fit(widths, limit, narrow)
	}
	var out strings.Builder
	heads := make([]string, len(t.columns))
	for i, c := range t.columns {
		heads[i] = c.head
	}
	if strings.Join(heads, "") != "" {
		line(&out, widths, heads)
	}
	for _, row := range t.rows {
		line(&out, widths, row)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return ' '
}

// widths are those that the content asks for.
func (t *table) widths() []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = utf8.RuneCountInString(c.head)
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	return widths
}

// fit takes from the widest column that may shrink, as long as the lines are too long. It reports whether they fit.
func (t *table) fit(widths []int, limit, least int) bool {
	for {
		sum, widest := -len(gap), -1
		for i, c := range t.columns {
			if widths[i] < 0 {
				continue
			}
			sum += widths[i] + len(gap)
			if c.shrink && widths[i] > least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if sum <= limit || widest < 0 {
			return sum <= limit
		}
		widths[widest]--
	}
}

// line writes one line; columns of width -1 are left out.
func line(out *strings.Builder, widths []int, cells []string) {
	var text strings.Builder
	for i, cell := range cells {
		if widths[i] < 0 {
			continue
		}
		if n := utf8.RuneCountInString(cell); n > widths[i] {
			cell = string([]rune(cell)[:widths[i]-1]) + "…"
		} else {
			cell += strings.Repeat(" ", widths[i]-n)
		}
		text.WriteString(cell + gap)
	}
	out.WriteString(strings.TrimRight(text.String(), " ") + "\n")
}

// widthOf is how many characters a line of a terminal holds; 0 for what is no terminal.
func widthOf(out io.Writer) int {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// printJSON is the output for programs.
func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
