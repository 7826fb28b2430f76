package main

import (
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

const progressAfter = time.Second

// Progress shows on a terminal how far a long extraction is. Elsewhere, and for everything short, it is silent.
type Progress struct {
	name  string
	total uint64
	done  atomic.Uint64
	end   chan struct{}
	ended chan struct{}
}

func startProgress(pkg *Package) *Progress {
	if logJSON || !isTerminal(os.Stderr) {
		return nil
	}
	p := &Progress{name: printable(pkg.plan.name), end: make(chan struct{}), ended: make(chan struct{})}
	for i := range pkg.plan.slots {
		p.total += pkg.plan.slots[i].size
	}
	go p.run()
	return p
}

func (p *Progress) advance(bytes int) {
	if p != nil {
		p.done.Add(uint64(bytes))
	}
}

func (p *Progress) run() {
	defer close(p.ended)
	wait := time.NewTimer(progressAfter)
	defer wait.Stop()
	shown := false
	for {
		select {
		case <-p.end:
			if shown {
				printErr("\r\x1b[K")
			}
			return
		case <-wait.C:
			shown = true
			percent := uint64(100)
			if p.total > 0 {
				percent = min(100, p.done.Load()*100/p.total)
			}
			printErr("\rsealift: preparing " + p.name + ": " + strconv.FormatUint(percent, 10) + " %\x1b[K")
			wait.Reset(200 * time.Millisecond)
		}
	}
}

func (p *Progress) stop() {
	if p != nil {
		close(p.end)
		<-p.ended
	}
}
