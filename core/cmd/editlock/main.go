// Command editlock is for operators: it shows who holds which lock, breaks one, and finds what is wrong with a Redis.
//
//	go run github.com/editlock/editlock/core/cmd/editlock list
//
// Its subcommands:
//
//	list        the locks that are held, and the records that are malformed
//	show UID    what Redis keeps of one resource, in words
//	watch UID   each change of hands, until Ctrl-C
//	break UID   ends a hold; it asks before
//	doctor      what is wrong with Redis, and what to do
//
// Each explains itself with --help. Flags may stand before or after the uid; after "--" nothing is a flag.
//
// It finds Redis as the application does, by REDIS_URL and REDIS_DB_MUTEX, or by -url and -db. A password belongs in
// the environment, since others can see a command's arguments. It has the rights of that Redis user, asks for no policy
// of the application's, and needs +scan for list besides what the engine needs. An application with another
// core.Options.Prefix is named by -key-prefix.
//
// The exit status is
//
//	0  done; doctor: all is well
//	1  doctor: the engine works, and something weakens it; break: nothing was broken; show: the record is malformed
//	2  Redis could not be reached, refused, or cannot keep locks; list: some locks may be missing
//	3  the command was not called as it must be
//
// A script that asks for it installs the command, since go run makes 1 of any status but 0:
//
//	go install github.com/editlock/editlock/core/cmd/editlock
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9/logging"
)

func main() {
	logging.Disable() // go-redis writes each failed dial to standard error
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
