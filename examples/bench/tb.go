package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
)

// bed lets core/redistest, whose servers belong to a test, serve a program: what would end the test ends
// the program. Only what redistest calls is there.
type bed struct {
	testing.TB
	cleanups []func()
}

func (b *bed) Helper()                   {}
func (b *bed) Context() context.Context  { return context.Background() }
func (b *bed) Cleanup(f func())          { b.cleanups = append(b.cleanups, f) }
func (b *bed) Logf(f string, a ...any)   { fmt.Fprintf(os.Stderr, f+"\n", a...) }
func (b *bed) Errorf(f string, a ...any) { b.Fatalf(f, a...) }

func (b *bed) Fatalf(f string, a ...any) {
	b.Logf(f, a...)
	b.close()
	os.Exit(1)
}

// Skipf is how redistest says that there is no redis-server.
func (b *bed) Skipf(f string, a ...any) { b.Fatalf(f, a...) }

func (b *bed) TempDir() string {
	dir, err := os.MkdirTemp("", "editlock-bench-")
	if err != nil {
		b.Fatalf("a directory for redis-server: %v", err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (b *bed) close() {
	for _, f := range slices.Backward(b.cleanups) {
		f()
	}
	b.cleanups = nil
}
