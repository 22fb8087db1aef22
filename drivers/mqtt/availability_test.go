package mqtt

import (
	"strings"
	"testing"

	"tidings/drivers/mqtt/discovery"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	table := &table{}
	const nothing = "nothing heard from it: "
	for _, c := range []struct {
		mode discovery.Mode
		said string // the topics a and b, with + for online, - for offline and ? for neither
		down string // the reason; empty: it is there
	}{
		{discovery.Latest, "", nothing + "a"},
		{discovery.Latest, "a+", ""},
		{discovery.Latest, "a+ b-", `b says "offline"`},
		{discovery.Latest, "b- a+", ""},
		{discovery.Latest, "a?", `a says "perhaps": neither online ("online") nor offline ("offline")`},
		{discovery.All, "", nothing + "a"},
		{discovery.All, "a+", nothing + "b"},
		{discovery.All, "a+ b+", ""},
		{discovery.All, "a+ b+ a-", `a says "offline"`},
		{discovery.All, "a+ b?", `b says "perhaps"`},
		{discovery.Any, "", nothing + "a"},
		{discovery.Any, "b-", `b says "offline"`},
		{discovery.Any, "a+ b-", ""},
		{discovery.Any, "a- b+ b-", " says "},
		{discovery.Any, "b+", ""},
	} {
		w := newWatch(&discovery.Availability{Mode: c.mode, Topics: []discovery.AvailabilityTopic{table.availabilityOn("a"), table.availabilityOn("b")}})
		for _, word := range strings.Fields(c.said) {
			payload := map[byte]string{'+': "online", '-': "offline", '?': "perhaps"}[word[1]]
			w.hear(int(word[0]-'a'), discovery.NewMessage(word[:1], []byte(payload)))
		}
		err := w.down()
		if (err == nil) != (c.down == "") || err != nil && !strings.Contains(err.Error(), c.down) {
			t.Errorf("mode %d, %q: %v, want %q", c.mode, c.said, err, c.down)
		}
		other := newWatch(&discovery.Availability{Mode: c.mode, Topics: []discovery.AvailabilityTopic{table.availabilityOn("b"), table.availabilityOn("a")}})
		if other.resume(w); (other.down() == nil) != (err == nil) {
			t.Errorf("mode %d, %q: taken over as %v, was %v", c.mode, c.said, other.down(), err)
		}
		if w.forget(); w.down() == nil {
			t.Errorf("mode %d, %q: there when all is forgotten", c.mode, c.said)
		}
	}
	if w := newWatch(nil); w.down() != nil || len(w.topics()) != 0 {
		t.Error("without an availability it is not there")
	}
	if w := newWatch(&discovery.Availability{}); w.down() == nil {
		t.Error("nothing says that it is there, and it is")
	}
}

func TestSaying(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		`{"state":"offline"}`: `"offline"`, `offline`: `"offline"`, `{"state":1}`: `"{\"state\":1}"`, `{"a":"b","c":"d"}`: `"{\"a\":\"b\",\"c\":\"d\"}"`, `{}`: `"{}"`, "": `""`,
	} {
		if got := saying(discovery.NewMessage("a", []byte(payload))); got != want {
			t.Errorf("%s: %s, want %s", payload, got, want)
		}
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/+/c", "a/b/c", true}, {"a/+/c", "a/b/d", false}, {"a/+/c", "a/b/c/d", false}, {"a/+/c", "a/b", false}, {"a/+", "a/", true},
		{"a/#", "a", true}, {"a/#", "a/b/c", true}, {"a/#", "ab", false}, {"#", "a/b", true}, {"#", "$SYS/x", false}, {"+/x", "$SYS/x", false},
		{"$SYS/+", "$SYS/x", true}, {"a", "a", true}, {"a", "a/", false}, {"a/b", "a", false}, {"+", "a", true}, {"+", "a/b", false}, {"+/+", "/a", true},
	} {
		if got := matches(c.filter, c.topic); got != c.want {
			t.Errorf("%s and %s: %t", c.filter, c.topic, got)
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		" Kitchen\nlamp\x00 ": "Kitchen lamp", "\xff\xfeü": "ü", "": "", strings.Repeat("ü", 200): strings.Repeat("ü", 150) + "…",
	} {
		if got := clean(s); got != want {
			t.Errorf("%q: %q", s, got)
		}
	}
}
