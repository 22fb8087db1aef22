package p1_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers/serial/p1"
)

var update = flag.Bool("update", false, "write what the telegrams give into their want files")

// telegrams are the ones under testdata, by their name.
func telegrams(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.telegram")
	if err != nil || len(files) < 8 {
		t.Fatalf("telegrams %v: %v", files, err)
	}
	found := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimSuffix(filepath.Base(file), ".telegram")] = string(data)
	}
	return found
}

// scan feeds pieces to a scanner and returns what it found, and what it said of the rest.
func scan(pieces ...string) (found []string, skipped []error) {
	s := p1.Scanner{
		Found:   func(t *p1.Telegram, _ time.Time) { found = append(found, transcript(t)) },
		Skipped: func(why error, _ []byte) { skipped = append(skipped, why) },
	}
	for _, p := range pieces {
		s.Feed([]byte(p), time.Time{})
	}
	return found, skipped
}

// transcript is all that is known of a telegram: the lines that are offered, then the others.
func transcript(t *p1.Telegram) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", t.Ident)
	var offers []string
	for source, p := range t.Offers() {
		v, ok := t.Find(source)
		fmt.Fprintf(&b, "%s = %q %s (%s: %s, %s, %s) %t\n", source, v.Text, v.Unit, p.Name, p.Label, p.Kind, p.Class, ok)
		offers = append(offers, source)
	}
	for _, code := range t.Codes() {
		if slices.Contains(offers, code) {
			continue
		}
		v, _ := t.Find(code)
		p, known := p1.Describe(code)
		fmt.Fprintf(&b, "not offered: %s = %q %s (%s, %s, %t)", code, v.Text, v.Unit, p.Name, p.Kind, known)
		if v.Clockless {
			b.WriteString(" clockless")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestTelegrams: what meters say is read as it stands in the want files, however it is cut into pieces. A telegram without
// a checksum counts from the second on.
func TestTelegrams(t *testing.T) {
	t.Parallel()
	for name, text := range telegrams(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twice := text + text
			found, skipped := scan(twice)
			if len(found) == 0 || slices.ContainsFunc(skipped, func(err error) bool { return !errors.Is(err, p1.ErrAlone) }) {
				t.Fatalf("%d found, skipped %v", len(found), skipped)
			}
			file, got := filepath.Join("testdata", name+".want"), found[0]
			for _, at := range []time.Time{time.Date(2009, 2, 12, 16, 0, 0, 0, time.Local), time.Date(2016, 11, 7, 19, 0, 0, 0, time.Local)} {
				if strings.HasPrefix(name, "dsmr2") || strings.HasPrefix(name, "dsmr3") { // their times are of the place
					got = strings.ReplaceAll(got, at.Format(time.RFC3339), at.Format("2006-01-02T15:04:05 of the place"))
				}
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if each, _ := scan(strings.Split(twice, "")...); !slices.Equal(each, found) {
				t.Errorf("byte by byte %d found, and %d at once", len(each), len(found))
			}
			for cut := range twice {
				if two, _ := scan(twice[:cut], twice[cut:]); !slices.Equal(two, found) {
					t.Fatalf("cut into two at %d: %d found, and %d at once", cut, len(two), len(found))
				}
			}
		})
	}
}

// TestCut: of a telegram that ends anywhere, begins anywhere or has lost anything in between nothing is read, and the one
// behind it is whole.
func TestCut(t *testing.T) {
	t.Parallel()
	for name, text := range telegrams(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, count := "", 0
			if strings.Contains(text, "!\r") {
				before, count = text+text, 1 // so that this is a meter that is known
			}
			want := telegramOf(t, text)
			check := func(what string, broken string) {
				t.Helper()
				found := 0
				s := p1.Scanner{Skipped: func(error, []byte) {}, Found: func(got *p1.Telegram, _ time.Time) {
					if found++; !reflect.DeepEqual(got, want) {
						t.Fatalf("%s: it was read as\n%s", what, transcript(got))
					}
				}}
				s.Feed([]byte(before+broken+text), time.Time{})
				if found != count+1 {
					t.Fatalf("%s: %d telegrams, want %d", what, found, count+1)
				}
			}
			// A telegram is whole with the last digit of its checksum, or with the end of the line without one.
			end := strings.LastIndexByte(text, '!')
			if end += len("!"); text[end] != '\r' {
				end += 4
			} else {
				end++
			}
			for i := range end {
				check(fmt.Sprintf("the first %d bytes", i), text[:i])
				if i > 0 {
					check(fmt.Sprintf("from byte %d on", i), text[i:])
				}
			}
			for _, lost := range []int{1, 2, 8, 100} {
				for i := 1; i+lost < end; i++ {
					check(fmt.Sprintf("without bytes %d to %d", i, i+lost), text[:i]+text[i+lost:])
				}
			}
		})
	}
}

