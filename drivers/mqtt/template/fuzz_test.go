package template

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// FuzzExecute parses and runs whatever it is given: it may fail, with one line, but not panic, work long, or answer twice
// differently.
func FuzzExecute(f *testing.F) {
	for _, file := range caseFiles {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		source := ""
		for line := range strings.Lines(string(data)) {
			if s, ok := strings.CutPrefix(line, "T "); ok {
				source = s
			} else if s, ok := strings.CutPrefix(line, "<"); ok {
				f.Add(source, strings.TrimSpace(s))
			}
		}
	}
	for _, c := range hostile {
		f.Add(c.source, c.text)
	}
	f.Fuzz(func(t *testing.T, source, text string) {
		if len(text) > 10_000 {
			return
		}
		tmpl, err := Parse(source)
		if err != nil {
			isOneLine(t, err)
			return
		}
		start := time.Now()
		first, err := tmpl.Execute(&Payload{Text: text, Time: noon})
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		if err != nil {
			isOneLine(t, err)
		}
		if len(first.Text) > maxOutput {
			t.Errorf("%d bytes", len(first.Text))
		}
		again, againErr := tmpl.Execute(&Payload{Text: text, Time: noon})
		if again != first || (againErr == nil) != (err == nil) {
			t.Errorf("first %q %v, then %q %v", first, err, again, againErr)
		}
	})
}

func isOneLine(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if s := err.Error(); !errors.As(err, &e) || strings.ContainsAny(s, "\n\r") || len(s) > 600 {
		t.Errorf("%T %q", err, s)
	}
}

// FuzzJSON holds the decoder against encoding/json, and what to_json writes too.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,null,true,"x"],"b":{}}`, `"\u00e9\ud83d\ude00\n"`, "[[[]]]", "-0.0", "1e5", `{"a":1,"a":2}`, " 1 ", "01", "[1,]", `"\ud800"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := JSON(s)
		if valid := json.Valid([]byte(s)); err == nil && !valid {
			t.Fatalf("%q is no JSON", s)
		} else if err != nil {
			// What is refused for its size, and half characters, which encoding/json replaces.
			if valid && !strings.Contains(err.Error(), "too") && !strings.Contains(err.Error(), "half a character") {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		m := machine{steps: 1 << 30, bytes: 1 << 30}
		b, err := m.appendJSON(nil, v, encoding{comma: ",", colon: ":"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if json.Unmarshal([]byte(s), &want) != nil || json.Unmarshal(b, &got) != nil {
			t.Fatalf("%q became %q", s, b)
		}
		x, _ := json.Marshal(want)
		y, _ := json.Marshal(got)
		// An integer has no -0.
		if strings.ReplaceAll(string(x), "-0", "0") != strings.ReplaceAll(string(y), "-0", "0") {
			t.Fatalf("%q became %q", x, y)
		}
	})
}
