package fsm

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// recount adds up what an entry takes without what its object counts.
func recount(key string, e *entry) int64 {
	n := stringBytes + textBytes(key)
	if e.deadline != 0 {
		n += deadlineBytes
	}
	if e.lock != nil {
		n += e.lock.bytes()
	}
	switch o := e.obj.(type) {
	case nil:
		n += textBytes(e.str)
	case hash:
		n += hashBytes
		o.each(func(name, value string) bool { n += fieldBytes + textBytes(name) + textBytes(value); return true })
	case set:
		n += setBytes
		o.each(func(member string) bool { n += memberBytes + textBytes(member); return true })
	case list:
		n += listBytes
		o.each(0, func(_ int, element string) bool { n += elementBytes + textBytes(element); return true })
	case zset:
		n += zsetBytes
		o.each(func(m zmember) bool { n += scoredBytes + textBytes(m.name); return true })
	}
	return n
}

func TestBytesAreCountedRight(t *testing.T) {
	r := newRig(t)
	rnd := rand.New(rand.NewPCG(5, 0))
	for n := range 20 {
		for range 200 {
			r.do(draws(rnd, forms[rnd.IntN(len(forms))])...)
		}
		checkSound(t, r.m)
		c := restored(t, r.m)
		checkSound(t, c)
		f := r.m.Fork(0, 0)
		if r.m.Bytes() == 0 || c.Bytes() != r.m.Bytes() || f.Bytes() != r.m.Bytes() {
			t.Fatalf("round %d: %d bytes, restored %d, forked %d", n, r.m.Bytes(), c.Bytes(), f.Bytes())
		}
		f.Try(callOf(0, "SET", "another", "key"))
		if want := r.m.Bytes() + stringBytes + 8 + 8; f.Bytes() != want {
			t.Fatalf("round %d: the fork has %d bytes, want %d", n, f.Bytes(), want)
		}
	}
	r.run(callOf(0, "FLUSHALL"), callOf(0, "SCRIPT", "FLUSH"))
	if n := r.m.Bytes(); n != 0 {
		t.Fatalf("%d bytes are counted of nothing", n)
	}
}

// TestBytesAreAboutWhatTheHeapGrowsBy holds the constants to what is so.
func TestBytesAreAboutWhatTheHeapGrowsBy(t *testing.T) {
	for _, args := range [][]string{
		{"SET"}, {"SET", "PX", "1000000"}, {"HSET"}, {"SADD"}, {"RPUSH"}, {"ZADD"},
	} {
		for _, elements := range []int{1, 5, 100, 20_000} {
			name := args[0]
			if name == "SET" && elements > 1 {
				continue
			}
			r := newRig(t)
			r.do("PERSIST", "nosuch")
			before := heapBytes()
			for key := range 20_000 / elements {
				calls := make([]command.Call, elements)
				for i := range calls {
					c := []string{name, benchKey(key)}
					switch element := benchKey(i * 7919 % 20_011); name {
					case "HSET":
						c = append(c, element, element)
					case "ZADD":
						c = append(c, fmt.Sprint(i%1000), element)
					default:
						c = append(c, element)
					}
					calls[i] = callOf(0, append(c, args[1:]...)...)
				}
				r.run(calls...)
			}
			r.do("PERSIST", "nosuch") // acknowledges the others
			heap := int64(heapBytes() - before)
			if n := r.m.Bytes(); n < heap*3/4 || n > heap*5/4 {
				t.Errorf("%v with %d elements: counted %d bytes, the heap has %d more", args, elements, n, heap)
			}
			runtime.KeepAlive(r)
		}
	}
}

func TestMemoryUsageIsOfOneKey(t *testing.T) {
	r := newRig(t)
	empty := r.m.Bytes()
	for _, args := range [][]string{
		{"SET", "k", "v"}, {"SET", "k", "v", "EX", "9"}, {"HSET", "k", "field", "value"}, {"SADD", "k", "a", "b"},
		{"RPUSH", "k", "a", "b"}, {"ZADD", "k", "1", "a"},
	} {
		r.do("DEL", "k")
		r.do(args...)
		wantReply(t, r.do("MEMORY", "USAGE", "k", "SAMPLES", "0"), resp.Int64(r.m.Bytes()-empty))
	}
	wantReply(t, r.do("MEMORY", "USAGE", "nosuch"), resp.Null)
}

func TestKeyspaceCountsEachDatabase(t *testing.T) {
	r := newRig(t)
	r.run(callOf(0, "SET", "a", "v"), callOf(0, "SET", "b", "v", "PX", "100"), callOf(0, "SET", "c", "v", "PX", "300"),
		callOf(9, "SET", "a", "v"), callOf(9, "PEXPIRE", "a", "1"))
	row := func(n ...int) resp.Value {
		elems := make([]resp.Value, len(n))
		for i := range n {
			elems[i] = resp.Int(n[i])
		}
		return resp.List(elems...)
	}
	wantReply(t, r.do("KEYSPACE"), resp.List(row(0, 3, 2, 200), row(9, 1, 1, 1)))
	r.clock += 101
	r.apply()
	wantReply(t, r.do("KEYSPACE"), resp.List(row(0, 2, 1, 199)))
	r.do("FLUSHALL")
	wantReply(t, r.do("KEYSPACE"), resp.EmptyArray)
}

func TestMeanTimeToLiveIsOfAllThatWillExpire(t *testing.T) {
	r := newRig(t)
	for i := range 1000 {
		r.do("SET", benchKey(i), "v", "PX", fmt.Sprint(1000+i))
	}
	if mean := r.m.ks[0].meanTTL(r.m.clock); mean < 1400 || mean > 1600 {
		t.Fatalf("the mean is %d ms, want about 1500", mean)
	}
	if keys, expires := r.m.DBSize(0); keys != 1000 || expires != 1000 {
		t.Fatalf("%d keys, %d of which expire, want 1000", keys, expires)
	}
}
