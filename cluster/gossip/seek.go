package gossip

import (
	"slices"
	"sync"
	"time"
)

const (
	// firstRetry is the pause before looking for the others again while there is
	// nobody; it doubles up to RejoinInterval.
	firstRetry = time.Second
	// joins is how many nodes are tried at a time: each may take memberlist's TCP
	// time-out, 10 s or 30 s, to fail.
	joins = 8
)

// seek looks for everybody who should be there and is not, for as long as the
// gossip runs.
func (g *Gossip) seek() {
	pause := firstRetry
	for {
		g.join()
		for _, c := range g.table.tidy(time.Now(), g.patience) {
			g.cfg.Log.Warn("gossip: two processes say that they are the same node", "node", c.ID, "addr", c.Addrs[0], "other", c.Addrs[1])
			if g.cfg.OnConflict != nil {
				g.cfg.OnConflict(c)
			}
		}
		wait := g.cfg.RejoinInterval
		if alone := len(g.table.liveAddrs()) < 2; alone {
			wait = min(pause, wait)
			pause *= 2
		} else {
			pause = firstRetry
		}
		select {
		case <-time.After(wait):
		case <-g.ctx.Done():
			return
		}
	}
}

// join tries every seed, and every member ever seen, that is not alive.
func (g *Gossip) join() {
	g.mu.Lock()
	left := g.left
	g.mu.Unlock()
	if left {
		return
	}
	missing := g.missing()
	next := make(chan string)
	var workers sync.WaitGroup
	for range min(joins, len(missing)) {
		workers.Go(func() {
			for addr := range next {
				if _, err := g.list.Join([]string{addr}); err != nil {
					g.cfg.Log.Debug("gossip: node not reached", "addr", addr, "err", err)
				}
			}
		})
	}
	for _, addr := range missing {
		select {
		case next <- addr:
		case <-g.ctx.Done():
		}
	}
	close(next)
	workers.Wait()
}

// missing are the addresses where somebody should be and nobody is known alive.
func (g *Gossip) missing() []string {
	wanted := slices.Clone(g.cfg.Seeds())
	for _, m := range g.table.members() {
		if !m.Alive {
			wanted = append(wanted, m.GossipAddr)
		}
	}
	done := g.table.liveAddrs()
	var missing []string
	for _, addr := range wanted {
		found, err := g.cfg.resolve(g.ctx, addr)
		if err != nil {
			g.cfg.Log.Info("gossip: an address cannot be resolved", "addr", addr, "err", err)
		}
		for _, a := range found {
			if !done[a.String()] {
				done[a.String()] = true
				missing = append(missing, a.String())
			}
		}
	}
	return missing
}
