package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"phonond/cluster/proctest"
)

// servers are those that are compared.
type servers struct {
	cluster *proctest.Cluster
	redis   *proctest.Redis
	etcd    []*embed.Etcd
}

const startTimeout = time.Minute

func startServers(ctx context.Context, program, store, dir string) (s *servers, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s = &servers{}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	program, err = filepath.Abs(program)
	if err != nil {
		return s, err
	}
	s.cluster, err = proctest.New(proctest.Options{Program: program, Dir: dir, Regions: []proctest.Region{{Name: "east", Nodes: 2}, {Name: "west", Nodes: 2}}, Flags: []string{"--log-store=" + store}})
	if err != nil {
		return s, err
	}
	if err := s.cluster.Start(ctx); err != nil {
		return s, fmt.Errorf("%w\n%s", err, s.cluster.Logs())
	}
	if s.redis, err = proctest.StartRedis(ctx, dir, "--appendonly", "yes", "--appendfsync", "always"); err != nil {
		return s, err
	}
	return s, s.startEtcd(dir)
}

// startEtcd starts three members in this process.
func (s *servers) startEtcd(dir string) error {
	const members = 3
	var peers, clients []url.URL
	initial := ""
	for i := range members {
		p, err := freeURL()
		if err != nil {
			return err
		}
		c, err := freeURL()
		if err != nil {
			return err
		}
		peers, clients = append(peers, p), append(clients, c)
		initial += fmt.Sprintf(",m%d=%s", i, p.String())
	}
	for i := range members {
		cfg := embed.NewConfig()
		cfg.Name, cfg.Dir = fmt.Sprint("m", i), filepath.Join(dir, fmt.Sprint("etcd-", i))
		cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = peers[i:i+1], peers[i:i+1]
		cfg.ListenClientUrls, cfg.AdvertiseClientUrls = clients[i:i+1], clients[i:i+1]
		cfg.InitialCluster, cfg.LogLevel, cfg.ZapLoggerBuilder = initial[1:], "error", embed.NewZapLoggerBuilder(zap.NewNop())
		e, err := embed.StartEtcd(cfg)
		if err != nil {
			return err
		}
		s.etcd = append(s.etcd, e)
	}
	for _, e := range s.etcd {
		select {
		case <-e.Server.ReadyNotify():
		case <-time.After(startTimeout):
			return errors.New("etcd has not started")
		}
	}
	return nil
}

func freeURL() (url.URL, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return url.URL{}, err
	}
	defer ln.Close()
	return url.URL{Scheme: "http", Host: ln.Addr().String()}, nil
}

func (s *servers) stop() {
	for _, e := range s.etcd {
		e.Close()
	}
	if s.redis != nil {
		s.redis.Kill()
	}
	if s.cluster != nil {
		s.cluster.Close()
	}
}

// ttl is that of all locks that have one.
const ttl = 30 * time.Second

// connect connects client i to a node of the cluster.
func (s *servers) connect(i int) *redis.Client {
	nodes := s.cluster.Nodes()
	return redis.NewClient(&redis.Options{Addr: nodes[i%len(nodes)].RESP, PoolSize: 1, MaxRetries: -1, ReadTimeout: time.Minute})
}

// nativeLocker uses LOCK.ACQUIRE and LOCK.RELEASE.
type nativeLocker struct {
	rdb         *redis.Client
	name, owner string
	wait        bool
	token       int64
}

func (s *servers) native(wait bool) func(context.Context, int, string) (locker, error) {
	return func(_ context.Context, i int, name string) (locker, error) {
		return &nativeLocker{rdb: s.connect(i), name: name, owner: fmt.Sprint("client-", i), wait: wait}, nil
	}
}

func (l *nativeLocker) lock(ctx context.Context) error {
	args := []any{"LOCK.ACQUIRE", l.name, l.owner, ttl.Milliseconds()}
	if l.wait {
		args = append(args, "WAIT", 0)
	}
	v, err := l.rdb.Do(ctx, args...).Int64Slice()
	if err == nil {
		l.token = v[0]
	}
	return err
}

func (l *nativeLocker) unlock(ctx context.Context) error {
	return l.rdb.Do(ctx, "LOCK.RELEASE", l.name, strconv.FormatInt(l.token, 10)).Err()
}

func (l *nativeLocker) close() { l.rdb.Close() }

// plainLocker uses SET NX and the script that redis-py has, and polls as that does.
type plainLocker struct {
	rdb         *redis.Client
	name, owner string
}

const pollEvery = 10 * time.Millisecond

var release = redis.NewScript(`
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('del', KEYS[1])
        return 1
    `)

func (s *servers) polled() func(context.Context, int, string) (locker, error) {
	return func(_ context.Context, i int, name string) (locker, error) {
		rdb := redis.NewClient(&redis.Options{Addr: s.redis.Addr, PoolSize: 1, MaxRetries: -1})
		return &plainLocker{rdb, name, fmt.Sprint("client-", i)}, nil
	}
}

func (s *servers) script() func(context.Context, int, string) (locker, error) {
	return func(_ context.Context, i int, name string) (locker, error) {
		return &plainLocker{s.connect(i), name, fmt.Sprint("client-", i)}, nil
	}
}

func (l *plainLocker) lock(ctx context.Context) error {
	for {
		ok, err := l.rdb.SetNX(ctx, l.name, l.owner, ttl).Result()
		if ok || err != nil {
			return err
		}
		time.Sleep(pollEvery)
	}
}

func (l *plainLocker) unlock(ctx context.Context) error {
	return release.Run(ctx, l.rdb, []string{l.name}, l.owner).Err()
}

func (l *plainLocker) close() { l.rdb.Close() }

// etcdLocker uses etcd's own mutex, with a session for each client.
type etcdLocker struct {
	cli     *clientv3.Client
	session *concurrency.Session
	mutex   *concurrency.Mutex
}

func (s *servers) etcdMutex() func(context.Context, int, string) (locker, error) {
	return func(_ context.Context, i int, name string) (locker, error) {
		e := s.etcd[i%len(s.etcd)]
		cli, err := clientv3.New(clientv3.Config{Endpoints: []string{e.Config().ListenClientUrls[0].Host}, DialTimeout: startTimeout, Logger: zap.NewNop()})
		if err != nil {
			return nil, err
		}
		session, err := concurrency.NewSession(cli)
		if err != nil {
			cli.Close()
			return nil, err
		}
		return &etcdLocker{cli, session, concurrency.NewMutex(session, "/"+name)}, nil
	}
}

func (l *etcdLocker) lock(ctx context.Context) error   { return l.mutex.Lock(ctx) }
func (l *etcdLocker) unlock(ctx context.Context) error { return l.mutex.Unlock(ctx) }

func (l *etcdLocker) close() {
	l.session.Close()
	l.cli.Close()
}
