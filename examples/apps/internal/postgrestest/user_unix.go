//go:build unix

package postgrestest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// PostgreSQL refuses to run as root, so that root's tests run it as one of these.
var users = []string{"postgres", "nobody"}

// other returns as whom the server runs, and false if that is who runs the test.
func other() (uid, gid int, ok bool, err error) {
	if os.Getuid() != 0 {
		return 0, 0, false, nil
	}
	for _, name := range users {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(found.Uid)
		gid, gidErr := strconv.Atoi(found.Gid)
		if uidErr == nil && gidErr == nil {
			return uid, gid, true, nil
		}
	}
	return 0, 0, false, fmt.Errorf("root cannot run PostgreSQL, and there is no user of %q", users)
}

// give makes the directory that of the user as whom the server runs.
func give(dir string) error {
	uid, gid, ok, err := other()
	if err != nil || !ok {
		return err
	}
	return os.Chown(dir, uid, gid)
}

// demote lets the command run as that user.
func demote(command *exec.Cmd) error {
	uid, gid, ok, err := other()
	if err != nil || !ok {
		return err
	}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return nil
}
