package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/internal/record"
)

//go:embed show.lua
var showLua string

// maxSize is how long a record may be, in bytes.
const maxSize = 16 << 10

// found is what a resource's key holds.
type found struct {
	now  int64         // of Redis's clock, in milliseconds, as all times of a record
	kind string        // of the value, as TYPE says it; none where there is no key
	text string        // its beginning
	size int           // of the text, in bytes
	left time.Duration // until the key ends; below 0 where it does not end

	record.Record
	ended []endedSession
	wrong string // why the value is no record; empty where it is one
}

// endedSession is a session that was released, as the record has it.
type endedSession struct {
	User    json.RawMessage `json:"user"`
	Session string          `json:"session"`
	Until   int64           `json:"until"`
}

// read reads what a key holds, in one step.
func (s *session) read(ctx context.Context, key string) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reply, err := s.client.Eval(ctx, showLua, []string{key}).Slice()
	if err != nil {
		return found{}, err
	}
	f, err := newFound(reply)
	if err != nil {
		return found{}, err
	}
	if f.kind == "none" {
		return f, nil
	}
	if f.kind != "string" || f.Parse(f.text) != nil {
		f.wrong = whatIsWrong(f)
		f.Record = record.Record{}
		return f, nil
	}
	f.ended = endedOf(f.text)
	return f, nil
}

// newFound reads the reply of show.lua.
func newFound(reply []any) (f found, err error) {
	if len(reply) != 6 {
		return found{}, errors.New("the answer of Redis makes no sense")
	}
	number := func(i int) int64 {
		n, failed := strconv.ParseInt(fmt.Sprint(reply[i]), 10, 64)
		err = errors.Join(err, failed)
		return n
	}
	f.now = number(0)*1000 + number(1)/1000
	f.kind, f.text = fmt.Sprint(reply[2]), fmt.Sprint(reply[3])
	f.size, f.left = int(number(4)), time.Duration(number(5))*time.Millisecond
	return f, err
}

// endedOf returns the ended sessions of a valid record.
func endedOf(text string) []endedSession {
	var r struct {
		Ended json.RawMessage `json:"ended"`
	}
	var list []endedSession
	if json.Unmarshal([]byte(text), &r) != nil || json.Unmarshal(r.Ended, &list) != nil {
		return nil // Redis writes an empty list as {}
	}
	return list
}

// whatIsWrong says why a value is no record.
func whatIsWrong(f found) string {
	var fields map[string]json.RawMessage
	switch {
	case f.kind != "string":
		return "it is no text but a value of another type: " + f.kind
	case f.size > maxSize:
		return fmt.Sprintf("it has %d bytes, and a record has at most %d", f.size, maxSize)
	case !strings.HasPrefix(f.text, "{") || json.Unmarshal([]byte(f.text), &fields) != nil:
		return "it is not the JSON of an object"
	}
	// With a holder and a fence that are valid, a field is wrong if it is by itself.
	for _, name := range []string{"user", "fence", "name", "since", "leases", "linger", "session", "ended"} {
		value, there := fields[name]
		if !there {
			continue
		}
		alone := map[string]json.RawMessage{"user": []byte("1"), "fence": []byte("1"), name: value}
		text, err := json.Marshal(alone)
		if err != nil || new(record.Record).Parse(string(text)) != nil {
			return fmt.Sprintf("its field %q has a value that editlock never writes", name)
		}
	}
	for _, name := range []string{"user", "fence"} {
		if _, there := fields[name]; !there {
			return fmt.Sprintf("its field %q is missing", name)
		}
	}
	return "it is JSON, and not as editlock writes it"
}

// userOf returns a user of a record.
func userOf(id record.User, name string) core.User {
	text := id.ID()
	if inner, ok := strings.CutPrefix(text, `"`); ok {
		return core.User{ID: core.ID(strings.TrimSuffix(inner, `"`)), Name: name}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return core.User{Name: name}
	}
	return core.User{ID: core.ID(n), Name: name}
}

// user returns whose session has ended.
func (e endedSession) user() core.User {
	var text string
	if json.Unmarshal(e.User, &text) == nil {
		return userOf(record.User(`"`+text+`"`), "")
	}
	return userOf(record.User(bytes.TrimSpace(e.User)), "")
}
