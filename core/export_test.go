package core

import (
	"encoding/binary"
	"math"
)

// Alone is how many calls go by themselves.
const Alone = alone

// Packed is what struct.pack makes in Redis: of an int a double, of a byte a byte, of a string a string
// that a zero ends.
func Packed(parts ...any) string {
	var text []byte
	for _, part := range parts {
		switch part := part.(type) {
		case int:
			text = binary.LittleEndian.AppendUint64(text, math.Float64bits(float64(part)))
		case float64:
			text = binary.LittleEndian.AppendUint64(text, math.Float64bits(part))
		case byte:
			text = append(text, part)
		case string:
			text = append(append(text, part...), 0)
		default:
			panic("neither number nor byte nor string")
		}
	}
	return string(text)
}

// Sessions returns those with a claim in a value, and the part that follows: the ended ones.
func Sessions(value string) (names []string, ended string) {
	p := unpacker{text: value}
	p.cut(4 * 8)
	count := p.byte()
	p.text0()
	p.text0()
	for range count {
		p.whole()
		names = append(names, p.text0())
	}
	return names, p.text
}
