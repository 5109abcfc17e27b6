package core

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// need is a command that the engine calls.
type need struct {
	command string
	use     string // what it does with it
	script  bool   // it calls it in scripts alone
	missing Severity
}

var needs = []need{
	{"eval", "sends a script that Redis does not know yet", false, SeverityUnfit},
	{"evalsha", "sends every decision", false, SeverityUnfit},
	{"time", "reads the clock that decides", false, SeverityUnfit},
	{"getex", "reads locks on the master alone", false, SeverityUnfit},
	{"getrange", "reads locks", true, SeverityUnfit},
	{"set", "writes locks", true, SeverityUnfit},
	{"pttl", "keeps the end of a lock's memory", true, SeverityUnfit},
	{"publish", "announces changes", false, SeverityLate},
	{"spublish", "announces changes", false, SeverityLate},
}

// judgeRole finds a replica: it refuses locks, or grants such as its master does not know.
func (p *probe) judgeRole(a *answers, s *settings) {
	replica, refused := s.is("role", "slave"), a.refusedWith(onReplica)
	if !replica && refused == nil {
		return
	}
	means := "the client leads to a replica, which refuses every lock"
	if s.is("slave_read_only", "0") {
		means = "the client leads to a replica with replica-read-only no, which grants locks that its master does not know"
	}
	remedy := "lead it to the master"
	if host := s.info["master_host"]; host != "" {
		remedy += " " + host + ":" + s.info["master_port"]
	}
	p.find(SeverityUnfit, "replica", means, remedy+", or try again after a failover", causes(refused)...)
}

// judgeSlots finds a client of one server before several shards.
func (p *probe) judgeSlots(a *answers, s *settings) {
	switch refused := a.refusedWith(elsewhere); {
	case !p.single:
	case refused != nil:
		p.find(SeverityUnfit, "cluster", "the client asks one node of a cluster, and follows no key to another node",
			"use a *redis.ClusterClient, or in "+EnvURL+" add ?addr=host:port for another node", refused)
	case a.clocksDiffer() != 0:
		p.find(SeverityWeak, "shards", "behind this endpoint are clocks that differ by "+a.clocksDiffer().String()+
			": a lock may seem to end early or late", "use an endpoint of one shard, or keep its machines' clocks in step (NTP)")
	case s.is("cluster_enabled", "1"):
		p.find(SeverityWeak, "shards", "this endpoint is a cluster's and has every key for now: a lock's time may be that of "+
			"another shard, and calls fail once keys move to another endpoint",
			"use a *redis.ClusterClient, or in "+EnvURL+" add ?addr=host:port")
	}
}

// judgeCommands finds what the engine needs and is refused.
func (p *probe) judgeCommands(a *answers) {
	if refused := a.refusedWith(noKey); refused != nil {
		p.find(SeverityUnfit, checkKeys, "the ACL refuses keys that begin with "+p.prefix,
			"add ~"+p.prefix+"* to the user's rules, or name the Options.Prefix that they allow", refused)
	}
	if refused := a.refusedWith(memoryFull); refused != nil {
		p.find(SeverityWeak, "memory", "Redis's memory is full: locks are renewed and released, and no new one is granted",
			"raise maxmemory, or let something else be removed", refused)
	}
	inScript := a.inScript()
	for _, n := range needs {
		cmd, sent := a.alone[n.command]
		if !sent {
			continue // spublish, where publish announces
		}
		within := inScript[n.command]
		switch {
		case isMissing(cmd.Err()) && (!n.script || a.reply() == nil || isMissing(within)):
			p.lacks(n, n.command, n.missing, "with which the engine "+n.use, cmd.Err())
		case isMissing(within) && n.missing == SeverityLate:
			p.lacks(n, n.command+inScriptSuffix, SeverityNote, "so that the process announces its changes itself", within)
		case isMissing(within):
			p.lacks(n, n.command+inScriptSuffix, n.missing, "with which the engine "+n.use, within)
		}
	}
}

