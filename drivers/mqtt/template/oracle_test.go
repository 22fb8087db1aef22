//go:build servers

package template

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what Jinja2 answers into the cases")

// TestOracle has Jinja2 render every case, with Home Assistant's filters beside it. It is Debian's python3-jinja2, so not
// whichever python3 comes first.
func TestOracle(t *testing.T) {
	t.Parallel()
	for _, file := range caseFiles {
		cases := readCases(t, file)
		var in [][2]string
		for _, c := range cases {
			in = append(in, [2]string{c.source, c.text})
		}
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/oracle.py")
		cmd.Stdin = bytes.NewReader(data)
		var out, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %s", err, stderr.Bytes())
		}
		var answers [][2]string
		if err := json.Unmarshal(out.Bytes(), &answers); err != nil {
			t.Fatal(err)
		}
		wants := map[int]string{}
		for i, c := range cases {
			want := map[string]string{"undefined": "?", "error": "!"}[answers[i][0]]
			if want == "" {
				want = written(answers[i][1])
			}
			wants[c.line] = want
			if got, err := c.answer(); got != want {
				t.Errorf("%v\n   got %s %v\nJinja2 %s %s", c, got, err, want, answers[i][1])
			}
		}
		if *update {
			writeAnswers(t, file, wants)
		}
	}
}

// writeAnswers puts answers behind their payloads.
func writeAnswers(t *testing.T, file string, wants map[int]string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i, line := range strings.Split(string(data), "\n") {
		if len(line) > 0 && strings.Contains(">?!", line[:1]) {
			continue
		}
		lines = append(lines, line)
		if want, ok := wants[i+1]; ok {
			lines = append(lines, want)
		}
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}
