package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
)

func TestNoLineIsWiderThanAScreen(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a", strings.Repeat("word ", 40), strings.Repeat("x", 255), strings.Repeat("日本", 100), "a " + strings.Repeat("é", 300)} {
		lines := wrap("editlock: ", "  ", text)
		for _, line := range lines {
			if width(line) > columns {
				t.Errorf("%d columns: %s", width(line), line)
			}
		}
		whole := strings.NewReplacer(" ", "", "editlock:", "").Replace(strings.Join(lines, ""))
		if whole != strings.ReplaceAll(text, " ", "") {
			t.Errorf("%q became %q", text, lines)
		}
	}
}

func TestTableCutsWithAMark(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	long := strings.Repeat("x", 200)
	c := &console{out: &printer{w: &b}}
	c.printTable([][]string{{"A", "B", "C"}, {long, "b", "1"}, {"日" + long, long, "2"}, {"a", "b\x1b[2J", "\u202e"}}, 0, 1)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 4 {
		t.Fatalf("%q", lines)
	}
	for _, line := range lines {
		if width(line) > columns {
			t.Errorf("%d columns: %s", width(line), line)
		}
	}
	if !strings.Contains(lines[1], "x…  b") || !strings.HasSuffix(lines[2], "x…  2") || strings.ContainsAny(lines[3], "\x1b\u202e") {
		t.Errorf("%q", lines)
	}
}

func TestQuotedTextIsOneWordOfAShell(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"draft-7":           "draft-7",
		"editlock:{d}":      "'editlock:{d}'",
		"it's":              `'it'\''s'`,
		"$(rm -r x)":        "'$(rm -r x)'",
		"":                  "''",
		"é":                 "'é'",
		"a\u202eb'\\":       `$'a\xe2\x80\xaeb\x27\x5c'`,
		"127.0.0.1:6379/0@": "127.0.0.1:6379/0@",
	} {
		if got := quote(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestDurationIsBrief(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "<1s", 999 * time.Millisecond: "<1s", time.Second: "1s", 59*time.Second + 999*time.Millisecond: "59s",
		time.Minute: "1m00s", 62 * time.Minute: "1h02m", 24 * time.Hour: "1d00h", 30*24*time.Hour + 5*time.Hour: "30d05h",
	} {
		if got := brief(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestNumberAndStringAreToldApart(t *testing.T) {
	t.Parallel()
	for want, id := range map[string]core.UserID{"1": core.ID(1), `"1"`: core.ID("1"), "ann": core.ID("ann"), "-7": core.ID(-7)} {
		if got := idText(id); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestPlaceNamesNoPassword(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"redis://127.0.0.1:6379/5":                       "Redis at 127.0.0.1:6379/5",
		"rediss://ops:" + secret + "@redis.example:6380": "Redis at redis.example:6380",
		"redis://a:1?addr=b:2&addr=c:3":                  "Redis at a:1, b:2, c:3",
		"redis://a:1?master_name=m&sentinel_password=" + secret + "&sentinel_username=" + secret: "Redis at a:1",
		"unix:///run/redis.sock?db=3": "Redis at /run/redis.sock",
	} {
		if got := place(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}

func TestErrorsAreExplained(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"Redis cannot be reached: no address is known for the host redis.example": &net.OpError{Op: "dial", Err: &net.DNSError{Name: "redis.example"}},
		"Redis does not answer in time":                                           context.DeadlineExceeded,
		"Redis cannot be reached: the connection was closed":                      io.EOF,
		"interrupted": context.Canceled,
		"the record is malformed; editlock show UID says more": core.ErrMalformedRecord,
	} {
		for _, err := range []error{err, fmt.Errorf("%w: status: %w", core.ErrUnavailable, err)} {
			if got := explain(err); got != want {
				t.Errorf("%v: %q, want %q", err, got, want)
			}
		}
	}
}
