package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// Processes of their own for what must not share one: a server, the load on it, a thousand waiters, a build of
// the engine. Each is this program, or that of another checkout, with the name of a role as its first argument; it reads requests and writes replies as JSON,
// and ends with its standard input, so also with the benchmark.

// roles are what this program can be besides the benchmark.
var roles = map[string]func(args []string, requests *json.Decoder, replies *json.Encoder) error{
	"serve":  serve,
	"load":   load,
	"wait":   wait,
	"polls":  polls,
	"slices": serveSlices,
}

// playRole runs the role that the arguments name, if they do.
func playRole(args []string) (played bool, err error) {
	if len(args) == 0 || roles[args[0]] == nil {
		return false, nil
	}
	err = roles[args[0]](args[1:], json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return true, err
}

type child struct {
	cmd      *exec.Cmd
	input    io.Closer
	requests *json.Encoder
	replies  *json.Decoder
}

// startChild starts a role; the address of redis-server is the first of its arguments.
func startChild(b *bed, addr, role string, args ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startProgram(b, program, addr, role, args...)
}

func startProgram(b *bed, program, addr, role string, args ...string) (*child, error) {
	cmd := exec.Command(program, append([]string{role, addr}, args...)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, input: in, requests: json.NewEncoder(in), replies: json.NewDecoder(out)}
	b.Cleanup(func() {
		_ = c.input.Close()
		if err := cmd.Wait(); err != nil {
			b.Logf("bench %s: %v", role, err)
		}
	})
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// hear waits for a reply.
func (c *child) hear(reply any) error {
	if err := c.replies.Decode(reply); err != nil {
		return fmt.Errorf("bench %v: %w", c.cmd.Args[1:], err)
	}
	return nil
}

// driveReply is what a process found out that drove its calls.
type driveReply struct {
	Ops      uint64
	Elapsed  time.Duration
	P50, P99 time.Duration
	Failed   string
}

func replyOf(run *driven, err error) driveReply {
	if err != nil {
		return driveReply{Failed: err.Error()}
	}
	return driveReply{Ops: run.latency.total, Elapsed: run.elapsed, P50: run.latency.quantile(0.5), P99: run.latency.quantile(0.99)}
}

// drive asks for a driveReply.
func (c *child) drive(request any) (driveReply, error) {
	var reply driveReply
	err := c.ask(request, &reply)
	if reply.Failed != "" {
		err = errors.New(reply.Failed)
	}
	return reply, err
}

func (c *child) ask(request, reply any) error {
	if err := c.requests.Encode(request); err != nil {
		return fmt.Errorf("bench %v: %w", c.cmd.Args[1:], err)
	}
	return c.hear(reply)
}
