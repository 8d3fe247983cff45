package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// patience is how long a person waits before wondering whether anything happens.
const patience = time.Second

// progress is one line on the terminal that says what takes so long. Where
// stderr is no terminal it writes nothing, so logs stay clean.
type progress struct {
	w     io.Writer // nil: silent
	mu    sync.Mutex
	timer *time.Timer
	what  string
	shown bool
}

// progress starts a line; end must be called before anything else is written to stderr.
func (s *streams) progress() *progress {
	if !s.errTerminal {
		return &progress{}
	}
	return &progress{w: s.errOut}
}

// stage says what is being done now. It appears when that takes longer than a
// second, or at once when the stage before it already did.
func (p *progress) stage(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w == nil {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.what = what
	if p.shown {
		p.show()
		return
	}
	p.timer = time.AfterFunc(patience, p.tooLong)
}

// tooLong shows the line for the first time, unless the work ended meanwhile.
func (p *progress) tooLong() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w != nil {
		p.shown = true
		p.show()
	}
}

// show replaces the line.
func (p *progress) show() { fmt.Fprintf(p.w, "\r\x1b[K%s ...", p.what) }

// end takes the line away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w == nil {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.w = nil
}
