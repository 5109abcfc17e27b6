package core

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names a script by its SHA-1
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core/internal/index"
	"github.com/editlock/editlock/core/internal/wire"
)

//go:embed probe.lua
var probeLua string

const (
	// hearing is how long the probe waits for its subscription and for its own message.
	hearing = time.Second
	// strayKeys are looked at through a client of one server: one that has only some slots of a cluster lacks some of them.
	strayKeys = 64
)

// probe asks one server, or what a client of an unknown kind leads to.
type probe struct {
	client      Client
	server      string // where there are several
	prefix, key string // of the Locker, and of the probe; the key is also the name of its channel
	cluster     bool   // the client is one of a cluster's masters
	indexed     bool   // the Locker keeps an index by user
	single      bool   // the client leads to one server, and follows no redirection

	findings []Finding
	offset   clockOffset
}

// find notes a finding.
func (p *probe) find(severity Severity, check, means, remedy string, causes ...error) {
	f := Finding{Server: p.server, Check: check, Severity: severity, Means: means, Remedy: remedy}
	switch severity {
	case SeverityUnfit:
		f.Err = ErrUnfit
	case SeverityUnavailable:
		f.Err = ErrUnavailable
	}
	for _, cause := range causes {
		if f.Err == nil {
			f.Err = cause
		} else {
			f.Err = fmt.Errorf("%w: %w", f.Err, cause)
		}
	}
	p.findings = append(p.findings, f)
}

func (p *probe) unavailable(err error) {
	remedy := "try again"
	for prefix, text := range passingRemedies {
		if redis.HasErrorPrefix(err, prefix) {
			remedy = text
		}
	}
	p.find(SeverityUnavailable, "answer", "it could not be asked: "+brief(err), remedy, err)
}

// passingRemedies say what ends a refusal that ends by itself otherwise.
var passingRemedies = map[string]string{
	"NOREPLICAS":  "bring a replica back, or lower min-replicas-to-write; until then Redis refuses every lock",
	"LOADING":     "wait until Redis has read its data",
	"MASTERDOWN":  "this is a replica that has lost its master: lead the client to the new master",
	"CLUSTERDOWN": "look at CLUSTER INFO and CLUSTER NODES: some slots have no master",
	"BUSY":        "a script runs for too long: look at SLOWLOG, and end it by SCRIPT KILL",
}

// run asks everything. It stops where nothing more can be learnt.
func (p *probe) run(ctx context.Context) {
	defer func() {
		if panicked := recover(); panicked != nil { // a hook of the client
			p.unavailable(fmt.Errorf("the client panicked: %v", panicked))
		}
	}()
	if err := p.client.Process(ctx, redis.NewCmd(ctx, "time")); err != nil {
		switch refusalOf(err) {
		case noAnswer, passing:
			p.unavailable(err)
			return
		case notLetIn:
			p.find(SeverityUnfit, "answer", "Redis refuses the client: "+brief(err), "correct the user, the password or the database", err)
			return
		}
	}
	ear := p.listen(ctx)
	defer ear.close()
	a := p.ask(ctx, ear)
	err := a.failure()
	if moved := a.refusedWith(elsewhere); err == nil && !p.single {
		err = moved // between the choice of the key and now
	}
	if err != nil {
		p.unavailable(err)
		return
	}
	s := newSettings(a)
	p.judgeRole(a, s)
	p.judgeSlots(a, s)
	p.judgeCommands(a)
	p.judgeIndex(a)
	p.judgeHearing(ctx, a, ear)
	p.judgeSettings(s)
	p.judgeClock(ctx)
}

// ear is the probe's subscription.
type ear struct {
	pubsub *redis.PubSub
	// subscribe and publish are the commands that announcements take on this server.
	subscribe, publish string
	err                error // why there is none
}

func (e *ear) close() { _ = e.pubsub.Close() } // its error is that of a connection which is given up

