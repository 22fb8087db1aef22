//go:build dist

package packaging

import (
	"debug/elf"
	"path/filepath"
	"testing"
)

// TestDistIsStatic looks at what `make dist` has built: a binary for each machine, needing no library and no loader.
func TestDistIsStatic(t *testing.T) {
	t.Parallel()
	for name, machine := range map[string]elf.Machine{
		"arm64": elf.EM_AARCH64, "armv7": elf.EM_ARM, "armv6": elf.EM_ARM, "amd64": elf.EM_X86_64,
	} {
		f, err := elf.Open(filepath.Join("..", "dist", "tidings-linux-"+name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		t.Cleanup(func() { _ = f.Close() })
		if f.Machine != machine {
			t.Errorf("%s: is for %v", name, f.Machine)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s: is not static: it has %v", name, p.Type)
			}
		}
	}
}
