package conformance

import (
	"testing"
	"time"
)

func testBench(standing bool, passed time.Duration) *trial {
	b := &trial{store: &store{}, began: time.Now().Add(-passed), names: map[string]string{"<old>": "7", "<tag t>": `W/"x"`}}
	if standing {
		b.store.clock = &clock{}
	}
	return b
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, pattern, got string
		standing           bool
		passed             time.Duration
		want               bool
	}{
		{"the same", "a.b\n", "a.b\n", true, 0, true},
		{"a character is itself", "a.b", "a+b", true, 0, false},
		{"a byte too much", "a", "a\n", true, 0, false},
		{"a byte before", "a", " a", true, 0, false},
		{"a new fence", "<f>", "1790000000000000", true, 0, true},
		{"no fence", "<f>", "0", true, 0, false},
		{"no fence with a zero before", "<f>", "07", true, 0, false},
		{"no fence of 2^53", "<f>", "9007199254740992", true, 0, false},
		{"a known fence", "<old>", "7", true, 0, true},
		{"another than the known fence", "<old>", "8", true, 0, false},
		{"one fence twice", "<f> <f>", "5 5", true, 0, true},
		{"two fences for one name", "<f> <f>", "5 6", true, 0, false},
		{"a new tag", "<tag n>", `W/"1-a"`, true, 0, true},
		{"a strong tag", "<tag n>", `"1-a"`, true, 0, false},
		{"another than the known tag", "<tag t>", `W/"y"`, true, 0, false},
		{"the very time on a standing clock", "<+5> <-5> <-5s>", "5 5 5", true, time.Hour, true},
		{"a later time on a standing clock", "<+5>", "6", true, time.Hour, false},
		{"an earlier time on a standing clock", "<-5>", "4", true, time.Hour, false},
		{"time has passed", "<+5> <-60000> <-60s>", "1005 59000 59", false, time.Second, true},
		{"time has passed, but not so much", "<+5>", "9005", false, time.Second, false},
		{"time has run down, but not so much", "<-60000>", "58000", false, time.Second, false},
		{"time runs down, not up", "<-60000>", "60001", false, time.Second, false},
		{"time grows, not down", "<+5>", "4", false, time.Second, false},
		{"seconds run down, not up", "<-60s>", "61", false, time.Second, false},
		{"time never runs down to nothing", "<-5>", "0", false, time.Second, false},
		{"a negative time", "<-5>", "-1", false, time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := testBench(c.standing, c.passed).match(c.pattern, c.got); (err == nil) != c.want {
				t.Errorf("match(%q, %q) = %v", c.pattern, c.got, err)
			}
		})
	}
}

// A mismatch names nothing: what a wrong answer said is no expectation for the next.
func TestMatchNamesNothingOnMismatch(t *testing.T) {
	t.Parallel()
	b := testBench(true, 0)
	if b.match("<f> x", "5 y") == nil || b.match("<f> <+1>", "5 2") == nil {
		t.Fatal("no mismatch")
	}
	if err := b.match("<f>", "6"); err != nil {
		t.Error(err)
	}
}

func TestCheckLength(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		method string
		status int
		length int
		body   string
		want   bool
	}{
		{"right", "GET", 200, 2, "{}", true},
		{"missing", "GET", 200, -1, "{}", false},
		{"wrong", "GET", 200, 3, "{}", false},
		{"of a body that HEAD leaves out", "HEAD", 200, 2, "", true},
		{"missing for HEAD", "HEAD", 200, -1, "", false},
		{"none for 204", "DELETE", 204, -1, "", true},
		{"with 204", "DELETE", 204, 0, "", false},
		{"with 304", "GET", 304, 0, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := &reply{request: request{method: c.method}, status: c.status, length: c.length, body: c.body}
			if err := r.checkLength(); (err == nil) != c.want {
				t.Errorf("checkLength() = %v", err)
			}
		})
	}
}
