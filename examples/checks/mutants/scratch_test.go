package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestScratchLeavesTheTreeAlone(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	of := tree{t.TempDir(), []string{"p/p.go"}}
	original := filepath.Join(of.root, "p", "p.go")
	if err := os.Mkdir(filepath.Dir(original), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(original, []byte(goSource), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := newScratch(of)
	if err != nil {
		t.Fatal(err)
	}
	m := goMutants(t, goSource)[0]
	m.file = "p/p.go"
	undo, err := s.mutate(m)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(s.root, "p", "p.go")
	expectFile(t, copied, string(m.apply([]byte(goSource))))
	expectFile(t, original, goSource)
	if err := undo(); err != nil {
		t.Fatal(err)
	}
	expectFile(t, copied, goSource)
	s.remove()
	if _, err := os.Stat(s.folder); !os.IsNotExist(err) {
		t.Errorf("the copy is still there: %v", err)
	}
}

func expectFile(t *testing.T, name, want string) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

func TestPackageOf(t *testing.T) {
	of := tree{files: []string{"core/internal/record/lua/grant.lua", "core/internal/record/record.go", "core/open.go"}}
	if got := of.packageOf("core/internal/record/lua/grant.lua"); got != "./core/internal/record" {
		t.Errorf("the script is of %s", got)
	}
	if got := of.packageOf("core/open.go"); got != "./core" {
		t.Errorf("open.go is of %s", got)
	}
}
