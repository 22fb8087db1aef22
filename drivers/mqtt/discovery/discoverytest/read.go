package discoverytest

import (
	"fmt"
	"os"
	"strings"

	"tidings/drivers/mqtt/discovery"
)

// A step is one paragraph of a file.
type step struct {
	line  int
	word  string
	args  string
	body  []string // the payload
	marks []mark   // the lines with =, > or !
}

type mark struct {
	line int
	sign byte
	text string
}

func (s *step) payload() []byte { return []byte(strings.Join(s.body, "\n")) }

// message is the one that a step with a topic is about.
func (s *step) message() *discovery.Message {
	topic, retained := strings.CutSuffix(s.args, " retained")
	m := discovery.NewMessage(topic, s.payload())
	m.Retained = retained
	return m
}

// read reads the steps of a file.
func read(path string) ([]*step, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var steps []*step
	for i, text := range strings.Split(string(data), "\n") {
		text = strings.TrimRight(text, " \r")
		inner := strings.TrimLeft(text, " \t")
		switch {
		case inner == "" || text[0] == '#':
		case inner == text:
			word, args, _ := strings.Cut(text, " ")
			steps = append(steps, &step{line: i + 1, word: word, args: strings.TrimSpace(args)})
		case len(steps) == 0:
			return nil, fmt.Errorf("%s:%d: a step does not begin with spaces", path, i+1)
		default:
			s := steps[len(steps)-1]
			if len(inner) > 1 && strings.IndexByte("=>!", inner[0]) >= 0 && inner[1] == ' ' {
				s.marks = append(s.marks, mark{i + 1, inner[0], strings.TrimSpace(inner[2:])})
			} else {
				s.body = append(s.body, inner)
			}
		}
	}
	return steps, nil
}

// words are the words of a line; quotes keep spaces together.
func words(s string) []string {
	var out []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " ") {
		end, quoted := len(s), false
		for i := 0; i < len(s); i++ {
			if s[i] == '"' {
				quoted = !quoted
			} else if s[i] == ' ' && !quoted {
				end = i
				break
			}
		}
		out = append(out, strings.ReplaceAll(s[:end], `"`, ""))
		s = s[end:]
	}
	return out
}
