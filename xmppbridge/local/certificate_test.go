package local

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

func TestCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made, print1, err := Certificate(dir, "home.example", "192.0.2.7", "gateway.lan", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(made.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"home.example", "localhost", "127.0.0.1", "::1", "192.0.2.7", "gateway.lan"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if years := time.Until(leaf.NotAfter).Hours() / 24 / 365; years < 19.9 {
		t.Errorf("valid for %.1f years", years)
	}
	if !regexp.MustCompile(`^([0-9A-F]{2}:){31}[0-9A-F]{2}$`).MatchString(print1) {
		t.Errorf("fingerprint %q", print1)
	}
	path := filepath.Join(dir, CertificateFile)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, print2, err := Certificate(dir, "home.example", "another.lan"); err != nil || print2 != print1 {
		t.Errorf("the second time: %s, %v", print2, err)
	}
	if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Certificate(dir, "home.example"); err == nil {
		t.Error("garbage is accepted")
	}
	if _, _, err := Certificate(filepath.Join(dir, "missing"), "home.example"); err == nil {
		t.Error("a directory that is not there is accepted")
	}
}
