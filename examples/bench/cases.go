package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidislock"

	"github.com/editlock/editlock/core"
)

// What is measured in the engine's part. The rule of this file: a case is one entry of a table; it hands
// each caller a call on a key of the caller's own (but "one key"), and a call that ends otherwise than the
// case is about is an error, so that nothing fast and wrong is measured.
//
// Each library is set up as its documentation recommends, with what it needs for 256 callers: go-redis, and
// so redislock, redsync and editlock on it, with 256 connections in the pool; rueidis pipelines by itself.

const (
	// held is the timeout of what is held through the whole run, brief that of what is released at once.
	held, brief = 24 * time.Hour, 10 * time.Minute
	// patience is the time limit of plain go-redis, so that a busy machine makes a call slow and not an error.
	// The engine keeps its own, but in a short run.
	patience = 30 * time.Second
	// pool is the size of go-redis's pool, and the most callers there are.
	pool = 256
)

// benchCase is one row of the table.
type benchCase struct {
	name    string
	callers []int // Optional. Only these of the numbers that the command line says.
	open    opener
}

type (
	// opener sets a case up, for all callers.
	opener func(s *site) (maker, error)
	// maker makes one caller's call.
	maker func(caller int) (call, error)
)

// site is where cases run. What a case opens is closed with it.
type site struct {
	ctx     context.Context
	addr    string
	more    []string                // addresses of the cluster of which addr is a node; nil: addr is a server by itself
	db      int                     // of editlock
	patient bool                    // editlock is, too
	pool    int                     // connections of a client; 0: as many as go-redis likes
	hook    redis.Hook              // of go-redis clients; nil: none
	tap     func(net.Conn) net.Conn // around the connections of rueidis's clients; nil: none
	shared  *redis.Client
	closers []func()
}

func newSite(ctx context.Context, addr string) *site { return &site{ctx: ctx, addr: addr, pool: pool} }

func (s *site) onClose(f func()) { s.closers = append(s.closers, f) }

func (s *site) close() {
	for _, f := range s.closers {
		f()
	}
}

// goRedis is one client for all cases on plain go-redis.
func (s *site) goRedis() *redis.Client {
	if s.shared == nil {
		s.shared = redis.NewClient(&redis.Options{
			Addr: s.addr, PoolSize: s.pool, DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, PoolTimeout: patience,
		})
		if s.hook != nil {
			s.shared.AddHook(s.hook)
		}
		s.onClose(func() { _ = s.shared.Close() })
	}
	return s.shared
}

func (s *site) rueidis() (rueidis.Client, error) {
	client, err := rueidis.NewClient(s.rueidisOption())
	if err == nil {
		s.onClose(client.Close)
	}
	return client, err
}

func (s *site) rueidisOption() rueidis.ClientOption {
	option := rueidis.ClientOption{InitAddress: []string{s.addr}}
	if s.tap != nil {
		option.DialCtxFn = func(ctx context.Context, addr string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			return s.tap(conn), nil
		}
	}
	return option
}

// locker is made as an application makes it.
func (s *site) locker(options core.Options) (*core.Locker, error) {
	if err := errors.Join(os.Setenv(core.EnvURL, s.redisURL()), os.Setenv(core.EnvDB, strconv.Itoa(s.db))); err != nil {
		return nil, err
	}
	client, err := core.Open(s.ctx)
	if err != nil {
		return nil, err
	}
	if s.hook != nil {
		client.AddHook(s.hook)
	}
	if s.patient {
		options.Timeout = 2 * patience
	}
	locker, err := core.New(client, options)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	s.onClose(func() { _, _ = locker.Close(), client.Close() })
	return locker, nil
}

// redisURL is what core.Open finds in the environment.
func (s *site) redisURL() string {
	// Without batching, 256 callers may dial at once.
	url := fmt.Sprintf("redis://%s/0?pool_size=%d&dial_timeout=%v", s.addr, s.pool, patience)
	if s.patient {
		url += fmt.Sprintf("&read_timeout=%[1]v&write_timeout=%[1]v&pool_timeout=%[1]v", patience)
	}
	for _, node := range s.more {
		url += "&addr=" + node
	}
	return url
}

