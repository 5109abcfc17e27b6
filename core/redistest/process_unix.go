//go:build unix && !linux

package redistest

import (
	"os"
	"syscall"
)

// attributes are empty: only Linux ends a server with a test binary that was killed.
var attributes *syscall.SysProcAttr

var pauseSignal, resumeSignal os.Signal = syscall.SIGSTOP, syscall.SIGCONT
