package broker

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// rightsOf are those of user lamp, client c1, under rules that stand a line each.
func rightsOf(t *testing.T, client, rules string) *rights {
	t.Helper()
	table, err := parseUsers([]byte("lamp:" + decoy + "\n" + strings.ReplaceAll(rules, "; ", "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return table.rights("lamp", client)
}

func TestRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules, topic                string
		reads, writes, subscribable bool
	}{
		{"", "a/b", true, true, true},
		{"", "$SYS/broker/uptime", true, true, true},
		{"read a/b", "a/b", true, false, true},
		{"read a/b", "a/c", false, false, false},
		{"write a/#", "a", false, true, false},
		{"write a/#", "a/b/c", false, true, false},
		{"readwrite a/+/c", "a/b/c", true, true, true},
		{"readwrite a/+/c", "a/b/b/c", false, false, false},
		{"readwrite a/+", "a", false, false, false},
		{"readwrite +/b", "/b", true, true, true},
		{"readwrite #", "a", true, true, true},
		{"readwrite #", "$SYS/broker/uptime", false, false, false},
		{"readwrite +/broker/uptime", "$SYS/broker/uptime", false, false, false},
		{"read $SYS/#", "$SYS/broker/uptime", true, false, true},
		{"readwrite #; deny secret/#", "secret/a", false, false, false},
		{"deny secret/#; readwrite #", "secret", false, false, false},
		{"deny secret/#; readwrite #", "open", true, true, true},
		{"read cmnd/%u/#; write stat/%c", "cmnd/lamp/POWER", true, false, true},
		{"read cmnd/%u/#; write stat/%c", "stat/c1", false, true, false},
		{"read cmnd/%u/#; write stat/%c", "stat/c2", false, false, false},
		{"read a; write a", "a", true, true, true},
	} {
		r := rightsOf(t, "c1", c.rules)
		if reads, writes := r.may(c.topic, false), r.may(c.topic, true); reads != c.reads || writes != c.writes {
			t.Errorf("%q: %s: reads %t, writes %t", c.rules, c.topic, reads, writes)
		}
		if got := r.maySubscribe(c.topic); got != c.subscribable {
			t.Errorf("%q: subscribes to %s: %t", c.rules, c.topic, got)
		}
	}
}

func TestSubscriptionRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules, filter string
		may           bool
	}{
		{"read a/#", "#", true}, // and gets what is in a
		{"read a/#", "+/b", true},
		{"read a/#", "b/#", false},
		{"read a/#", "$SYS/#", false},
		{"read a/#", "$share/g/a/+", true},
		{"read a/#", "$share/g/#", false},
		{"read a/#", "$SHARE/g/b", false},
		{"read #; deny b/#", "b/#", false},
		{"read #; deny b/#", "#", true},
		{"read #; deny b/#", "$share/g/#", false},
		{"write #", "#", false},
		{"deny b", "#", false},
	} {
		if got := rightsOf(t, "c1", c.rules).maySubscribe(c.filter); got != c.may {
			t.Errorf("%q: subscribes to %s: %t", c.rules, c.filter, got)
		}
	}
}

// A name that means something in a filter opens nothing, and does not get around what is denied.
func TestNamesInRules(t *testing.T) {
	t.Parallel()
	for _, client := range []string{"#", "+", "a/b", "", "%u", "x/#"} {
		r := rightsOf(t, client, "readwrite own/%c/#; readwrite other; deny other/%c")
		for _, topic := range []string{"own/a/b", "own/a", "own/#/b", "own//x", "own/lamp/x"} {
			if r.may(topic, true) || r.may(topic, false) {
				t.Errorf("client %q may use %s", client, topic)
			}
		}
		if r.maySubscribe("own/+/b") || r.may("other/a", true) {
			t.Errorf("client %q may use what is of others", client)
		}
	}
}

func TestParseUsers(t *testing.T) {
	t.Parallel()
	const text = "# for everyone\nread  homeassistant/status\n\nlamp:" + decoy + "\n  read\tcmnd/lamp/#\n  # its own words\n\twrite stat/a topic\nbridge:" + decoy + "\n"
	table, err := parseUsers([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if r := table.rights("bridge", ""); r.all || !r.may("homeassistant/status", false) || r.may("a", false) {
		t.Error("a user without rules has everybody's")
	}
	if r := table.rights("lamp", ""); !r.may("stat/a topic", true) || !r.may("cmnd/lamp/x", false) {
		t.Error("the rules of lamp")
	}
	if r := table.rights("nobody", ""); r.may("homeassistant/status", false) {
		t.Error("who is not there has rights")
	}
	for says, text := range map[string]string{
		"1: neither a line NAME:HASH":  "lamp:secret\n",
		"2: user \"a\" is there twice": "a:" + decoy + "\na:" + decoy + "\n",
		"2: \"a/#/b\" is not a topic":  "a:" + decoy + "\nread a/#/b\n",
		"1: \"a+\" is not a topic":     "write a+",
		"1: a rule is":                 "write",
		"102: more than 100 rules":     "a:" + decoy + "\n" + strings.Repeat("read b\n", 101),
		"1: the hash of \"a\" has":     "a:" + strings.Replace(decoy, "$10$", "$20$", 1),
		"1: bufio.Scanner":             strings.Repeat("x", 1<<17),
		"levels":                       "read " + strings.Repeat("a/", 40),
	} {
		if _, err := parseUsers([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60q: %v, want %q", text, err, says)
		}
	}
}

// What covers and overlap say of filters holds for every topic.
func TestFiltersAgree(t *testing.T) {
	t.Parallel()
	level := rapid.SampledFrom([]string{"a", "b", "", "$x", "+"})
	filter := rapid.Custom(func(t *rapid.T) string {
		levels := rapid.SliceOfN(level, 1, 4).Draw(t, "levels")
		if rapid.Bool().Draw(t, "all") {
			levels[len(levels)-1] = "#"
		}
		return strings.Join(levels, "/")
	})
	topic := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "", "$x"}), 1, 5).Draw(t, "topic"), "/")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, in := strings.Split(filter.Draw(t, "a"), "/"), strings.Split(filter.Draw(t, "b"), "/"), topic.Draw(t, "in")
		inA, inB := matches(a, in), matches(b, in)
		if inA && inB && !overlap(a, b) {
			t.Fatalf("%s is in %v and in %v, which do not overlap", in, a, b)
		}
		if inB && !inA && covers(a, b) {
			t.Fatalf("%s is in %v and not in %v, which covers it", in, b, a)
		}
		if covers(a, b) && !overlap(a, b) {
			t.Fatalf("%v covers %v and they do not overlap", a, b)
		}
	})
}

func BenchmarkRules(b *testing.B) {
	table, err := parseUsers([]byte("lamp:" + decoy + "\nread cmnd/%u/#\nwrite stat/%u/#\nwrite tele/%u/#\ndeny +/other/#\n"))
	if err != nil {
		b.Fatal(err)
	}
	r := table.rights("lamp", "c")
	b.ReportAllocs()
	for b.Loop() {
		if !r.may("tele/lamp/SENSOR", true) {
			b.Fatal("not allowed")
		}
	}
}
