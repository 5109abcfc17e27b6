package core

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// call is one question to Redis about one key: an operation's script, or a plain read (read.go). It is the
// command itself, whose arguments point to its fields, so that a call costs no allocation of its own: it
// comes from a pool and goes back when its reply has been read. One whose outcome nobody waited for does
// not go back, since the client may still be at it.
type call struct {
	*redis.StringCmd
	script *script
	pooled bool
	plain  bool  // a read
	now    int64 // of a read: Redis TIME after it, in microseconds

	sha, key, owner, name, session, channel string
	duration, fence, life                   int64
	mode                                    int // of a check

	alone   [1]*call // itself, where it goes by itself
	waiting waiting  // batch.go
}

// NoRetry keeps go-redis from sending a call again: store.run decides that.
func (*call) NoRetry() bool { return true }

// The modes of a check, as check.lua reads them.
const (
	modeRenew   = 1
	modeAcquire = 2
)

// newCall returns a call of a script that takes what hold.lua says. The duration is the timeout, or a linger,
// or 0.
func (l *Locker) newCall(sc *script, key string, duration time.Duration) *call {
	c, ok := l.store.scripts.Get().(*call)
	switch {
	case !ok:
		c = &call{pooled: true}
		c.init(redis.NewStringCmd(context.Background(), "evalsha", &c.sha, 1, &c.key, &c.owner, &c.name, &c.session,
			&c.duration, &c.fence, &c.life, &c.channel, &c.mode))
	case !l.store.oneServer:
		// A cluster client keeps a key's slot in the command, so another key needs another command.
		c.StringCmd = redis.NewStringCmd(context.Background(), c.Args()...)
	}
	c.script, c.sha, c.key = sc, sc.sha, key
	c.duration, c.channel = duration.Microseconds(), l.channel
	c.life = (duration + l.retention + time.Millisecond - 1).Milliseconds()
	return c
}

// newRead returns a call that reads the key for an operation.
func (l *Locker) newRead(sc *script, key string) *call {
	c, ok := l.store.reads.Get().(*call)
	if !ok {
		c = &call{pooled: true, plain: true}
		c.init(redis.NewStringCmd(context.Background(), "getex", &c.key))
	}
	c.script, c.key = sc, key
	return c
}

// newOtherCall returns a call of a script with arguments of its own.
func newOtherCall(sc *script, key string, args ...any) *call {
	c := &call{script: sc, key: key}
	c.init(redis.NewStringCmd(context.Background(), append([]any{"evalsha", sc.sha, 1, key}, args...)...))
	return c
}

func (c *call) init(cmd *redis.StringCmd) {
	c.StringCmd = cmd
	c.alone[0] = c
}

// reset makes the call ready to be sent, once more or for the first time.
func (c *call) reset() {
	c.SetErr(nil)
	c.SetVal("")
	c.now = 0
}

// spellOut makes the call send the script itself, which Redis does not know by its hash.
func (c *call) spellOut() {
	c.pooled = false // it is another command from here on
	c.StringCmd = redis.NewStringCmd(context.Background(), append([]any{"eval", c.script.text}, c.Args()[2:]...)...)
}

// failure is why there is no reply; a key that does not exist is one.
func (c *call) failure() error {
	err := c.Err()
	if c.plain && err == redis.Nil {
		return nil
	}
	return err
}

// giveBack ends the use of a call whose reply has been read. Strings that came from the reply stay valid.
func (s *store) giveBack(c *call) {
	switch {
	case !c.pooled:
	case c.plain:
		s.reads.Put(c)
	default:
		c.owner, c.name, c.session, c.fence, c.mode = "", "", "", 0, 0
		s.scripts.Put(c)
	}
}
