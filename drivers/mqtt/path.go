package mqtt

import (
	"errors"
	"strings"
)

// A path says where in a JSON document a value is. The nil path is the payload itself, which need not be JSON.
type path []string

// parsePath reads names and array indexes with dots between; `\.` is a dot in a name and `\\` a backslash.
func parsePath(s string) (path, error) {
	var p path
	var step strings.Builder
	end := func() error {
		if step.Len() == 0 {
			return errors.New("has an empty step: names stand between single dots, as in sensors.0.t")
		}
		p = append(p, step.String())
		step.Reset()
		return nil
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '.' || s[i+1] == '\\'):
			i++
			step.WriteByte(s[i])
		case s[i] == '.':
			if err := end(); err != nil {
				return nil, err
			}
		default:
			step.WriteByte(s[i])
		}
	}
	return p, end()
}

// String is the path as it is written in the configuration.
func (p path) String() string {
	steps := make([]string, len(p))
	for i, s := range p {
		steps[i] = strings.NewReplacer(`\`, `\\`, `.`, `\.`).Replace(s)
	}
	return strings.Join(steps, ".")
}
