package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// process is one run of a server program.
type process struct {
	cmd    *exec.Cmd
	log    *processLog
	exited chan struct{}
}

// spawn starts the program and returns when its log shows the text ready. The process is returned with
// an error as well, for its log; it has ended then.
func spawn(path string, args []string, ready string) (*process, error) {
	p := &process{
		cmd:    exec.Command(path, args...), //nolint:noctx // kill ends it
		log:    &processLog{awaited: []byte(ready), seen: make(chan struct{})},
		exited: make(chan struct{}),
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = attributes
	// A child that the server forked may keep the log open for a moment after the server's end.
	p.cmd.WaitDelay = time.Second

	started := make(chan error)
	go func() {
		defer close(p.exited)
		// The death signal is sent when the thread that forked ends, not when the program does: this
		// goroutine keeps its thread for as long as the server lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how a killed server ended is of no interest
		}
	}()
	if err := <-started; err != nil {
		<-p.exited
		return p, err
	}

	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-p.log.seen:
		return p, nil
	case <-p.exited:
		return p, errors.New("ended before it was ready")
	case <-timeout.C:
		p.kill()
		return p, fmt.Errorf("not ready after %v", patience)
	}
}

// kill ends the process and returns when it is gone. Killing it twice is harmless.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// processLog keeps the end of a log and tells when a text has appeared in it.
type processLog struct {
	awaited []byte
	seen    chan struct{}

	mu   sync.Mutex
	tail []byte
}

const tailLength = 4 << 10

func (l *processLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, b...)
	if l.awaited != nil && bytes.Contains(l.tail, l.awaited) {
		l.awaited = nil
		close(l.seen)
	}
	if len(l.tail) > tailLength {
		l.tail = append(l.tail[:0], l.tail[len(l.tail)-tailLength:]...)
	}
	return len(b), nil
}

func (l *processLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.tail)
}
