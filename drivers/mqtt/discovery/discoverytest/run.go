package discoverytest

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// Run checks the files in the folders of a directory, each with a convention of its own.
func Run(t *testing.T, dir string, convention func() discovery.Convention) {
	for _, path := range Files(t, dir) {
		name, _ := filepath.Rel(dir, path)
		t.Run(strings.TrimSuffix(filepath.ToSlash(name), ".txt"), func(t *testing.T) {
			t.Parallel()
			steps, err := read(path)
			if err != nil {
				t.Fatal(err)
			}
			run(t, path, steps, convention(), false)
			run(t, path, steps, convention(), true)
		})
	}
}

// Files are the files in the folders of a directory.
func Files(t testing.TB, dir string) []string {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".txt") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("%s: no files", dir)
	}
	return files
}

// Announcements are the announcements in the files, and States the messages with states.
func Announcements(t testing.TB, dir string) []*discovery.Message {
	return messages(t, dir, "announce")
}

// States are the messages with states in the files.
func States(t testing.TB, dir string) []*discovery.Message { return messages(t, dir, "state") }

func messages(t testing.TB, dir, word string) []*discovery.Message {
	var all []*discovery.Message
	for _, path := range Files(t, dir) {
		steps, err := read(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if s.word == word {
				all = append(all, s.message())
			}
		}
	}
	return all
}

// A test is a file that is run.
type test struct {
	*testing.T
	path       string
	convention discovery.Convention
	device     *discovery.Device
	heard      map[*discovery.Availability]map[string]bool
	last       map[*discovery.Availability]bool
}

func (t *test) fail(line int, format string, args ...any) {
	t.Helper()
	t.Errorf("%s:%d: %s", t.path, line, fmt.Sprintf(format, args...))
}

// run goes through a file. Backwards, it hears the announcements before the first device in the other order.
func run(tt *testing.T, path string, steps []*step, c discovery.Convention, backwards bool) {
	t := &test{T: tt, path: path, convention: c, heard: make(map[*discovery.Availability]map[string]bool),
		last: make(map[*discovery.Availability]bool)}
	first := slices.IndexFunc(steps, func(s *step) bool { return s.word != "announce" })
	if first < 0 {
		tt.Fatalf("%s: no device", path)
	}
	if backwards {
		steps = slices.Clone(steps)
		slices.Reverse(steps[:first])
	}
	for i := 0; i < len(steps); i++ {
		switch s := steps[i]; s.word {
		case "announce":
			t.announce(s)
		case "gone":
			if d := c.Device(s.args); d != nil {
				t.fail(s.line, "there is %q", d.Key)
			}
		case "device":
			n := i + 1
			for n < len(steps) && steps[n].word == "point" {
				n++
			}
			t.describe(s, steps[i+1:n])
			i = n - 1
		case "state":
			t.state(s)
		case "status":
			t.status(s)
		case "command":
			t.command(s)
		default:
			t.fail(s.line, "what is %q?", s.word)
		}
		if t.Failed() && t.device == nil {
			return
		}
	}
}

func (t *test) announce(s *step) {
	_, published := t.convention.Take(s.message())
	t.published(s, published)
}