// engineCalls are the calls of an application, as their cases are named behind the engine.
var engineCalls = []string{"acquire + release", "acquire", "renew", "denied", "guard check"}

// landmarks are the numbers of callers at which a case is measured that is only there to compare with.
var landmarks = []int{1, 16, 64, 256}

// engines are the ways to set up editlock that are measured.
var engines = []struct {
	name    string
	options core.Options
}{
	{"editlock", core.Options{}},
	{"editlock, NoBatching", core.Options{NoBatching: true}},
}

// indexing are the ways that keep an index by user: what it adds to a call that may make or renew a hold.
var indexing = []struct {
	name    string
	options core.Options
}{
	{"editlock, IndexUsers", core.Options{IndexUsers: true}},
	{"editlock, MaxLocksPerUser", core.Options{MaxLocksPerUser: 100}},
}

func cases() []benchCase {
	var all []benchCase
	all = append(all, rawCases()...)
	all = append(all, redislockCases()...)
	all = append(all, redsyncCases()...)
	all = append(all, rueidislockCases()...)
	for _, engine := range engines {
		all = append(all, editlockCases(engine.name, engine.options)...)
	}
	for _, engine := range indexing {
		for _, one := range editlockCases(engine.name, engine.options) {
			if one.name == engine.name+" renew" || one.name == engine.name+" acquire + release" {
				one.callers = landmarks
				all = append(all, one)
			}
		}
	}
	return all
}

// minimal is what a lock in a script costs at least, without holders, fences and sessions: who comes first
// acquires it, renews it by coming again, and the others learn who.
const minimal = `local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]`

const heldMS = "86400000"

func rawCases() []benchCase {
	get := func(client redis.Cmdable) maker {
		return func(caller int) (call, error) {
			key := name("get", caller)
			err := client.Set(context.Background(), key, "someone", held).Err()
			return func(ctx context.Context) error { return client.Get(ctx, key).Err() }, err
		}
	}
	autoPipeline := func(fullDuplex bool) opener {
		return func(s *site) (maker, error) {
			options := redis.DefaultBlockingAutoPipelineOptions()
			options.FullDuplex = fullDuplex
			client := redis.NewClient(&redis.Options{Addr: s.addr}) // it has one AutoPipeline only
			s.onClose(func() { _ = client.Close() })
			pipeline, err := client.AutoPipelineWithOptions(options)
			if err != nil {
				return nil, err
			}
			return get(pipeline), nil
		}
	}
	return []benchCase{
		{name: "go-redis PING", callers: landmarks, open: func(s *site) (maker, error) {
			client := s.goRedis()
			return func(int) (call, error) {
				return func(ctx context.Context) error { return client.Ping(ctx).Err() }, nil
			}, nil
		}},
		{name: "go-redis GET", open: func(s *site) (maker, error) { return get(s.goRedis()), nil }},
		{name: "go-redis EVALSHA", open: func(s *site) (maker, error) {
			client := s.goRedis()
			sha, err := client.ScriptLoad(s.ctx, minimal).Result()
			return func(caller int) (call, error) {
				keys, owner := []string{name("evalsha", caller)}, "someone"
				return func(ctx context.Context) error {
					got, err := client.EvalSha(ctx, sha, keys, owner, heldMS).Text()
					return expect(got, owner, err)
				}, nil
			}, err
		}},
		{name: "go-redis AutoPipeline GET, half duplex", callers: landmarks, open: autoPipeline(false)},
		{name: "go-redis AutoPipeline GET, full duplex", callers: landmarks, open: autoPipeline(true)},
		{name: "rueidis GET", open: func(s *site) (maker, error) {
			client, err := s.rueidis()
			return func(caller int) (call, error) {
				key := name("rueidis-get", caller)
				err := client.Do(s.ctx, client.B().Set().Key(key).Value("someone").Px(held).Build()).Error()
				return func(ctx context.Context) error {
					got, err := client.Do(ctx, client.B().Get().Key(key).Build()).ToString()
					return expect(got, "someone", err)
				}, err
			}, err
		}},
		{name: "rueidis EVALSHA", callers: landmarks, open: func(s *site) (maker, error) {
			client, err := s.rueidis()
			script := rueidis.NewLuaScript(minimal)
			return func(caller int) (call, error) {
				keys, args := []string{name("rueidis-evalsha", caller)}, []string{"someone", heldMS}
				return func(ctx context.Context) error {
					got, err := script.Exec(ctx, client, keys, args).ToString()
					return expect(got, "someone", err)
				}, nil
			}, err
		}},
	}
}

