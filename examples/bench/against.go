package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/editlock/editlock/core/redistest"
)

// Two builds of the engine in one run: this one, and that of another checkout. The rule of this file: a build
// is a process of its own, and all that the two must have in common is the role "slices" with its requests and
// replies, and the names of the cases.

// sliceRequest asks a build for a slice of a case. The reply is a driveReply.
type sliceRequest struct {
	Case    string
	Callers int
	For     time.Duration
}

// builder is a build in its role.
type builder struct {
	site  *site
	cases []benchCase
	open  map[string]*openCase // of those that were asked for
}

type openCase struct {
	maker maker
	calls []call // of as many callers as were asked for
}

// serveSlices is the role: its arguments are the address of redis-server and the number of a database, since
// two builds may not understand each other's keys.
func serveSlices(args []string, requests *json.Decoder, replies *json.Encoder) error {
	if len(args) != 2 {
		return fmt.Errorf("slices: want the address of redis-server and the number of a database, not %q", args)
	}
	db, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("slices: %w", err)
	}
	s := newSite(context.Background(), args[0])
	s.db = db
	defer s.close()
	b := &builder{s, cases(), make(map[string]*openCase)}
	for {
		var request sliceRequest
		if err := requests.Decode(&request); err != nil {
			return err
		}
		if err := replies.Encode(replyOf(b.slice(request))); err != nil {
			return err
		}
	}
}

func (b *builder) slice(request sliceRequest) (*driven, error) {
	calls, err := b.calls(request.Case, request.Callers)
	if err != nil {
		return nil, fmt.Errorf("%s, %d callers: %w", request.Case, request.Callers, err)
	}
	runtime.GC() // what the slice before left behind is not this one's
	return drive(calls, request.For)
}

// calls are those of n callers, set up when they are asked for first.
func (b *builder) calls(name string, n int) ([]call, error) {
	if n < 1 || n > pool {
		return nil, fmt.Errorf("not within 1 and %d callers", pool)
	}
	one, err := b.opened(name)
	if err != nil {
		return nil, err
	}
	for len(one.calls) < n {
		next, err := one.maker(len(one.calls))
		if err != nil {
			return nil, err
		}
		one.calls = append(one.calls, next)
	}
	return one.calls[:n], nil
}

func (b *builder) opened(name string) (*openCase, error) {
	if b.open[name] == nil {
		i := slices.IndexFunc(b.cases, func(one benchCase) bool { return one.name == name })
		if i < 0 {
			return nil, errors.New("no such case")
		}
		maker, err := b.cases[i].open(b.site)
		if err != nil {
			return nil, err
		}
		b.open[name] = &openCase{maker: maker}
	}
	return b.open[name], nil
}

const (
	thisBuild = "this"
	thatBuild = "that"
)

// runAgainst compares this program with the one of another checkout.
func runAgainst(ctx context.Context, checkout string, c config) error {
	b := new(bed)
	defer b.close()
	this, err := os.Executable()
	if err != nil {
		return err
	}
	that, err := buildOf(ctx, b, checkout)
	if err != nil {
		return err
	}
	found, noise, err := compare(ctx, b, c, this, that)
	if err != nil {
		return err
	}
	return writeComparison(c.log, found, noise, c)
}

// buildOf builds the program of a checkout.
func buildOf(ctx context.Context, b *bed, checkout string) (program string, err error) {
	folder := filepath.Join(checkout, "examples", "bench")
	if _, err := os.Stat(filepath.Join(folder, "against.go")); err != nil {
		return "", fmt.Errorf("-against: not a checkout, or one from before -against: %w", err)
	}
	program = filepath.Join(b.TempDir(), "bench")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", program, ".")
	build.Dir = folder
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("-against: go build in %s: %w\n%s", folder, err, output)
	}
	return program, nil
}

// compare runs slices of both builds, interleaved.
func compare(ctx context.Context, b *bed, c config, this, that string) (series, disturbance, error) {
	var noise disturbance
	redisServer := redistest.Start(b)
	rig, err := newRig(ctx, redisServer.Client(b))
	if err != nil {
		return nil, noise, err
	}
	addr := redisServer.Addr
	if c.late > 0 {
		var stop func()
		if addr, stop, err = delayed(addr, c.late); err != nil {
			return nil, noise, err
		}
		b.Cleanup(stop) // when the builds have ended
	}
	builds, own := make(map[string]*child), rig.own()
	for db, build := range []struct{ name, program string }{{thisBuild, this}, {thatBuild, that}} {
		one, err := startProgram(b, build.program, addr, "slices", strconv.Itoa(db))
		if err != nil {
			return nil, noise, err
		}
		builds[build.name] = one
		own = append(own, one.pid())
	}
	var jobs []job
	for of, build := range builds {
		for _, call := range engineCalls {
			if !c.wanted(engines[0].name + " " + call) {
				continue
			}
			for _, n := range c.callers {
				jobs = append(jobs, job{
					name: buildJob(of, call), callers: n, group: name(call, n), pinned: n == 1, own: own,
					run: func(d time.Duration) (sample, error) {
						return rig.driven(build, build.pid(), d, func(d time.Duration) any {
							return sliceRequest{Case: engines[0].name + " " + call, Callers: n, For: d}
						})
					},
				})
			}
		}
	}
	found, err := interleave(jobs, c.slice, c, &noise)
	return found, noise, err
}

func buildJob(build, call string) string { return build + ": " + call }

// writeComparison writes the ratios of this build to that one.
func writeComparison(w io.Writer, found series, noise disturbance, c config) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nThis build / that build: medians of ratios paired within each of %d rounds (quartiles); less than 1 is for this one. "+
		"Of %d slices %d were repeated because of other processes, and %d were kept although they were disturbed.\n\n",
		c.rounds, noise.slices, noise.repeated, noise.kept)
	for _, metric := range []struct {
		title string
		of    func(sample) float64
	}{{"Time a call", nsPerOp}, {"Processor time of the client", clientCPU}, {"Processor time of redis-server", serverCPU}} {
		s := section{title: metric.title, header: []string{""}}
		for _, n := range c.callers {
			s.header = append(s.header, callersText(n))
		}
		for _, call := range engineCalls {
			row := []string{call}
			for _, n := range c.callers {
				row = append(row, spread(found.ratio(key{buildJob(thisBuild, call), n}, key{buildJob(thatBuild, call), n}, metric.of)))
			}
			if c.wanted(engines[0].name + " " + call) {
				s.rows = append(s.rows, row)
			}
		}
		s.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