// published compares what was published with the marks of a step.
func (t *test) published(s *step, published []discovery.Message) {
	var got, want []string
	for _, m := range published {
		line := ""
		if m.QoS >= 0 {
			line = fmt.Sprintf("qos=%d ", m.QoS)
		}
		if m.Retained {
			line += "retain "
		}
		got = append(got, strings.TrimSpace(line+m.Topic+" "+string(m.Payload)))
	}
	for _, m := range s.marks {
		if m.sign == '>' {
			want = append(want, m.text)
		}
	}
	if !slices.Equal(got, want) {
		t.fail(s.line, "published:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (t *test) describe(s *step, points []*step) {
	d := t.convention.Device(s.args)
	if t.device = d; d == nil {
		t.fail(s.line, "there is no device %s", s.args)
		return
	}
	said := map[string]string{"name": d.Name, "model": d.Model, "version": d.Version, "area": d.Area, "class": d.Class, "address": d.Address}
	var notes []string
	for _, line := range s.body {
		key, want, _ := strings.Cut(line, " ")
		if key == "note" {
			notes = append(notes, strings.TrimSpace(want))
		} else if got, ok := said[key]; !ok || got != strings.TrimSpace(want) {
			t.fail(s.line, "%s is %q, want %q", key, got, want)
		}
	}
	if !slices.Equal(d.Notes, notes) {
		t.fail(s.line, "notes:\n%s\nwant:\n%s", strings.Join(d.Notes, "\n"), strings.Join(notes, "\n"))
	}
	got, want := make(map[string]string), make(map[string]bool)
	for _, p := range d.Points {
		if _, ok := got[p.Name]; ok {
			t.fail(s.line, "there are two points %s", p.Name)
		}
		got[p.Name] = strings.Join(attributes(&p), " ")
	}
	for _, p := range points {
		w := words(p.args)
		slices.Sort(w[min(3, len(w)):])
		name, line := w[0], strings.Join(w, " ")
		if want[name] = true; got[name] != line {
			t.fail(p.line, "point:\n%s\nwant:\n%s", got[name], line)
		}
	}
	for _, p := range d.Points {
		if !want[p.Name] {
			t.fail(s.line, "there is also: %s", got[p.Name])
		}
	}
}

// attributes are the words of a point: name, kind, access, and the others in order.
func attributes(p *discovery.Point) []string {
	access := ""
	for i, can := range []bool{p.Readable, p.Writable, p.Confirms} {
		if can {
			access += string("rwc"[i])
		}
	}
	if access == "" {
		access = "-"
	}
	out := []string{p.Name, p.Kind.String(), access}
	add := func(key, value string) {
		if value != "" && value != "0" {
			out = append(out, key+"="+value)
		}
	}
	number := func(f float64) string { return devices.Number(f).String() }
	add("label", p.Label)
	add("class", p.Class)
	add("unit", p.Unit)
	add("options", strings.Join(p.Options, ","))
	add("states", strings.Join(p.States, ","))
	if p.Low != p.High {
		out = append(out, "low="+number(p.Low), "high="+number(p.High))
	}
	add("step", number(p.Step))
	add("digits", number(float64(p.Digits)))
	if p.Expire > 0 {
		add("expire", short(p.Expire))
	}
	if p.OffDelay > 0 {
		add("offdelay", short(p.OffDelay))
	}
	add("value", p.Value.String())
	if p.Available != nil {
		out = append(out, "available")
	}
	slices.Sort(out[3:])
	return out
}

func short(d time.Duration) string {
	s := strings.TrimSuffix(d.String(), "m0s")
	if len(s) < len(d.String()) {
		s += "m"
	}
	return s
}

func (t *test) state(s *step) {
	if t.device == nil {
		return
	}
	m := s.message()
	var got []string
	heard := false
	for _, p := range t.device.Points {
		for _, source := range p.Sources {
			if !discovery.Matches(source.Topic, m.Topic) {
				continue
			}
			heard = true
			v, err := source.Read(m)
			switch {
			case errors.Is(err, discovery.ErrAbsent):
			case err != nil:
				got = append(got, "! "+p.Name+" "+err.Error())
			default:
				got = append(got, strings.TrimSpace("= "+p.Name+" "+v.String()))
			}
		}
	}
	if !heard {
		t.fail(s.line, "no point is read on %s", m.Topic)
	}
	for _, w := range s.marks {
		name, value, _ := strings.Cut(w.text, " ")
		i := slices.IndexFunc(got, func(g string) bool {
			if w.sign == '!' {
				return strings.HasPrefix(g, "! "+name+" ") && strings.Contains(g, value)
			}
			return g == string(w.sign)+" "+w.text
		})
		if i < 0 {
			t.fail(w.line, "not read: %s; but:\n%s", w.text, strings.Join(got, "\n"))
			continue
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, g := range got {
		t.fail(s.line, "also read: %s", g)
	}
}

func (t *test) command(s *step) {
	if t.device == nil {
		return
	}
	name, text, _ := strings.Cut(s.args, " ")
	i := slices.IndexFunc(t.device.Points, func(p discovery.Point) bool { return p.Name == name })
	if i < 0 || t.device.Points[i].Write == nil {
		t.fail(s.line, "%s cannot be set", name)
		return
	}
	p := t.device.Points[i]
	v, err := devices.ParseValue(p.Kind, text)
	if p.Kind == devices.KindAction {
		v, err = devices.Bool(true), nil
	}
	if err != nil {
		t.fail(s.line, "%v", err)
		return
	}
	messages, err := p.Write(v)
	t.published(s, messages)
	wrong := slices.IndexFunc(s.marks, func(m mark) bool { return m.sign == '!' })
	switch {
	case wrong < 0 && err != nil:
		t.fail(s.line, "%v", err)
	case wrong >= 0 && (err == nil || !strings.Contains(err.Error(), s.marks[wrong].text)):
		t.fail(s.line, "%v, want an error with %q", err, s.marks[wrong].text)
	}
}

func (t *test) status(s *step) {
	if t.device == nil {
		return
	}
	m := s.message()
	all := map[string]*discovery.Availability{"": t.device.Available}
	for _, p := range t.device.Points {
		if p.Available != nil {
			all[p.Name] = p.Available
		}
	}
	for _, a := range all {
		if a == nil {
			continue
		}
		for _, topic := range a.Topics {
			if topic.Topic != m.Topic {
				continue
			}
			up, err := topic.Read(m)
			if err != nil {
				if !slices.ContainsFunc(s.marks, func(w mark) bool { return w.sign == '!' && strings.Contains(err.Error(), w.text) }) {
					t.fail(s.line, "%v", err)
				}
				continue
			}
			if t.heard[a] == nil {
				t.heard[a] = make(map[string]bool)
			}
			t.heard[a][topic.Topic], t.last[a] = up, up
		}
	}
	for _, w := range s.marks {
		name, want, ok := strings.Cut(w.text, " ")
		if !ok {
			name, want = "", w.text
		}
		if a := all[name]; w.sign == '=' && (a == nil || t.up(a) != (want == "up")) {
			t.fail(w.line, "it is not %s", w.text)
		}
	}
}

// up reports whether something is there by what was heard.
func (t *test) up(a *discovery.Availability) bool {
	up := 0
	for _, is := range t.heard[a] {
		if is {
			up++
		}
	}
	switch a.Mode {
	case discovery.All:
		return up == len(a.Topics)
	case discovery.Any:
		return up > 0
	}
	return t.last[a]
}