func redislockCases() []benchCase {
	open := func(do func(client *redislock.Client, caller int) (call, error)) opener {
		return func(s *site) (maker, error) {
			client := redislock.New(s.goRedis())
			return func(caller int) (call, error) { return do(client, caller) }, nil
		}
	}
	return []benchCase{
		{name: "redislock acquire + release", open: open(func(client *redislock.Client, caller int) (call, error) {
			key := name("redislock", caller)
			return func(ctx context.Context) error {
				lock, err := client.Obtain(ctx, key, brief, nil)
				if err != nil {
					return err
				}
				return lock.Release(ctx)
			}, nil
		})},
		{name: "redislock denied", open: open(func(client *redislock.Client, caller int) (call, error) {
			key := name("redislock-denied", caller)
			_, err := client.Obtain(context.Background(), key, held, nil)
			return func(ctx context.Context) error {
				_, err := client.Obtain(ctx, key, brief, nil)
				return refusal(err, redislock.ErrNotObtained)
			}, err
		})},
		{name: "redislock renew", open: open(func(client *redislock.Client, caller int) (call, error) {
			lock, err := client.Obtain(context.Background(), name("redislock-renew", caller), held, nil)
			return func(ctx context.Context) error { return lock.Refresh(ctx, held, nil) }, err
		})},
		{name: "redislock one key", callers: []int{pool}, open: open(func(client *redislock.Client, _ int) (call, error) {
			return func(ctx context.Context) error {
				lock, err := client.Obtain(ctx, "redislock-one", brief, nil)
				if errors.Is(err, redislock.ErrNotObtained) {
					return nil
				} else if err != nil {
					return err
				}
				return lock.Release(ctx)
			}, nil
		})},
	}
}

func redsyncCases() []benchCase {
	open := func(do func(locks *redsync.Redsync, caller int) (call, error)) opener {
		return func(s *site) (maker, error) {
			locks := redsync.New(goredis.NewPool(s.goRedis()))
			return func(caller int) (call, error) { return do(locks, caller) }, nil
		}
	}
	taken := func(err error) error {
		if err == nil {
			return errors.New("acquired what another holds")
		}
		if !errors.As(err, new(*redsync.ErrTaken)) {
			return err
		}
		return nil
	}
	return []benchCase{
		{name: "redsync acquire + release", open: open(func(locks *redsync.Redsync, caller int) (call, error) {
			key := name("redsync", caller)
			return func(ctx context.Context) error {
				mutex := locks.NewMutex(key, redsync.WithExpiry(brief))
				if err := mutex.TryLockContext(ctx); err != nil {
					return err
				}
				_, err := mutex.UnlockContext(ctx)
				return err
			}, nil
		})},
		{name: "redsync denied", open: open(func(locks *redsync.Redsync, caller int) (call, error) {
			key := name("redsync-denied", caller)
			err := locks.NewMutex(key, redsync.WithExpiry(held)).TryLock()
			return func(ctx context.Context) error {
				return taken(locks.NewMutex(key, redsync.WithExpiry(brief)).TryLockContext(ctx))
			}, err
		})},
		{name: "redsync renew", open: open(func(locks *redsync.Redsync, caller int) (call, error) {
			mutex := locks.NewMutex(name("redsync-renew", caller), redsync.WithExpiry(held))
			return func(ctx context.Context) error {
				_, err := mutex.ExtendContext(ctx)
				return err
			}, mutex.TryLock()
		})},
		{name: "redsync one key", callers: []int{pool}, open: open(func(locks *redsync.Redsync, _ int) (call, error) {
			return func(ctx context.Context) error {
				mutex := locks.NewMutex("redsync-one", redsync.WithExpiry(brief))
				if err := mutex.TryLockContext(ctx); err != nil {
					return taken(err)
				}
				_, err := mutex.UnlockContext(ctx)
				return err
			}, nil
		})},
	}
}

