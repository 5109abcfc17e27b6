package core_test

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

//go:embed struct.lua
var structLua string

// TestStructIsRedisOwn compares struct.lua, where a server has none, with the library itself and with Go.
func TestStructIsRedisOwn(t *testing.T) {
	t.Parallel()
	const known = "rawget(_G, 'struct')"
	if strings.Count(structLua, known) != 1 {
		t.Fatalf("struct.lua does not ask for %s", known)
	}
	client := redistest.Start(t).Client(t)
	for name, test := range map[string]struct {
		format string
		parts  []any
	}{
		"zero":            {"<d", []any{0}},
		"numbers":         {"<dddd", []any{1, 2, 3, 1e6}},
		"times":           {"<ddd", []any{1790000000000000, 1790000000000001, 1 << 52}},
		"the last fences": {"<dd", []any{core.MaxFence - 1, core.MaxFence}},
		"bytes":           {"<BBB", []any{byte(0), byte(32), byte(255)}},
		"texts":           {"<sss", []any{"", "i1", "Jürgen \\: \xff"}},
		"a value":         {"<ddddBssds", []any{7, 5, 9, 0, byte(1), "i1", "Ann", 1790000000000000, "s"}},
	} {
		packed, args := core.Packed(test.parts...), append([]any{test.format}, test.parts...)
		for library, text := range map[string]string{"Redis": "", "struct.lua": strings.Replace(structLua, known, "nil", 1)} {
			// Numbers come as text, and go back as such.
			got, err := client.Eval(t.Context(), text+`
				local parts, i = {}, 1
				for kind in string.gmatch(ARGV[1], '[dBs]') do
					i = i + 1
					parts[#parts + 1] = kind == 's' and ARGV[i] or tonumber(ARGV[i])
				end
				return struct.pack(ARGV[1], unpack(parts))`, nil, args...).Text()
			if err != nil || got != packed {
				t.Errorf("%s: %s packs %x, want %x, %v", name, library, got, packed, err)
			}
			got, err = client.Eval(t.Context(), text+`
				local parts = { struct.unpack(ARGV[1], ARGV[2]) }
				local at = table.remove(parts)
				if at ~= #ARGV[2] + 1 then return 'ends at ' .. at end
				return struct.pack(ARGV[1], unpack(parts))`, nil, test.format, packed).Text()
			if err != nil || got != packed {
				t.Errorf("%s: %s unpacks what it packs again as %x, want %x, %v", name, library, got, packed, err)
			}
			for n := range len(packed) {
				if got, err := client.Eval(t.Context(), text+"return { struct.unpack(ARGV[1], ARGV[2]) }", nil, test.format, packed[:n]).Result(); err == nil {
					t.Errorf("%s: %s unpacks the first %d bytes: %v", name, library, n, got)
				}
			}
		}
	}
}
