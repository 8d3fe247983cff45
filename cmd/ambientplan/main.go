// Command ambientplan plans the migration of an Istio mesh from sidecars to
// ambient mode. It reads manifests and snapshots and writes files; it never
// changes a cluster.
//
// Results go to stdout, everything else to stderr. Exit codes are 0 (done),
// 1 (findings at or over --fail-on), 2 (usage or bad input) and 3 (something
// could not be read or written).
package main

import (
	"context"
	"os"
	"os/signal"
	"time"
)

func main() {
	os.Exit(runProcess())
}

// runProcess runs the program on what the process has: it is the one place that
// looks at the process's arguments, files, environment and clock.
func runProcess() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return run(ctx, os.Args, &streams{
		in: os.Stdin, out: os.Stdout, errOut: os.Stderr,
		env: os.LookupEnv, now: time.Now(), terminal: isTerminal(os.Stdout), errTerminal: isTerminal(os.Stderr),
	})
}

// isTerminal tells whether a person looks at the file.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
