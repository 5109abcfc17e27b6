package core

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// settings are what a server says of itself: its INFO, and CONFIG where it may be asked.
type settings struct {
	info                 map[string]string
	infoErr, configErr   error
	save, replicaOnly    string
	knowsSave, knowsOnly bool
}

func newSettings(a *answers) *settings {
	s := &settings{info: make(map[string]string), infoErr: a.info.Err()}
	text, _ := a.info.Val().(string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			s.info[name] = value
		}
	}
	s.save, s.knowsSave = configured(a.save, "save")
	s.replicaOnly, s.knowsOnly = configured(a.replicaOnly, "replica-read-only")
	if s.configErr = a.save.Err(); s.configErr == nil {
		s.configErr = a.replicaOnly.Err()
	}
	return s
}

// configured returns what CONFIG GET says of one setting.
func configured(cmd *redis.Cmd, name string) (value string, known bool) {
	switch reply := cmd.Val().(type) {
	case []any: // RESP2
		if len(reply) == 2 && reply[0] == name {
			value, known = reply[1].(string)
		}
	case map[any]any: // RESP3
		value, known = reply[name].(string)
	}
	return value, known
}

func (s *settings) is(name, value string) bool { return s.info[name] == value }

// judgeSettings finds settings under which locks are lost.
func (p *probe) judgeSettings(s *settings) {
	if version := s.info["redis_version"]; version != "" {
		p.find(SeverityNote, "version", "Redis "+version, "")
	}
	p.judgeKnowledge(s)
	p.judgeEviction(s)
	p.judgePersistence(s)
	p.judgeReplication(s)
}

// judgeKnowledge notes what could not be asked.
func (p *probe) judgeKnowledge(s *settings) {
	if s.infoErr != nil {
		p.find(SeverityNote, "info", "INFO could not be asked ("+brief(s.infoErr)+"): version, role, maxmemory-policy, persistence and "+
			"replicas are not known", "add +info to the user's rules, or look yourself", s.infoErr)
	} else {
		var unknown []string
		for _, field := range []string{"redis_version", "role", "maxmemory_policy", "aof_enabled"} {
			if s.info[field] == "" {
				unknown = append(unknown, field)
			}
		}
		if unknown != nil {
			p.find(SeverityNote, "info", "INFO does not say: "+strings.Join(unknown, ", "), "")
		}
	}
	if !s.knowsSave || !s.knowsOnly {
		means := "CONFIG GET does not say save and replica-read-only"
		if s.configErr != nil {
			means = "CONFIG GET could not be asked (" + brief(s.configErr) + "): save and replica-read-only are not known"
		}
		p.find(SeverityNote, "config", means, "", causes(s.configErr)...)
	}
}

// judgeEviction finds a policy that drops locks. volatile-* counts: every lock has a time to live. (Measured:
// volatile-lru dropped 200 locks of 200.)
func (p *probe) judgeEviction(s *settings) {
	if policy := s.info["maxmemory_policy"]; !s.is("maxmemory", "0") && policy != "" && policy != "noeviction" {
		p.find(SeverityWeak, "maxmemory-policy", "when memory is full, "+policy+" drops locks before their time",
			"set maxmemory-policy noeviction", ErrMayEvict)
	}
}

// judgePersistence finds what a restart loses.
func (p *probe) judgePersistence(s *settings) {
	const remedy = "set appendonly yes; with appendfsync everysec a crash loses a second"
	switch {
	case !s.is("aof_enabled", "0"):
	case !s.knowsSave:
		p.find(SeverityNote, "persistence", "there is no append-only file, and whether there are snapshots is not known: a restart may lose locks", remedy)
	case s.save == "":
		p.find(SeverityWeak, "persistence", "neither an append-only file nor snapshots: a restart loses every lock and the memory of fences", remedy)
	default:
		p.find(SeverityNote, "persistence", "snapshots alone: a crash loses the locks since the last one", remedy)
	}
}

