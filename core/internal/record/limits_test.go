package record

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestDurationsAreRoundedUp(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int64{
		0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, 2*time.Millisecond - 1: 2, time.Minute: 60000,
	} {
		if got := ceil(d); got != want {
			t.Errorf("%v is %d ms, want %d", d, got, want)
		}
	}
}

// TestLimitsAreTheContracts compares the limits in Lua with those in Go, and with what rest/CONTRACT.md says.
func TestLimitsAreTheContracts(t *testing.T) {
	t.Parallel()
	limit := func(name string) float64 {
		t.Helper()
		for _, line := range regexp.MustCompile(`(?m)^local ([A-Z_, ]+) = (.*)$`).FindAllStringSubmatch(recordLua, -1) {
			names, values := regexp.MustCompile(`[A-Z_]+`).FindAllString(line[1], -1), regexp.MustCompile(`[0-9e]+`).FindAllString(line[2], -1)
			for i := range names {
				if names[i] == name && i < len(values) {
					n, err := strconv.ParseFloat(values[i], 64)
					if err != nil {
						t.Fatal(err)
					}
					return n
				}
			}
		}
		t.Fatalf("record.lua has no %s", name)
		return 0
	}
	for name, want := range map[string]float64{
		"MAX_SIZE":     maxSize,
		"MAX_NUMBER":   maxNumber,
		"MAX_SESSIONS": 32,
		"MAX_ENDED":    64,
		"ENDED_MEMORY": float64((10 * time.Minute).Milliseconds()),
		"ASK_MEMORY":   float64((30 * time.Second).Milliseconds()),
	} {
		if got := limit(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if read := fmt.Sprintf("'GETRANGE', KEYS[1], '0', '%d'", maxSize); !strings.Contains(recordLua, read) {
		t.Errorf("record.lua does not read one byte more than a record may have: %s", read)
	}
	if maxNumber != 1e14 {
		t.Errorf("cjson prints 14 digits of a number, so %v would be changed", float64(maxNumber))
	}
}