// judgeIndex finds that the index by user cannot be kept. What else refuses its script has been found.
func (p *probe) judgeIndex(a *answers) {
	if a.index == nil || !isMissing(a.index.Err()) || a.alone["eval"].Err() != nil {
		return
	}
	p.find(SeverityWeak, "index", "the index by user cannot be kept ("+brief(a.index.Err())+"): LocksOf and ReleaseUser miss locks, and "+
		"MaxLocksPerUser caps nothing", "allow its commands (README, Redis)", a.index.Err())
}

// inScriptSuffix ends the name of a check of a command that is refused in scripts alone.
const inScriptSuffix = " in a script"

// isMissing reports whether a command was refused for what it is, and not for its key, say.
func isMissing(err error) bool {
	kind := refusalOf(err)
	return kind == noCommand || kind == noPermission || kind == otherwise
}

// lacks finds that a command is refused, and says why.
func (p *probe) lacks(n need, check string, severity Severity, use string, refused error) {
	name := strings.ToUpper(n.command) + strings.TrimPrefix(check, n.command)
	switch refusalOf(refused) {
	case noPermission:
		p.find(severity, check, "the ACL refuses "+name+", "+use, "add +"+n.command+" to the user's rules", refused)
	case noCommand:
		means := "Redis has no " + name + ", " + use
		if n.command == "getex" {
			means = "Redis has no GETEX, which came with Redis 6.2 and " + use
		}
		p.find(severity, check, means, "take rename-command out of its configuration, or use a Redis 6.2 or later that has it", refused)
	default:
		p.find(severity, check, "Redis refuses "+name+" ("+brief(refused)+"), "+use, "allow it, or use a Redis that does", refused)
	}
}

// judgeHearing finds why a waiter would not hear of a change.
func (p *probe) judgeHearing(ctx context.Context, a *answers, e *ear) {
	const use = "without which who waits looks every 30 s"
	alone, within := a.alone[e.publish].Err(), a.inScript()[e.publish]
	denied := false
	for _, err := range []error{e.err, alone, within} {
		denied = denied || refusalOf(err) == noChannel
	}
	switch {
	case denied:
		if a.refusedWith(noKey) == nil { // otherwise the prefix is another
			p.find(SeverityLate, "channels", "the ACL refuses channels that begin with "+p.prefix+"; who waits looks every 30 s",
				"add &"+p.prefix+"* to the user's rules")
		}
	case refusalOf(e.err) == memoryFull: // that was found
	case isMissing(e.err):
		p.lacks(need{command: e.subscribe}, e.subscribe, SeverityLate, use, e.err)
	case e.err != nil:
		p.find(SeverityLate, e.subscribe, "there is no subscription ("+brief(e.err)+"), "+use, "look for a proxy between", e.err)
	case alone == nil:
		p.judgeMessages(ctx, a, e, use, within == nil && a.reply() != nil)
	}
}

// judgeMessages listens for the message that was published by itself. That of the script came before it.
func (p *probe) judgeMessages(ctx context.Context, a *answers, e *ear, use string, scriptToo bool) {
	heardScript := false
	err := e.await(ctx, func(message any) bool {
		m, ok := message.(*redis.Message)
		heardScript = heardScript || ok && m.Payload == a.scriptWord()
		return ok && m.Payload == a.word
	})
	switch {
	case err != nil:
		p.find(SeverityLate, e.subscribe, "no message of the subscription came in ("+brief(err)+"), "+use,
			"look for a proxy between", err)
	case scriptToo && !heardScript:
		p.find(SeverityNote, e.publish+inScriptSuffix, "what a script publishes does not come in; a process hears of its own changes", "")
	}
	if err != nil {
		return
	}
	if command, err := e.leave(ctx, p.key); isMissing(err) {
		p.lacks(need{command: command}, command, SeverityNote, "so that subscriptions stay where nobody waits any more", err)
	}
}

func causes(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}

// brief is the text of an error as part of a line: Redis repeats what it refuses, which may be a script.
func brief(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > maxBrief {
		text = strings.ToValidUTF8(text[:maxBrief], "") + "..."
	}
	return text
}

const maxBrief = 120
