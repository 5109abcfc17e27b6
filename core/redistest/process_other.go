//go:build !unix

package redistest

import (
	"os"
	"syscall"
)

var attributes *syscall.SysProcAttr

// There is no pausing here: sending these signals is an error, which fails the test that tried.
var pauseSignal, resumeSignal os.Signal = os.Interrupt, os.Interrupt