// judgeReplication finds what a failover may lose more than it must. A master says how many replicas are in step only
// where min-replicas-to-write is set. In a cluster a master that is cut off stops by itself. With one replica the
// setting has a price: without the replica there are no locks. So then it is a note.
func (p *probe) judgeReplication(s *settings) {
	replicas, _ := strconv.Atoi(s.info["connected_slaves"]) // 0 where INFO does not say
	if _, set := s.info["min_slaves_good_slaves"]; replicas > 0 && !set {
		severity, remedy := SeverityWeak, "set min-replicas-to-write 1"
		if replicas == 1 || s.is("cluster_enabled", "1") {
			severity, remedy = SeverityNote, "with two replicas or more, min-replicas-to-write 1 costs little"
		}
		p.find(severity, "min-replicas-to-write",
			fmt.Sprintf("its replicas (%d) need not be there for a lock: those that it grants while it is cut off are lost by a failover", replicas), remedy)
	}
	if s.replicaOnly == "no" && !s.is("role", "slave") {
		p.find(SeverityWeak, "replica-read-only", "a master that was demoted goes on granting locks, which its new master does not know",
			"set replica-read-only yes")
	}
}

// clockLimit is by how much two clocks may differ. Nothing is decided by this process's clock. But a clock that is
// wrong gets corrected, and after a failover another machine's clock counts: locks then end early or late by as much,
// and new fences may be below old ones that are forgotten.
const clockLimit = 3 * time.Second

// clockOffset is how far a server's clock is ahead of this process's, to within the margin.
type clockOffset struct {
	ahead, margin time.Duration
	known         bool
}

// judgeClock measures the server's clock, and compares it with this process's.
func (p *probe) judgeClock(ctx context.Context) {
	cmd := redis.NewTimeCmd(ctx, "time")
	before := time.Now()
	err := p.client.Process(ctx, cmd)
	trip := time.Since(before)
	if err != nil {
		return // whether TIME is refused was asked before
	}
	p.offset = clockOffset{ahead: cmd.Val().Sub(before.Add(trip / 2)), margin: trip / 2, known: true}
	if p.offset.ahead.Abs() > clockLimit+p.offset.margin {
		p.find(SeverityWeak, "clock", "Redis's clock is "+apart(p.offset.ahead)+" this process's: if Redis's is wrong, its correction or a "+
			"failover ends locks early or late", "keep the clocks of both machines in step (NTP)")
	}
}

// compareClocks finds masters whose clocks differ.
func compareClocks(probes []*probe) []Finding {
	var slow, fast *probe
	for _, p := range probes {
		if p.offset.known && (slow == nil || p.offset.ahead < slow.offset.ahead) {
			slow = p
		}
		if p.offset.known && (fast == nil || p.offset.ahead > fast.offset.ahead) {
			fast = p
		}
	}
	if slow == nil || fast.offset.ahead-slow.offset.ahead <= clockLimit+slow.offset.margin+fast.offset.margin {
		return nil
	}
	return []Finding{{
		Server: fast.server, Check: "clock", Severity: SeverityWeak,
		Means: "its clock is " + apart(fast.offset.ahead-slow.offset.ahead) + " that of " + slow.server +
			": a lock whose slot moves between them ends early or late",
		Remedy: "keep the clocks of all machines in step (NTP)",
	}}
}

// apart words a difference of clocks.
func apart(d time.Duration) string {
	if d < 0 {
		return (-d).Round(time.Second).String() + " behind"
	}
	return d.Round(time.Second).String() + " ahead of"
}

// clocksDiffer returns how far the clocks are apart that the script and TIME showed within one round trip; 0 for
// not noticeably. The time before the script, in it and after it grows, if there is one clock.
func (a *answers) clocksDiffer() time.Duration {
	within, ok := timeOf(a.reply())
	earlier, okEarlier := timeOfReply(a.earlier)
	later, okLater := timeOfReply(a.later)
	if !ok || !okEarlier || !okLater {
		return 0
	}
	allowed := a.after.Sub(a.before) + clockNoise
	for _, d := range []time.Duration{earlier.Sub(within), within.Sub(later), later.Sub(earlier)} {
		if d.Abs() > allowed {
			return d.Abs().Round(time.Millisecond)
		}
	}
	return 0
}

// clockNoise is what the correction of one clock may look like.
const clockNoise = 100 * time.Millisecond

func timeOfReply(cmd *redis.Cmd) (time.Time, bool) {
	list, _ := cmd.Val().([]any)
	return timeOf(list)
}

// timeOf reads a time as TIME gives it.
func timeOf(list []any) (time.Time, bool) {
	if len(list) < 2 {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(fmt.Sprint(list[0]), 10, 64)
	micros, err2 := strconv.ParseInt(fmt.Sprint(list[1]), 10, 64)
	if err != nil || err2 != nil || seconds == 0 {
		return time.Time{}, false
	}
	return time.Unix(seconds, micros*1000), true
}
