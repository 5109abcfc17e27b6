package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/editlock/editlock/core"
)

// operatorMark begins the id of an operator, so that it is no user's of the application.
const operatorMark = "operator:"

func breakHold(ctx context.Context, c *console, args []string) int {
	f := c.newFlags("break", "UID", "It shows who holds the lock, asks, and ends that very hold: all its sessions have ended, and none of its pages "+
		"resumes. If the lock changes hands meanwhile, nothing is broken. Without a terminal it needs -yes.",
		"editlock break draft-7 -by 'Kim, on call'")
	f.withTenant("the\ndefault is no tenant")
	fence := f.Int64("fence", 0, "break only the hold under this `number`")
	by := f.String("by", "", "`name` of who answers for it, which the holder reads;\nthe default is the name that you are logged in with")
	yes := f.Bool("yes", false, "do not ask")
	values, status, ok := f.parse(args, 1)
	if !ok {
		return status
	}
	operator, err := operatorNamed(*by)
	if err != nil {
		return f.misuse("%v", err)
	}
	s, err := f.connect()
	if err != nil {
		return c.fail(err)
	}
	defer s.close()
	held, err := s.locker.Status(ctx, values[0])
	switch {
	case errors.Is(err, core.ErrMalformedRecord):
		c.warn("%s; nothing was broken", explain(err))
		return warned
	case err != nil:
		return c.fail(err)
	case !held.Locked:
		c.say("Nobody holds %s: nothing was broken.", held.UID)
		return warned
	}
	c.say("%s is held by %s for %s, in %s, under fence %d. It ends in %s unless it is renewed.",
		held.UID, userText(held.User), brief(held.HeldFor), plural(held.Sessions, "session"), held.Fence, brief(held.ExpiresIn))
	if *fence != 0 && *fence != held.Fence {
		c.say("That is not the hold under fence %d: nothing was broken.", *fence)
		return warned
	}
	switch {
	case *yes:
	case !c.terminal:
		return f.misuse("there is no terminal on which it could ask: add -yes")
	case !c.ask(ctx, "Break this hold? [y/N] "):
		c.say("Nothing was broken.")
		return warned
	}
	return c.breakNow(ctx, s, held, operator)
}

// operatorNamed returns the user who breaks.
func operatorNamed(name string) (core.User, error) {
	if name == "" {
		name = os.Getenv("USER")
		if account, err := user.Current(); err == nil {
			name = account.Username
		}
	}
	if name == "" {
		return core.User{}, errors.New("the name that you are logged in with is not known: add -by")
	}
	operator := core.User{ID: core.ID(operatorMark + name), Name: name}
	if err := operator.Validate(); err != nil {
		return core.User{}, fmt.Errorf("-by: %s", explain(err))
	}
	return operator, nil
}

// ask reports whether the answer is yes.
func (c *console) ask(ctx context.Context, question string) bool {
	c.out.printf("%s", question)
	answer := make(chan string, 1)
	go func() { // it ends with the answer, or with the process
		line, err := bufio.NewReader(c.in).ReadString('\n')
		if err != nil {
			line = "" // also half a line is no answer
		}
		answer <- line
	}()
	select {
	case line := <-answer:
		if line == "" {
			c.out.printf("\n")
		}
		line = strings.ToLower(strings.TrimSpace(line))
		return line == "y" || line == "yes"
	case <-ctx.Done():
		c.out.printf("\n")
		return false
	}
}

// breakNow breaks the hold that was shown.
func (c *console) breakNow(ctx context.Context, s *session, held core.Status, by core.User) int {
	err := s.locker.Break(ctx, held.UID, held.Fence, by)
	var conflict *core.TakeoverConflict
	switch {
	case errors.As(err, &conflict):
		c.say("It has changed hands meanwhile: %s holds it under fence %d. Nothing was broken.", userText(conflict.User), conflict.Fence)
		return warned
	case errors.Is(err, core.ErrNotHeld):
		c.say("The hold has ended meanwhile. Nothing was broken.")
		return warned
	case errors.Is(err, core.ErrUnavailable):
		c.warn("whether the hold was broken is not known: %s. To call it again is safe", explain(err))
		return failed
	case err != nil:
		return c.fail(err)
	}
	c.say("The hold is broken, by %s. %s is free now.", by.Name, held.UID)
	c.say("What %s sees: with the next renewal or save, or at once where the page watches, the page learns that %s has ended the edit. It cannot save "+
		"or resume; what was typed stays in it. To go on, its user has to acquire the lock anew. A job (Mutex.Hold) is "+
		"cancelled at its next renewal.", cmp.Or(held.User.Name, idText(held.User.ID)), by.Name)
	return done
}
