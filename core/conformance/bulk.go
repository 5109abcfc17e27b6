package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

var bulkCases = group{"bulk status", []testCase{
	{"answers in the order asked, duplicates too", everywhere, bulkOrder},
	{"takes 1 to 200 uids", everywhere, bulkLimits},
	{"is refused when one uid is", everywhere, bulkRefused},
	{"has an entity tag over all of it", everywhere, bulkTag},
	{"304 tells when the first lock ends", standing, bulkExpires},
}}

func bulkOrder(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1", "Ann"), s.as("2")
	ann.do("POST", s.lock("x")).want(granted(hold{uid: "x", fence: "x"}))
	bob.do("POST", s.lock("y"), session("tab")).want(granted(hold{uid: "y", user: "2", fence: "y", sessions: 1}))
	ann.do("POST", s.lock("z")).want(granted(hold{uid: "z", fence: "z"}))
	ann.do("DELETE", s.lock("z")).want(noContent)
	x := hold{uid: "x", fence: "x", name: `"Ann"`, mine: true}.object()
	y := hold{uid: "y", fence: "y", user: "2", sessions: 1, canTakeOver: true}.object()
	z, w := free("z", "z"), free("w", "null")
	ann.do("GET", s.bulk("uid=z&uid=y&uid=x&uid=w")).want(bulk("1", z, y, x, w))
	ann.do("GET", s.bulk("uid=x&uid=w&uid=x&uid=y&uid=x")).want(bulk("2", x, w, x, y, x))
	ann.do("GET", s.bulk("uid=x")).want(bulk("3", x))
	ann.do("GET", s.bulk("a=1&uid=w&UID=x&uids=y&b")).want(bulk("4", w)) // other parameters are nobody's
	bob.do("GET", s.bulk("uid=x")).want(bulk("5", hold{uid: "x", fence: "x", name: `"Ann"`, canTakeOver: true}.object()))
}

func bulkLimits(b *trial) {
	s := b.serve()
	ann := s.as("1")
	query := func(n int) (query string, objects []string) {
		for i := range n {
			query += fmt.Sprintf("&uid=draft-%d", i)
			objects = append(objects, free(fmt.Sprintf("draft-%d", i), "null"))
		}
		return query, objects
	}
	for _, n := range []int{1, 200} {
		q, objects := query(n)
		get := ann.do("GET", s.bulk(q)).want(bulk(fmt.Sprint(n), objects...))
		if n == 200 { // a document larger than a server's buffers is no other document
			if head := ann.do("HEAD", s.bulk(q)).want(bulk(fmt.Sprint(n), objects...)); head.length != get.length {
				b.Fatalf("%v: Content-Length %d, but %d of GET", head.request, head.length, get.length)
			}
		}
	}
	q, _ := query(201)
	ann.do("GET", s.bulk(q)).want(bad(msgBulk))
	ann.do("GET", s.bulk(strings.Repeat("uid=a&", 201))).want(bad(msgBulk))
	for _, q := range []string{"", "x=1", "uids=a"} {
		ann.do("GET", s.bulk(q)).want(bad(msgBulk))
		ann.do("HEAD", s.bulk(q)).want(bad(msgBulk))
	}
	ann.do("GET", s.root()+"s").want(bad(msgBulk))
}

func bulkRefused(b *trial) {
	var asked [][]string
	s := b.serve(func(app *App) {
		app.Authorize = func(_ core.User, uids ...string) error {
			asked = append(asked, uids)
			if slices.Contains(uids, "secret") {
				return errors.New("not for you")
			}
			return nil
		}
	})
	ann := s.as("1")
	ann.do("GET", s.bulk("uid=a&uid=b")).want(bulk("a", free("a", "null"), free("b", "null")))
	ann.do("GET", s.bulk("uid=a&uid=secret")).want(forbidden)
	ann.do("HEAD", s.bulk("uid=secret&uid=a")).want(forbidden)
	ann.do("GET", s.bulk("uid=secret")).want(forbidden)
	ann.do("GET", s.bulk("uid=secret&uid=%20")).want(bad(msgUID)) // 400 goes before 403
	for _, uids := range asked {
		if slices.Contains(uids, " ") {
			b.Fatalf("the hook was asked for %q", uids)
		}
	}
}

func bulkTag(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	target := s.bulk("uid=x&uid=y")
	ann.do("GET", target).want(bulk("free", free("x", "null"), free("y", "null")))
	ann.do("GET", target, "If-None-Match: "+b.names["<tag free>"]).want(notModified("free", 0))
	ann.do("HEAD", target, "If-None-Match: "+b.names["<tag free>"]).want(notModified("free", 0))
	ann.do("POST", s.lock("y")).want(granted(hold{uid: "y", fence: "y"}))
	mine := hold{uid: "y", fence: "y", mine: true}.object()
	ann.do("GET", target, "If-None-Match: "+b.names["<tag free>"]).want(bulk("held", free("x", "null"), mine))
	ann.do("GET", target, "If-None-Match: "+b.names["<tag held>"]).want(notModified("held", 60000))
	bob.do("GET", target, "If-None-Match: "+b.names["<tag held>"]).want(bulk("bob's", free("x", "null"), hold{uid: "y", fence: "y"}.object()))
	ann.do("GET", s.bulk("uid=y&uid=x")).want(bulk("order", mine, free("x", "null")))
	ann.do("GET", target, "If-None-Match: *").want(notModified("held", 60000))
	b.differ("free", "held")
	b.differ("held", "bob's")
	b.differ("held", "order")
}

// bulkExpires: the contract's "as above", for a list: the first end is what a list page waits for.
func bulkExpires(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("x")).want(granted(hold{uid: "x", fence: "x"}))
	b.pass(20 * time.Second)
	ann.do("POST", s.lock("y")).want(granted(hold{uid: "y", fence: "y"}))
	ann.do("GET", s.bulk("uid=y&uid=x&uid=z"), "If-None-Match: *").want(notModified("a", 40000))
}
