package broker

import (
	"errors"
	"fmt"
	"strings"
)

const (
	maxLevels  = 32   // of a topic: mochi's index takes a map a level, and a walk from the start for each
	maxTopic   = 1000 // bytes of a pattern in the file of users
	maxRules   = 100  // of one user: each message for a client goes through them
	ruleFormat = "a rule is read, write, readwrite or deny and a topic, as in `read cmnd/lamp/#`"
)

// A rule says what may be done with the topics of a pattern. A pattern is a topic filter in which %u stands for the
// user's name and %c for the client's id.
type rule struct {
	read, write bool // neither: neither may be done, whatever other rules say
	pattern     string
}

// parseRule reads KEYWORD PATTERN.
func parseRule(line string) (rule, error) {
	word, pattern, _ := strings.Cut(line, " ")
	if tab := strings.IndexByte(word, '\t'); tab >= 0 {
		word, pattern = line[:tab], line[tab+1:]
	}
	r := rule{pattern: strings.TrimSpace(pattern)}
	switch word {
	case "read":
		r.read = true
	case "write":
		r.write = true
	case "readwrite":
		r.read, r.write = true, true
	case "deny":
	default:
		return rule{}, errors.New(ruleFormat)
	}
	if err := checkPattern(r.pattern); err != nil {
		return rule{}, err
	}
	return r, nil
}

// String is the line that parseRule reads.
func (r rule) String() string {
	switch {
	case r.read && r.write:
		return "readwrite " + r.pattern
	case r.read:
		return "read " + r.pattern
	case r.write:
		return "write " + r.pattern
	}
	return "deny " + r.pattern
}

func checkPattern(pattern string) error {
	switch {
	case pattern == "":
		return errors.New(ruleFormat)
	case len(pattern) > maxTopic || strings.ContainsAny(pattern, "\x00\n\r"):
		return fmt.Errorf("%.40q is not a topic", pattern)
	case !validFilter(pattern):
		return fmt.Errorf("%q is not a topic: + stands for one whole level, # for all that follow and comes last, and there are at most %d levels", pattern, maxLevels)
	}
	return nil
}

// validFilter reports whether + and # stand alone in their levels, # in the last one, and there are not too many levels.
func validFilter(filter string) bool {
	levels := strings.Split(filter, "/")
	if filter == "" || len(levels) > maxLevels {
		return false
	}
	for i, level := range levels {
		if strings.ContainsAny(level, "+#") && len(level) > 1 || level == "#" && i < len(levels)-1 {
			return false
		}
	}
	return true
}

// rights are the rules of one client, compiled.
type rights struct {
	of    *table // what they were compiled from
	all   bool   // there are no rules
	rules []levelRule
}

type levelRule struct {
	rule
	levels []string
}

// compile puts a user's and a client's name into rules. A name that has a meaning in a filter, or is none, makes the
// rule one for nobody: a client that calls itself # must not be let into every topic, nor out of what is denied.
func compile(rules []rule, user, client string) []levelRule {
	var out []levelRule
	for _, r := range rules {
		pattern := r.pattern
		for mark, name := range map[string]string{"%u": user, "%c": client} {
			switch {
			case !strings.Contains(pattern, mark):
			case name != "" && !strings.ContainsAny(name, "+#/%\x00"):
				pattern = strings.ReplaceAll(pattern, mark, name)
			case r.read || r.write:
				pattern = ""
			default:
				pattern = strings.ReplaceAll(pattern, mark, "+")
			}
		}
		if pattern != "" && validFilter(pattern) {
			out = append(out, levelRule{r, strings.Split(pattern, "/")})
		} else if !r.read && !r.write {
			out = append(out, levelRule{r, []string{"#"}})
		}
	}
	return out
}

// may reports whether a topic may be read or written.
func (r *rights) may(topic string, write bool) bool {
	if r.all {
		return true
	}
	allowed := false
	for _, rule := range r.rules {
		if allowed && (rule.read || rule.write) || !matches(rule.levels, topic) {
			continue
		}
		if !rule.read && !rule.write {
			return false
		}
		allowed = rule.write && write || rule.read && !write
	}
	return allowed
}

// maySubscribe reports whether a filter may be subscribed to: one with wildcards when there is something in it that
// may be read, the rest being left out of what is sent. Members of a shared subscription take turns, so that it has to
// be allowed whole.
func (r *rights) maySubscribe(filter string) bool {
	if r.all {
		return true
	}
	shared := false
	if group, rest, ok := cutShare(filter); ok && group != "" {
		shared, filter = true, rest
	}
	levels, allowed := strings.Split(filter, "/"), false
	for _, rule := range r.rules {
		switch {
		case rule.read:
			allowed = allowed || covers(rule.levels, levels) || !shared && overlap(rule.levels, levels)
		case rule.write:
		case covers(rule.levels, levels), shared && overlap(rule.levels, levels):
			return false
		}
	}
	return allowed
}

// cutShare takes $share/GROUP/ off a filter; mochi does not mind in which case it is written.
func cutShare(filter string) (group, rest string, ok bool) {
	prefix, rest, ok := strings.Cut(filter, "/")
	if !ok || !strings.EqualFold(prefix, "$share") {
		return "", filter, false
	}
	group, rest, ok = strings.Cut(rest, "/")
	return group, rest, ok
}

// matches reports whether a topic is in a filter. Topics that begin with $ are in none that begins with a wildcard.
func matches(filter []string, topic string) bool {
	if strings.HasPrefix(topic, "$") && (filter[0] == "+" || filter[0] == "#") {
		return false
	}
	for i, more := 0, true; ; i++ {
		switch {
		case i < len(filter) && filter[i] == "#":
			return true
		case i == len(filter) || !more:
			return i == len(filter) && !more
		}
		var level string
		level, topic, more = strings.Cut(topic, "/")
		if filter[i] != "+" && filter[i] != level {
			return false
		}
	}
}

// overlap reports whether a topic can be in both filters.
func overlap(a, b []string) bool {
	if dollar(a) != dollar(b) {
		return false
	}
	for i := 0; ; i++ {
		switch {
		case i < len(a) && a[i] == "#" || i < len(b) && b[i] == "#":
			return true
		case i == len(a) || i == len(b):
			return len(a) == len(b)
		case a[i] != b[i] && a[i] != "+" && b[i] != "+":
			return false
		}
	}
}

// covers reports whether all topics of a filter are in another one.
func covers(whole, part []string) bool {
	if dollar(whole) != dollar(part) {
		return false
	}
	for i := 0; ; i++ {
		switch {
		case i < len(whole) && whole[i] == "#":
			return true
		case i == len(whole) || i == len(part):
			return len(whole) == len(part)
		case part[i] == "#" || whole[i] != "+" && whole[i] != part[i]:
			return false
		}
	}
}

// dollar reports whether the topics of a filter begin with $.
func dollar(filter []string) bool { return strings.HasPrefix(filter[0], "$") }
