//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// endTogether makes the end of the command's context the end of all that the command has started: the go
// tool leaves a test running when it is killed itself.
func endTogether(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
}
