package main

import (
	"reflect"
	"testing"
)

func TestCommandsAreReadFromTheWire(t *testing.T) {
	wire := "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n"
	got, err := commandsIn([]byte(wire))
	want := []recorded{{args: []any{"SET", "k", "a\r\nb"}}, {args: []any{"GET", ""}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
	for name, broken := range map[string]string{
		"cut": wire[:12], "no array": "+OK\r\n", "no number": "*x\r\n", "cut in a string": "*1\r\n$9\r\nGE", "an empty line": "\n",
	} {
		if got, err := commandsIn([]byte(broken)); err == nil {
			t.Errorf("%s: got %q and no error", name, got)
		}
	}
}