func rueidislockCases() []benchCase {
	// One key a lock, as the others have it; NoLoopTracking as its documentation recommends. It gives up
	// after TryNextAfter, which 256 callers on a busy machine can exceed.
	locker := func(s *site) (rueidislock.Locker, error) {
		locks, err := rueidislock.NewLocker(rueidislock.LockerOption{
			ClientOption: s.rueidisOption(),
			KeyMajority:  1, NoLoopTracking: true, KeyValidity: held, TryNextAfter: patience,
		})
		if err == nil {
			s.onClose(locks.Close)
		}
		return locks, err
	}
	return []benchCase{
		{name: "rueidislock acquire + release", open: func(s *site) (maker, error) {
			locks, err := locker(s)
			return func(caller int) (call, error) {
				key := name("rueidislock", caller)
				return func(ctx context.Context) error {
					_, release, err := locks.TryWithContext(ctx, key)
					if err == nil {
						release()
					}
					return err
				}, nil
			}, err
		}},
		{name: "rueidislock denied", open: func(s *site) (maker, error) {
			holder, err := locker(s)
			if err != nil {
				return nil, err
			}
			locks, err := locker(s)
			return func(caller int) (call, error) {
				key := name("rueidislock-denied", caller)
				_, _, err := holder.TryWithContext(s.ctx, key)
				return func(ctx context.Context) error {
					_, _, err := locks.TryWithContext(ctx, key)
					return refusal(err, rueidislock.ErrNotLocked)
				}, err
			}, err
		}},
		{name: "rueidislock one key", callers: []int{pool}, open: func(s *site) (maker, error) {
			locks, err := locker(s)
			return func(int) (call, error) {
				return func(ctx context.Context) error {
					_, release, err := locks.TryWithContext(ctx, "rueidislock-one")
					if errors.Is(err, rueidislock.ErrNotLocked) {
						return nil
					}
					if err == nil {
						release()
					}
					return err
				}, nil
			}, err
		}},
	}
}

