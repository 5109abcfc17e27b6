package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/editlock/editlock/core"
)

// The exit statuses; see the package comment.
const (
	done = iota
	warned
	failed
	misused
)

const usage = `usage: editlock COMMAND [flags] [UID]

  list        the locks that are held, and the records that are malformed
  show UID    what Redis keeps of one resource, in words
  watch UID   each change of hands, until Ctrl-C
  break UID   ends a hold; it asks before
  doctor      what is wrong with Redis, and what to do

editlock COMMAND --help has the flags and an example. Redis is where REDIS_URL
and REDIS_DB_MUTEX say. Exit status: 0 done; 1 doctor has warnings, nothing was
broken, or the record is malformed; 2 Redis could not be reached, refused, or
cannot keep locks; 3 wrong usage.
`

// console is what a command talks to.
type console struct {
	in       io.Reader
	out, err *printer
	terminal bool // somebody can answer
}

// printer prints until that fails, and remembers why.
type printer struct {
	w     io.Writer
	error error
}

func (p *printer) printf(format string, args ...any) {
	if p.error == nil {
		_, p.error = fmt.Fprintf(p.w, format, args...)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &console{in: stdin, out: &printer{w: stdout}, err: &printer{w: stderr}, terminal: isTerminal(stdin)}
	return c.run(ctx, args)
}

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// run runs a command. One whose output was lost has failed.
func (c *console) run(ctx context.Context, args []string) int {
	status := c.command(ctx, args)
	if c.out.error != nil {
		c.warn("the output is not complete: %v", c.out.error)
		return failed
	}
	return status
}

func (c *console) command(ctx context.Context, args []string) int {
	if len(args) == 0 {
		c.warn("no command")
		c.err.printf("%s", usage)
		return misused
	}
	switch args[0] {
	case "list":
		return list(ctx, c, args[1:])
	case "show":
		return show(ctx, c, args[1:])
	case "watch":
		return watch(ctx, c, args[1:])
	case "break":
		return breakHold(ctx, c, args[1:])
	case "doctor":
		return doctor(ctx, c, args[1:])
	case "help", "-h", "-help", "--help":
		c.out.printf("%s", usage)
		return done
	default:
		c.warn("there is no command %q", args[0])
		c.err.printf("%s", usage)
		return misused
	}
}

// warn writes a line to standard error.
func (c *console) warn(format string, args ...any) {
	for _, line := range wrap("editlock: ", "  ", fmt.Sprintf(format, args...)) {
		c.err.printf("%s\n", line)
	}
}

// say writes a paragraph to standard output.
func (c *console) say(format string, args ...any) {
	for _, line := range wrap("", "", fmt.Sprintf(format, args...)) {
		c.out.printf("%s\n", line)
	}
}

// fail writes an error and returns the exit status.
func (c *console) fail(err error) int {
	c.warn("%s", explain(err))
	if errors.Is(err, core.ErrInvalid) || errors.Is(err, core.ErrNotConfigured) {
		return misused
	}
	return failed
}

// flags are those of one command.
type flags struct {
	*flag.FlagSet
	console                  *console
	arguments                string // besides flags
	about, example           string
	url, db, prefix, tenancy string
	json                     bool
}

// newFlags returns the flags that all commands have.
func (c *console) newFlags(name, arguments, about, example string) *flags {
	f := &flags{
		FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), console: c,
		arguments: arguments, about: about, example: example,
	}
	f.SetOutput(io.Discard)
	f.StringVar(&f.url, "url", "", "`URL` of Redis; the default is REDIS_URL")
	f.StringVar(&f.db, "db", "", "`number` of the database; the default is\nREDIS_DB_MUTEX, or else that of the URL")
	f.StringVar(&f.prefix, "key-prefix", "editlock:", "`prefix` of all keys, if the application sets\ncore.Options.Prefix")
	return f
}

func (f *flags) withTenant(otherwise string) {
	f.StringVar(&f.tenancy, "tenant", "", "`name` of the tenant whose uids are meant; "+otherwise)
}

func (f *flags) withJSON(what string) { f.BoolVar(&f.json, "json", false, what) }

// parse returns the arguments that are no flags, of which there must be n. If it reports false, the command ends with
// the status.
func (f *flags) parse(args []string, n int) (values []string, status int, ok bool) {
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			f.help()
			return nil, done, false
		}
		if err != nil {
			return nil, f.misuse("%v", err), false
		}
		rest := f.Args()
		if len(rest) == 0 {
			break
		}
		if at := len(args) - len(rest); at > 0 && args[at-1] == "--" {
			values = append(values, rest...)
			break
		}
		values, args = append(values, rest[0]), rest[1:]
	}
	switch {
	case len(values) > n:
		return nil, f.misuse("%q is too much", values[n]), false
	case len(values) < n:
		return nil, f.misuse("it needs %s", f.arguments), false
	}
	return values, done, true
}

func (f *flags) misuse(format string, args ...any) int {
	f.console.warn("%s: %s; see editlock %s --help", f.Name(), fmt.Sprintf(format, args...), f.Name())
	return misused
}

func (f *flags) help() {
	c := f.console
	arguments := ""
	if f.arguments != "" {
		arguments = " " + f.arguments
	}
	c.out.printf("usage: editlock %s [flags]%s\n\n", f.Name(), arguments)
	c.say("%s", f.about)
	c.out.printf("\nFlags:\n")
	f.SetOutput(c.out.w)
	f.PrintDefaults()
	c.out.printf("\nExample:\n  %s\n", f.example)
}
