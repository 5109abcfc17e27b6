package redistest

import (
	"os"
	"syscall"
)

// attributes let a server die with the test binary, also when that is killed and no cleanup runs.
var attributes = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

var pauseSignal, resumeSignal os.Signal = syscall.SIGSTOP, syscall.SIGCONT