// editlockCases are those of an engine with the options. A Mutex is made for each call, as a request's
// handler does.
func editlockCases(engine string, options core.Options) []benchCase {
	var locker *core.Locker // one for all cases, as in an application
	open := func(do func(locker *core.Locker, caller int) (call, error)) opener {
		return func(s *site) (_ maker, err error) {
			if locker == nil {
				locker, err = s.locker(options)
			}
			return func(caller int) (call, error) { return do(locker, caller) }, err
		}
	}
	prefix := strings.ReplaceAll(engine, ", ", "-") + "-"
	uid := func(what string, caller int) string { return name(prefix+what, caller) }
	users := make([]core.User, 2*pool) // whom the application knows
	for i := range users {
		users[i] = core.User{ID: core.ID(i + 1), Name: "Ann"}
	}
	return []benchCase{
		{name: engine + " acquire", open: open(func(locker *core.Locker, caller int) (call, error) {
			// Nothing but an acquire: to a document comes back only whoever finds its hold run out. The caller
			// has no more documents than that takes.
			const ttl = core.MinTTL
			type document struct {
				uid string
				at  time.Time // of its last acquire
			}
			var documents []document
			next := 0
			return func(ctx context.Context) error {
				if len(documents) == 0 || time.Since(documents[next].at) < 2*ttl {
					documents = slices.Insert(documents, next, document{uid: uid("acquire-"+strconv.Itoa(len(documents)), caller)})
				}
				lock, err := locker.Mutex(documents[next].uid, ttl, users[caller]).Acquire(ctx)
				documents[next].at = time.Now()
				if next++; next == len(documents) {
					next = 0
				}
				if err == nil && lock.Renewed {
					return errors.New("an acquire turned out to be a renewal")
				}
				return err
			}, nil
		})},
		{name: engine + " acquire + release", open: open(func(locker *core.Locker, caller int) (call, error) {
			uid := uid("pair", caller)
			return func(ctx context.Context) error {
				mutex := locker.Mutex(uid, brief, users[caller])
				if _, err := mutex.Acquire(ctx); err != nil {
					return err
				}
				return mutex.Release(ctx)
			}, nil
		})},
		{name: engine + " denied", open: open(func(locker *core.Locker, caller int) (call, error) {
			uid := uid("denied", caller)
			_, err := locker.Mutex(uid, held, users[pool+caller]).Acquire(context.Background())
			return func(ctx context.Context) error {
				_, err := locker.Mutex(uid, brief, users[caller]).Acquire(ctx)
				return refusal(err, core.ErrResourceLocked)
			}, err
		})},
		{name: engine + " renew", open: open(func(locker *core.Locker, caller int) (call, error) {
			uid := uid("renew", caller)
			renew := func(ctx context.Context) error {
				_, err := locker.Mutex(uid, held, users[caller]).Acquire(ctx)
				return err
			}
			return renew, renew(context.Background())
		})},
		{name: engine + " guard check", open: open(func(locker *core.Locker, caller int) (call, error) {
			uid := uid("check", caller)
			_, err := locker.Mutex(uid, held, users[caller]).Acquire(context.Background())
			return func(ctx context.Context) error {
				_, err := locker.Mutex(uid, held, users[caller]).Check(ctx, core.CheckOptions{Renew: true})
				return err
			}, err
		})},
		{name: engine + " status", callers: landmarks, open: open(func(locker *core.Locker, caller int) (call, error) {
			uid := uid("status", caller)
			_, err := locker.Mutex(uid, held, users[caller]).Acquire(context.Background())
			return func(ctx context.Context) error {
				status, err := locker.Status(ctx, uid)
				if err == nil && !status.Locked {
					return errors.New("not locked")
				}
				return err
			}, err
		})},
		{name: engine + " one key", callers: []int{pool}, open: open(func(locker *core.Locker, caller int) (call, error) {
			uid := prefix + "one"
			return func(ctx context.Context) error {
				mutex := locker.Mutex(uid, brief, users[caller])
				if _, err := mutex.Acquire(ctx); errors.Is(err, core.ErrResourceLocked) {
					return nil
				} else if err != nil {
					return err
				}
				return mutex.Release(ctx)
			}, nil
		})},
	}
}

// among picks the numbers of callers at which the case is measured.
func (c benchCase) among(callers []int) []int {
	return slices.DeleteFunc(slices.Clone(callers), func(n int) bool { return c.callers != nil && !slices.Contains(c.callers, n) })
}

// calls sets the case up for n callers.
func (c benchCase) calls(s *site, n int) ([]call, error) {
	calls := make([]call, n)
	makeCall, err := c.open(s)
	for i := range calls {
		if err != nil {
			break
		}
		calls[i], err = makeCall(i)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return calls, nil
}

func name(what string, caller int) string { return what + "-" + strconv.Itoa(caller) }

func expect(got, want string, err error) error {
	if err == nil && got != want {
		return fmt.Errorf("got %q instead of %q", got, want)
	}
	return err
}

// refusal is nil when the call was refused as it must be.
func refusal(err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("instead of a refusal: %w", err)
}