func telegramOf(t *testing.T, text string) (telegram *p1.Telegram) {
	t.Helper()
	s := p1.Scanner{Skipped: func(error, []byte) {}, Found: func(t *p1.Telegram, _ time.Time) { telegram = t }}
	if s.Feed([]byte(text+text), time.Time{}); telegram == nil {
		t.Fatal("nothing found")
	}
	return telegram
}

func TestSkipped(t *testing.T) {
	t.Parallel()
	text := telegrams(t)
	good, old := text["belgium"], text["dsmr22"]
	for name, c := range map[string]struct {
		text  string
		found int
		want  []error
	}{
		"noise before":         {"\xff\xfe0-0:1.0.0()\r\n" + good, 1, []error{p1.ErrNoise}},
		"much noise":           {strings.Repeat("U", 2500) + good, 1, []error{p1.ErrNoise, p1.ErrNoise, p1.ErrNoise}},
		"lines between":        {good + "\r\n\r\n" + good, 2, nil},
		"a wrong checksum":     {strings.Replace(good, "!3AD7", "!3AD8", 1) + good, 1, []error{p1.ErrChecksum}},
		"a small checksum":     {strings.Replace(good, "!3AD7", "!3ad7", 1), 1, nil},
		"half a checksum":      {strings.Replace(good, "!3AD7", "!3A", 1) + good, 1, []error{p1.ErrChecksum}},
		"no checksum any more": {good + strings.Replace(good, "!3AD7", "!", 1), 1, []error{p1.ErrChecksum}},
		"no checksum":          {strings.Repeat(strings.Replace(good, "!3AD7", "!", 1), 3), 0, []error{p1.ErrChecksum, p1.ErrChecksum, p1.ErrChecksum}},
		"another digit":        {strings.Replace(good, "02.351", "02.352", 1) + good, 1, []error{p1.ErrChecksum}},
		"no end":               {good[:500] + good, 1, []error{p1.ErrCut}},
		"too long":             {"/" + strings.Repeat("1-0:1.8.0(1)\r\n", 1000) + good, 1, []error{p1.ErrTooLong}},
		"no lines":             {"/ISk5\r\n!\r\n/ISk5\r\n!\r\n", 0, []error{p1.ErrAlone, p1.ErrSyntax}},
		"not even a line":      {"/!\r\n/!\r\n", 0, []error{p1.ErrAlone, p1.ErrSyntax}},
		"old and alone":        {old, 0, []error{p1.ErrAlone}},
		"old":                  {old + strings.ReplaceAll(old, "00001.001", "00001.234") + old, 2, []error{p1.ErrAlone}},
		"old, a line less":     {old + old + strings.Replace(old, "0-1:24.4.0(1)\r\n", "", 1) + old, 2, []error{p1.ErrAlone, p1.ErrAlone}},
		"old, a bad line":      {strings.Repeat(strings.Replace(old, "(1)\r\n!", "(1\r\n!", 1), 2), 0, []error{p1.ErrAlone, p1.ErrSyntax}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, skipped := scan(c.text)
			if len(found) != c.found || !slices.Equal(skipped, c.want) {
				t.Errorf("%d found, skipped %v; want %d, %v", len(found), skipped, c.found, c.want)
			}
		})
	}
}

