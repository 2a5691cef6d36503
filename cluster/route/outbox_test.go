package route

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestOutboxKnowsWhatIsStillWaitedFor(t *testing.T) {
	ctx := context.Background()
	o := newOutbox(1)
	for want := uint64(1); want <= 4; want++ {
		if seq, err := o.begin(ctx); seq != want || err != nil {
			t.Fatalf("request %d got number %d (%v)", want, seq, err)
		}
	}
	for i, step := range []struct{ finish, acked uint64 }{{3, 1}, {1, 2}, {4, 2}, {2, 5}} {
		if o.finish(step.finish); o.ack() != step.acked {
			t.Errorf("step %d: after %d is done, those below %d are acknowledged, not %d", i, step.finish, o.ack(), step.acked)
		}
	}
	if seq, err := o.begin(ctx); seq != 5 || err != nil || len(o.done) != 0 {
		t.Errorf("the next is %d (%v), %d are remembered", seq, err, len(o.done))
	}
}

// TestOutboxNeverAcknowledgesWhatIsUnderWay finishes requests in random order.
func TestOutboxNeverAcknowledgesWhatIsUnderWay(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	o := newOutbox(1)
	var under []uint64
	for range 20000 {
		if len(under) == 0 || len(under) < 50 && rnd.IntN(2) == 0 {
			seq, err := o.begin(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			under = append(under, seq)
		} else {
			i := rnd.IntN(len(under))
			o.finish(under[i])
			under = append(under[:i], under[i+1:]...)
		}
		least := o.next + 1
		for _, seq := range under {
			least = min(least, seq)
		}
		if o.ack() != least {
			t.Fatalf("acknowledged below %d, but %d is the first under way", o.ack(), least)
		}
	}
}

func TestOutboxHoldsBackWhatTheGroupWouldRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(1)
		for range maxOutstanding {
			if _, err := o.begin(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		o.finish(2) // the first is still under way: no room is made
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if seq, err := o.begin(ctx); err == nil {
			t.Fatalf("%d requests are under way and number %d was given", maxOutstanding, seq)
		}
		begun := make(chan uint64, 3)
		for range 3 {
			go func() {
				seq, _ := o.begin(context.Background())
				begun <- seq
			}()
		}
		synctest.Wait()
		o.finish(1) // room for two
		synctest.Wait()
		if len(begun) != 2 {
			t.Errorf("%d go on when there is room for two", len(begun))
		}
		o.finish(3)
		synctest.Wait()
		if len(begun) != 3 {
			t.Errorf("%d of 3 go on", len(begun))
		}
	})
}
