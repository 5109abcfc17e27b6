package conformance

import (
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What an answer must be is written as a block: the status, the headers in order, an empty line, the body.
//
//	200
//	Cache-Control: no-store
//	Content-Type: application/json
//
//	{"uid":"draft","user_id":1,"fence":<f>,"renewed":false,"sessions":0,"held_ms":<+0>,"expires_in_ms":<-60000>,"asked_by":null}
//
// Three kinds of placeholders stand for what cannot be written down:
//
//	<+N>     milliseconds that grow with time: N when the clock stands still; <+Ns> whole seconds, rounded down
//	<-N>     milliseconds that shrink with time; <-Ns> whole seconds, rounded up
//	<name>   a fence: the first time any fence, from then on this one; <tag name> an entity tag
var placeholder = regexp.MustCompile(`<[^<>]*>`)

var (
	isTime  = regexp.MustCompile(`^<[+-][0-9]+s?>$`)
	isFence = regexp.MustCompile(`^[1-9][0-9]*$`)
)

// match compares got with a block and remembers what its new names stand for.
func (b *trial) match(pattern, got string) error {
	if plain := b.known(pattern); !placeholder.MatchString(plain) {
		if plain != got {
			return fmt.Errorf("got\n%s\nwant\n%s", indent(got), indent(plain))
		}
		return nil
	}
	var expression strings.Builder
	var holders []string
	at := 0
	for _, span := range placeholder.FindAllStringIndex(pattern, -1) {
		expression.WriteString(regexp.QuoteMeta(pattern[at:span[0]]))
		holder := pattern[span[0]:span[1]]
		value, known := b.names[holder]
		switch {
		case known:
			expression.WriteString(regexp.QuoteMeta(value))
		case strings.HasPrefix(holder, "<tag "):
			expression.WriteString(`(W/"[!#-~]+")`)
			holders = append(holders, holder)
		default:
			expression.WriteString(`([0-9]+)`)
			holders = append(holders, holder)
		}
		at = span[1]
	}
	expression.WriteString(regexp.QuoteMeta(pattern[at:]))
	found := regexp.MustCompile(`^(?s:` + expression.String() + `)$`).FindStringSubmatch(got)
	if found == nil {
		return fmt.Errorf("got\n%s\nwant\n%s", indent(got), indent(b.known(pattern)))
	}
	names := make(map[string]string)
	for i, holder := range holders {
		value := found[i+1]
		var err error
		switch {
		case isTime.MatchString(holder):
			err = b.checkTime(holder, value)
		case names[holder] != "" && names[holder] != value:
			err = fmt.Errorf("%s is both %s and %s", holder, names[holder], value)
		default:
			if n, bad := strconv.ParseInt(value, 10, 64); !strings.HasPrefix(holder, "<tag ") &&
				(bad != nil || n >= 1<<53 || !isFence.MatchString(value)) {
				err = fmt.Errorf("%s is no fence: %s", holder, value)
			}
			names[holder] = value
		}
		if err != nil {
			return fmt.Errorf("%w in\n%s", err, indent(got))
		}
	}
	for holder, value := range names {
		b.names[holder] = value
	}
	return nil
}

// checkTime compares a time with its placeholder. On a clock that goes, it may have moved by what has
// passed since the case began.
func (b *trial) checkTime(holder, value string) error {
	number := strings.TrimSuffix(holder[2:len(holder)-1], "s")
	want, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return err
	}
	got, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return err
	}
	low, high := want, want
	if b.store.clock == nil {
		passed := time.Since(b.began)
		switch {
		case holder[1] == '+' && strings.HasSuffix(holder, "s>"):
			high += int64(math.Ceil(passed.Seconds()))
		case holder[1] == '+':
			high += passed.Milliseconds() + 1
		case strings.HasSuffix(holder, "s>"):
			low = max(1, low-int64(math.Ceil(passed.Seconds())))
		default:
			low = max(1, low-passed.Milliseconds()-1)
		}
	}
	if got < low || got > high {
		return fmt.Errorf("%s is %d, which is not within %d and %d", holder, got, low, high)
	}
	return nil
}

// known is the pattern with what is already known filled in.
func (b *trial) known(pattern string) string {
	return placeholder.ReplaceAllStringFunc(pattern, func(holder string) string {
		if value, ok := b.names[holder]; ok {
			return value
		}
		return holder
	})
}

// fence is the number that a name stands for.
func (b *trial) fence(name string) int64 {
	b.Helper()
	fence, err := strconv.ParseInt(b.names["<"+name+">"], 10, 64)
	if err != nil {
		b.Fatalf("the suite is at fault: fence %q is not known", name)
	}
	return fence
}

// grew demands that each fence is larger than the one before it.
func (b *trial) grew(names ...string) {
	b.Helper()
	for i := range len(names) - 1 {
		if old, new := b.fence(names[i]), b.fence(names[i+1]); new <= old {
			b.Fatalf("fence %s is %d and %s after it is %d, which is not larger", names[i], old, names[i+1], new)
		}
	}
}

// differ demands that two entity tags are not the same.
func (b *trial) differ(one, other string) {
	b.Helper()
	if tag := b.names["<tag "+one+">"]; tag == b.names["<tag "+other+">"] {
		b.Fatalf("entity tags %s and %s are both %s", one, other, tag)
	}
}

// block is the reply as blocks are written. Content-Length is compared with the body and left out.
func (r *reply) block() string {
	var lines []string
	for _, f := range r.header {
		if f.name != "Date" && f.name != "Content-Length" {
			lines = append(lines, f.name+": "+f.value)
		}
	}
	slices.Sort(lines)
	text := strconv.Itoa(r.status) + "\n" + strings.Join(lines, "\n")
	if r.body != "" {
		text += "\n\n" + r.body
	}
	return text
}

// checkLength compares Content-Length with what the method and the status allow.
func (r *reply) checkLength() error {
	switch {
	case r.status == http.StatusNoContent || r.status == http.StatusNotModified:
		if r.length >= 0 {
			return fmt.Errorf("status %d has Content-Length %d", r.status, r.length)
		}
	case r.length < 0:
		return fmt.Errorf("status %d has no Content-Length", r.status)
	case r.request.method != http.MethodHead && r.length != len(r.body):
		return fmt.Errorf("Content-Length %d for a body of %d bytes", r.length, len(r.body))
	}
	return nil
}

// indent writes an answer into a message; of a long one the beginning and the end.
func indent(text string) string {
	const most = 3000
	if len(text) > most {
		text = text[:most/2] + " ... " + text[len(text)-most/2:]
	}
	return "\t" + strings.ReplaceAll(text, "\n", "\n\t")
}