// listen subscribes: on a cluster to a sharded channel, where the server has these.
func (p *probe) listen(ctx context.Context) *ear {
	if p.cluster {
		e := &ear{pubsub: p.client.Subscribe(ctx), subscribe: "ssubscribe", publish: "spublish"}
		if e.err = e.pubsub.SSubscribe(ctx, p.key); e.err == nil {
			e.err = e.await(ctx, func(message any) bool { _, ok := message.(*redis.Subscription); return ok })
		}
		if refusalOf(e.err) != noCommand {
			return e
		}
		e.close() // before Redis 7
	}
	e := &ear{pubsub: p.client.Subscribe(ctx), subscribe: "subscribe", publish: "publish"}
	if e.err = e.pubsub.Subscribe(ctx, p.key); e.err == nil {
		e.err = e.await(ctx, func(message any) bool { _, ok := message.(*redis.Subscription); return ok })
	}
	return e
}

// leave ends the subscription to a channel, by the command that it returns.
func (e *ear) leave(ctx context.Context, channel string) (command string, err error) {
	command, leave := "unsubscribe", e.pubsub.Unsubscribe
	if e.subscribe == "ssubscribe" {
		command, leave = "sunsubscribe", e.pubsub.SUnsubscribe
	}
	if err := leave(ctx, channel); err != nil {
		return command, err
	}
	return command, e.await(ctx, func(message any) bool { _, ok := message.(*redis.Subscription); return ok })
}

// await waits for a message that is wanted.
func (e *ear) await(ctx context.Context, wanted func(message any) bool) error {
	for deadline := time.Now().Add(hearing); ; {
		message, err := e.pubsub.ReceiveTimeout(ctx, max(time.Until(deadline), time.Millisecond))
		if err != nil {
			return err
		}
		if wanted(message) {
			return nil
		}
	}
}

// answers are what a server said to the probe's commands, which went there together.
type answers struct {
	before, after     time.Time // by this process's clock
	word              string    // that the messages begin with
	eval              *redis.Cmd
	earlier, later    *redis.Cmd            // TIME, before and after the script
	alone             map[string]*redis.Cmd // each command by itself
	index             *redis.Cmd            // nil where the Locker keeps none
	info              *redis.Cmd
	save, replicaOnly *redis.Cmd // CONFIG GET
	all               []*redis.Cmd
	err               error
}

// ask sends each command by itself and the script in both ways.
func (p *probe) ask(ctx context.Context, e *ear) *answers {
	a := &answers{word: strconv.FormatUint(rand.Uint64(), 36), alone: make(map[string]*redis.Cmd)}
	pipe := p.client.Pipeline()
	send := func(arguments ...any) *redis.Cmd {
		cmd := redis.NewCmd(ctx, arguments...)
		a.err = errors.Join(a.err, pipe.Process(ctx, cmd))
		a.all = append(a.all, cmd)
		return cmd
	}
	sum := sha1.Sum([]byte(probeLua)) //nolint:gosec // as above
	a.earlier = send("time")
	a.eval = send("eval", probeLua, 1, p.key, strings.ToUpper(e.publish), a.scriptWord())
	a.alone["eval"] = a.eval
	a.alone["evalsha"] = send("evalsha", hex.EncodeToString(sum[:]), 1, p.key, strings.ToUpper(e.publish), a.scriptWord())
	a.later = send("time")
	a.alone["time"] = a.later
	a.alone["getrange"] = send("getrange", p.key, 0, 1)
	a.alone["set"] = send("set", p.key, "{}", "px", 1)
	a.alone["pttl"] = send("pttl", p.key)
	a.alone["getex"] = send("getex", p.key)
	a.alone[e.publish] = send(e.publish, p.key, a.word)
	if p.indexed {
		a.index = redis.NewCmd(ctx, "eval", index.Note.Text, 1, p.key+":"+noteHold.name, noteHold.name, "probe", 1)
		a.err = errors.Join(a.err, pipe.Process(ctx, a.index))
	}
	a.info = send("info")
	a.save = send("config", "get", "save")
	a.replicaOnly = send("config", "get", "replica-read-only")
	if p.single {
		for i := range strayKeys {
			send("getex", probeKey(p.prefix, i))
		}
	}
	a.before = time.Now()
	_, err := pipe.Exec(ctx)
	a.after = time.Now()
	if refusalOf(err) == noAnswer {
		a.err = errors.Join(a.err, err)
	}
	return a
}