// TestOffered: what any meter offers was foreseen, with its kind.
func TestOffered(t *testing.T) {
	t.Parallel()
	foreseen := map[string]devices.Point{}
	for _, p := range p1.Offered() {
		if _, twice := foreseen[p.Name]; twice {
			t.Errorf("%s stands there twice", p.Name)
		}
		foreseen[p.Name] = p
	}
	for name, text := range telegrams(t) {
		for source, p := range telegramOf(t, text).Offers() {
			p.Unit = foreseen[p.Name].Unit // the telegram's own
			if !reflect.DeepEqual(foreseen[p.Name], p) {
				t.Errorf("%s: %s is offered as %+v, and was foreseen as %+v", name, source, p, foreseen[p.Name])
			}
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	var telegram *p1.Telegram
	s := p1.Scanner{Found: func(t *p1.Telegram, _ time.Time) { telegram = t }, Skipped: func(err error, _ []byte) {
		if !errors.Is(err, p1.ErrAlone) {
			t.Error(err)
		}
	}}
	text := "/X5\r\n1-0:1.8.0*255(1.5*kWh)\r\n0-1:24.2.1(632525252525S)(00000.000)\r\n0-2:24.2.1(200512134558S)(8*m3)\r\n" +
		"0-3:24.2.1(9*GJ)\r\n0-4:24.3.0(1)(2)\r\n0-0:96.13.0(00FF)\r\nC.1.0(7)\r\n1-0:1.8.0(2)\r\n0-0:1.0.0(210101000000W)\r\n!\r\n"
	s.Feed([]byte(text+text), time.Now())
	for source, want := range map[string]p1.Value{
		"1-0:1.8.0":       {Text: "1.5", Unit: "kWh"},
		"1-0:1.8.0.255":   {Text: "1.5", Unit: "kWh"},
		"1-0:1.8.0*255":   {Text: "1.5", Unit: "kWh"},
		"0-1:24.2.1":      {Text: "00000.000", Clockless: true},
		"0-1:24.2.1.time": {},
		"0-2:24.2.1":      {Text: "8", Unit: "m³", Time: time.Date(2020, 5, 12, 11, 45, 58, 0, time.UTC)},
		"0-2:24.2.1.time": {Text: "2020-05-12T13:45:58+02:00"},
		"0-3:24.2.1":      {Text: "9", Unit: "GJ"},
		"0-4:24.3.0":      {Text: "2"},
		"0-0:96.13.0":     {Text: "00FF"},
		"C.1.0":           {Text: "7"},
		"0-0:1.0.0":       {Text: "2021-01-01T00:00:00+01:00", Time: time.Date(2020, 12, 31, 23, 0, 0, 0, time.UTC)},
	} {
		got, ok := telegram.Find(source)
		if !ok || got.Text != want.Text || got.Unit != want.Unit || got.Clockless != want.Clockless || !got.Time.Equal(want.Time) {
			t.Errorf("%s: %+v %t, want %+v", source, got, ok, want)
		}
	}
	for _, source := range []string{"1-0:2.8.0", "0-3:24.2.1.time", "", ".time"} {
		if v, ok := telegram.Find(source); ok {
			t.Errorf("%q: %+v", source, v)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]devices.Point{
		"1-0:1.8.1":       {Name: "energy_import_t1", Kind: devices.KindNumber, Class: "energy", Unit: "kWh"},
		"1-0:1.8.1.255":   {Name: "energy_import_t1", Kind: devices.KindNumber, Class: "energy", Unit: "kWh"},
		"0-1:24.2.1":      {Kind: devices.KindNumber},
		"0-1:24.2.1.time": {Kind: devices.KindTime},
		"0-2:96.1.1":      {Kind: devices.KindText},
		"0-0:1.0.0":       {Name: "time", Kind: devices.KindTime},
	} {
		if got, _ := p1.Describe(source); got.Name != want.Name || got.Kind != want.Kind || got.Class != want.Class || got.Unit != want.Unit {
			t.Errorf("%s: %+v, want %+v", source, got, want)
		}
		if !p1.IsSource(source) {
			t.Errorf("%s is no source", source)
		}
	}
	for _, s := range []string{"", "t", "1", "power import", ".time", "1-0:1.8.1(", "1-0:1.7.0 "} {
		if p1.IsSource(s) {
			t.Errorf("%q is a source", s)
		}
	}
}

// FuzzScanner: whatever comes, in whatever pieces, nothing breaks, memory is bounded, and the pieces make no difference.
func FuzzScanner(f *testing.F) {
	for _, text := range telegrams(f) {
		f.Add([]byte(text), uint16(7))
		f.Add([]byte(text+text[100:]+text), uint16(1))
	}
	f.Add([]byte("/\r\n!0000/!\r\n/!\r\n"), uint16(1))
	f.Fuzz(func(t *testing.T, input []byte, size uint16) {
		whole, why := scanned(string(input))
		var pieces []string
		for rest := string(input); rest != ""; {
			n := min(int(size%64)+1, len(rest))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		parts, whyParts := scanned(pieces...)
		if !reflect.DeepEqual(whole, parts) || !slices.Equal(why, whyParts) {
			t.Fatalf("at once %v %v, in pieces of %d %v %v", whole, why, size%64+1, parts, whyParts)
		}
	})
}

// scanned feeds pieces to a scanner, and asks each telegram for all that it has.
func scanned(pieces ...string) (found []*p1.Telegram, skipped []error) {
	s := p1.Scanner{
		Found: func(t *p1.Telegram, _ time.Time) {
			for source := range t.Offers() {
				t.Find(source)
			}
			for _, code := range t.Codes() {
				t.Find(code)
				t.Find(code + ".time")
			}
			found = append(found, t)
		},
		Skipped: func(why error, _ []byte) { skipped = append(skipped, why) },
	}
	for _, p := range pieces {
		s.Feed([]byte(p), time.Time{})
	}
	return found, skipped
}

func BenchmarkTelegram(b *testing.B) {
	for name, text := range telegrams(b) {
		b.Run(name, func(b *testing.B) {
			piece, found := []byte(text), 0
			s := p1.Scanner{Found: func(*p1.Telegram, time.Time) { found++ }, Skipped: func(error, []byte) {}}
			s.Feed(piece, time.Time{})
			found = 0
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				s.Feed(piece, time.Time{})
				n++
			}
			if found != n {
				b.Fatalf("%d telegrams of %d", found, n)
			}
		})
	}
}
