package rest

import (
	"testing"
	"time"
)

// A wait may be written in every way that RFC 7240 allows; anything else is no wait.
func TestPreferWait(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		lines []string
		want  time.Duration
	}{
		{nil, 0},
		{[]string{""}, 0},
		{[]string{"wait=10"}, 10 * time.Second},
		{[]string{`wait="10"`}, 10 * time.Second},
		{[]string{"wait= 10"}, 10 * time.Second},
		{[]string{"wait =10"}, 10 * time.Second},
		{[]string{"\twait = \"10\" "}, 10 * time.Second},
		{[]string{"Wait=10"}, 10 * time.Second},
		{[]string{"WAIT=010"}, 10 * time.Second},
		{[]string{"wait=10; x=y"}, 10 * time.Second},
		{[]string{"wait=10 ;x"}, 10 * time.Second},
		{[]string{"respond-async, wait=10"}, 10 * time.Second},
		{[]string{"respond-async", "wait=10"}, 10 * time.Second},
		{[]string{",, wait=10,"}, 10 * time.Second},
		{[]string{"wait=10, wait=20"}, 10 * time.Second}, // the first counts
		{[]string{"wait=10", "wait=20"}, 10 * time.Second},
		{[]string{"wait=soon, wait=20"}, 0},
		{[]string{"wait=25"}, maxWait},
		{[]string{"wait=26"}, maxWait},
		{[]string{"wait=18446744073709551615"}, maxWait},
		{[]string{"wait=99999999999999999999999"}, maxWait}, // more than 64 bits
		{[]string{"wait=0"}, 0},
		{[]string{"wait"}, 0},
		{[]string{"wait="}, 0},
		{[]string{`wait=""`}, 0},
		{[]string{"wait=-1"}, 0},
		{[]string{"wait=+1"}, 0},
		{[]string{"wait=1.5"}, 0},
		{[]string{"wait=1e1"}, 0},
		{[]string{"wait=0x10"}, 0},
		{[]string{"wait=1 0"}, 0},
		{[]string{"waiting=10"}, 0},
		{[]string{"x; wait=10"}, 0}, // a parameter of another preference
		{[]string{"10"}, 0},
	} {
		r := Request{Header: func(name string) []string {
			if name != "Prefer" {
				t.Errorf("asked for the header %q", name)
			}
			return test.lines
		}}
		if got := r.preferWait(); got != test.want {
			t.Errorf("Prefer: %q is a wait of %v, want %v", test.lines, got, test.want)
		}
	}
}