// failure returns why the server could not be asked now; nil if it answered.
func (a *answers) failure() error {
	if a.err != nil {
		return a.err
	}
	for _, cmd := range a.all {
		if refusalOf(cmd.Err()) == noAnswer {
			return cmd.Err()
		}
	}
	return a.refusedWith(passing)
}

// refusedWith returns an answer of that kind, to a command by itself or in the script; nil if there is none.
func (a *answers) refusedWith(kind refusal) error {
	for _, cmd := range a.all {
		if refusalOf(cmd.Err()) == kind {
			return cmd.Err()
		}
	}
	for _, err := range a.inScript() {
		if refusalOf(err) == kind {
			return err
		}
	}
	return nil
}

// scriptWord is the message of the script.
func (a *answers) scriptWord() string { return a.word + " script" }

// scriptError is the answer to a command inside of a script.
type scriptError string

// newScriptError takes off what Redis before 7 puts before an answer: the place in the script, and a '-'.
func newScriptError(text string) error {
	if strings.HasPrefix(text, "@") {
		if parts := strings.SplitN(text, ": ", 3); len(parts) == 3 {
			text = parts[2]
		}
	}
	return scriptError(strings.TrimPrefix(text, "-"))
}

func (e scriptError) Error() string { return string(e) }

// RedisError says that Redis answered.
func (scriptError) RedisError() {}

// reply returns what the script replied; nil if it did not run.
func (a *answers) reply() []any {
	list, _ := a.eval.Val().([]any)
	if a.eval.Err() != nil || len(list) < 2 {
		return nil
	}
	return list
}

// inScript returns what the commands of the script were refused with.
func (a *answers) inScript() map[string]error {
	refused := make(map[string]error)
	list := a.reply()
	for i := 2; i+1 < len(list); i += 2 {
		refused[strings.ToLower(fmt.Sprint(list[i]))] = newScriptError(fmt.Sprint(list[i+1]))
	}
	return refused
}

// refusal is what kind of an answer an error is.
type refusal int

const (
	notRefused   refusal = iota
	noAnswer             // the network, a deadline, a hook
	passing              // it ends by itself
	notLetIn             // a wrong password or database
	noCommand            // renamed, disabled, or newer than the server
	noPermission         // of the ACL, for the command
	noKey                // of the ACL, for the key
	noChannel            // of the ACL, for the channel
	onReplica
	elsewhere // another node of a cluster has the key
	memoryFull
	unknownScript
	otherwise
)

// refusalOf sorts errors by their texts: these are all that Redis gives, and versions word them differently.
func refusalOf(err error) refusal {
	var answer redis.Error
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		return notRefused
	case !errors.As(err, &answer):
		return noAnswer
	}
	for _, known := range []struct {
		beginning string
		kind      refusal
	}{
		{"READONLY", onReplica}, {"MOVED", elsewhere}, {"ASK", elsewhere}, {"CLUSTERDOWN", elsewhere},
		{"MISCONF", passing}, {"BUSY", passing}, {"OOM", memoryFull}, {"NOSCRIPT", unknownScript},
		{"NOAUTH", notLetIn}, {"WRONGPASS", notLetIn}, {"DB index is out of range", notLetIn},
		{"unknown command", noCommand}, {"Unknown Redis command", noCommand}, {"This Redis command is not allowed", otherwise},
	} {
		if redis.HasErrorPrefix(err, known.beginning) {
			return known.kind
		}
	}
	text := answer.Error()
	denied := strings.Contains(text, "NOPERM") || strings.Contains(text, "The user executing the script") || strings.Contains(text, "ACL failure")
	switch {
	case denied && strings.Contains(text, "channel"):
		return noChannel
	case denied && strings.Contains(text, " key"):
		return noKey
	case denied:
		return noPermission
	case wire.IsPassing(err):
		return passing
	default:
		return otherwise
	}
}
