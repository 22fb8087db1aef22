package mapping

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template/parse"
)

// maxMessage bounds the text of an alert, whatever its template and the device's texts are; bytes.
const maxMessage = 2000

// A text is the template of an alert's message: a text/template in which only fields can stand. It is filled in
// here, not executed: nothing in it can loop or grow.
type text struct {
	parts []textPart
}

// A textPart is a literal or, when field is not empty, what stands in {{.field}}.
type textPart struct{ literal, field string }

// errOnlyFields says what a text may hold.
var errOnlyFields = errors.New("only {{.POINT}}, {{.device}} and {{.location}} can stand in a text")

// place is where the parser says a mistake is; the file's line stands before it already.
var place = regexp.MustCompile(`^template: text:[0-9]+: `)

// parseText reads the template of a message.
func parseText(source string) (*text, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("longer than %d bytes", maxSource)
	}
	t := parse.New("text")
	t.Mode = parse.SkipFuncCheck
	tree, err := t.Parse(source, "{{", "}}", map[string]*parse.Tree{})
	if err != nil {
		return nil, errors.New(cutLine(place.ReplaceAllString(err.Error(), ""), maxShownText))
	}
	out := &text{}
	for _, node := range tree.Root.Nodes {
		switch n := node.(type) {
		case *parse.TextNode:
			out.parts = append(out.parts, textPart{literal: string(n.Text)})
		case *parse.ActionNode:
			field, ok := fieldOf(n.Pipe)
			if !ok {
				return nil, errOnlyFields
			}
			out.parts = append(out.parts, textPart{field: field})
		case *parse.CommentNode:
		default:
			return nil, errOnlyFields
		}
	}
	return out, nil
}

// fieldOf is the name in a pipeline that is a single field: {{.name}}.
func fieldOf(pipe *parse.PipeNode) (string, bool) {
	if len(pipe.Decl) > 0 || len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 1 {
		return "", false
	}
	field, ok := pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(field.Ident) != 1 {
		return "", false
	}
	return field.Ident[0], true
}

// fields are the names a text uses.
func (t *text) fields() []string {
	var out []string
	for _, p := range t.parts {
		if p.field != "" {
			out = append(out, p.field)
		}
	}
	return out
}

// fill puts the fields in.
func (t *text) fill(field func(name string) string) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.field != "" {
			b.WriteString(field(p.field))
		} else {
			b.WriteString(p.literal)
		}
		if b.Len() > maxMessage {
			return cutBytes(b.String(), maxMessage) + "…"
		}
	}
	return b.String()
}
