package route

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// lossy says, as its seed has it, which connections break, and when.
type lossy struct {
	mu     sync.Mutex
	rnd    *rand.Rand
	strays sync.WaitGroup
}

// lossily runs a test over links that lose answers and deliver requests late and twice,
// once for each of several seeds.
func lossily(t *testing.T, seeds, salt uint64, test func(t *testing.T, r *rig, l *lossy)) {
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(r *rig) {
				l := &lossy{rnd: rand.New(rand.NewPCG(seed, salt))}
				defer l.strays.Wait()
				r.wrap = func(_ string, c net.Conn) net.Conn { return &lossyConn{c, l} }
				test(t, r, l)
				r.close()
				clear(r.nodes)
			})
		})
	}
}

func (l *lossy) roll(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rnd.IntN(n)
}

// end waits until the last strays have arrived, and lets links be as good as any.
func (l *lossy) end(r *rig) {
	time.Sleep(20 * time.Second)
	r.wrap = nil
}

// lossyConn is a connection that breaks now and then: before an answer has come, or
// after a request was sent that arrives all the same, perhaps much later.
type lossyConn struct {
	net.Conn
	*lossy
}

func (c *lossyConn) Write(b []byte) (int, error) {
	if c.roll(10) > 0 {
		return c.Conn.Write(b)
	}
	late := append([]byte{}, b...)
	after := time.Duration(c.roll(4000)) * time.Millisecond
	c.strays.Go(func() {
		time.Sleep(after)
		c.Conn.Write(late)
		time.Sleep(10 * time.Millisecond)
		c.Conn.Close()
	})
	return 0, net.ErrClosed
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.roll(10) == 0 {
		return 0, net.ErrClosed
	}
	return n, err
}

// Close leaves the other direction to the stray that may be on its way.
func (c *lossyConn) Close() error {
	c.strays.Go(func() {
		time.Sleep(5 * time.Second)
		c.Conn.Close()
	})
	return nil
}
