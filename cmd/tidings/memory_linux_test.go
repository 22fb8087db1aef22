package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// What is given back is no longer resident, and the program goes on. Others that run at this time take some of it again.
func TestDropProgramPages(t *testing.T) {
	before := residentFile(t)
	if err := dropProgramPages(); err != nil {
		t.Fatal(err)
	}
	if after := residentFile(t); after >= before {
		t.Errorf("%d kB of files were resident, and %d kB are", before, after)
	}
}

// residentFile is how much of files is resident, in kB.
func residentFile(t *testing.T) (kb int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if n, _ := fmt.Sscanf(string(line), "RssFile: %d kB", &kb); n == 1 {
			return kb
		}
	}
	t.Fatal("no RssFile")
	return 0
}
