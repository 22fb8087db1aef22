package mqtt

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tidings/drivers/mqtt/discovery"
)

const (
	maxKey       = 200  // bytes of a device's key
	maxWarned    = 100  // different warnings about what is announced
	maxStrangers = 1000 // topics of which is known that they are nobody's

	// Of a topic that a stranger names. More levels the broker inside does not take.
	maxTopicLevels = 32
	maxTopicBytes  = 1000
)

func validKey(key string) bool {
	return key != "" && len(key) <= maxKey && utf8.ValidString(key) && !strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) })
}

// publishable reports whether every broker takes a topic: MQTT 3.1.1, sections 1.5.3 and 4.7. For others it ends the connection.
func publishable(topic string) bool {
	return topic != "" && len(topic) <= maxTopicBytes && strings.Count(topic, "/") < maxTopicLevels && utf8.ValidString(topic) &&
		!strings.ContainsFunc(topic, func(r rune) bool {
			return r == '+' || r == '#' || unicode.IsControl(r) || r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef
		})
}

// subscribable is the same of a filter, which may have + for levels but the last.
func subscribable(filter string) bool {
	levels := strings.Split(filter, "/")
	for i, level := range levels[:len(levels)-1] {
		if level == "+" {
			levels[i] = ""
		}
	}
	return publishable(strings.Join(levels, "/"))
}

// misspelt is the first of some topics that a broker would end the connection for, or that are the server's own, which may be
// shared with others, who would not get what comes here; empty: none is.
func misspelt(a *discovery.Availability, sources ...discovery.Source) string {
	if a != nil {
		for _, t := range a.Topics {
			if !subscribable(t.Topic) || t.Topic[0] == '$' {
				return cmp.Or(t.Topic, " ")
			}
		}
	}
	for _, s := range sources {
		if !subscribable(s.Topic) || s.Topic[0] == '$' {
			return cmp.Or(s.Topic, " ")
		}
	}
	return ""
}

// strange hears of a message nobody here wants: the broker kept a subscription of an earlier configuration, or of a device that was
// discovered before and may be again soon. It is said once of a topic: what comes by a filter that is not known does not end with that.
func (d *driver) strange(topic string) {
	if d.strangers[topic] || len(d.strangers) >= maxStrangers || len(d.conventions) > 0 && time.Since(d.began) < patience {
		return
	}
	d.log.Info("mqtt topic is not ours: unsubscribing", "topic", clean(topic))
	d.strangers[topic] = true
	d.unwanted[topic] = true
}

// otherFilters are those of the conventions that nothing is discovered by, which the broker may know from an earlier configuration.
func (d *driver) otherFilters() (filters []string) {
	for _, c := range conventions {
		if !slices.Contains(d.config.discovery, c.name) {
			filters = append(filters, c.make(d.config).Filters()...)
		}
	}
	return filters
}

// patience is how long devices have to announce themselves before their topics are taken for those of others.
const patience = 30 * time.Second

// warn logs something about announcements, once.
func (d *driver) warn(text string) {
	text = clean(text)
	if d.warned[text] || len(d.warned) >= maxWarned {
		return
	}
	d.warned[text] = true
	d.log.Warn("mqtt announcement not understood", "reason", text)
}

// clean makes one line, not too long, of what a stranger says. What cannot be seen is left out, so that no name looks like another
// by letters without a width, or turns round what stands beside it.
func clean(s string) string {
	const most = 300
	s = strings.TrimSpace(strings.Map(seen, s[:min(len(s), 2*most)]))
	if len(s) <= most {
		return s
	}
	cut := most
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
