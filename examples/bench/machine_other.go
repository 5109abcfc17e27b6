//go:build !linux

package main

import (
	"runtime"
	"time"
)

func busy() (time.Duration, error) { return 0, errOnlyLinux }

func processTime(int) (time.Duration, error) { return 0, errOnlyLinux }

func pin(...int) (undo func() error, err error) { return nil, errOnlyLinux }

func processor() string { return runtime.GOARCH }

func system() string { return runtime.GOOS }

// descriptors is 0: the machine does not tell, and one with few fails.
func descriptors() (int, error) { return 0, nil }

func resident() (int64, error) { return 0, errOnlyLinux }
