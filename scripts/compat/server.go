package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// server is one of those that are compared.
type server struct {
	name   string
	addr   string
	ctl    *conn
	nodes  []*conn // to all nodes of a phonond; none for Redis
	groups bool    // its keys live in several groups
}

func newServer(name, addr string) (*server, error) {
	ctl, err := dial(addr, 2)
	if err != nil {
		return nil, err
	}
	s := &server{name: name, addr: addr, ctl: ctl}
	list, err := ctl.do("CLUSTER", "NODES")
	if err != nil || list.IsError() {
		return s, err // an error is what Redis says
	}
	for line := range strings.Lines(list.Str) {
		node, _, _ := strings.Cut(strings.Fields(line)[1], "@")
		c, err := dial(node, 2)
		if err != nil {
			return nil, err
		}
		s.nodes = append(s.nodes, c)
	}
	return s, nil
}

var (
	blockedClients = regexp.MustCompile(`blocked_clients:(\d+)`)
	groupWaiting   = regexp.MustCompile(`(?m)^group_.*,waiting=(\d+),`)
)

// blocked reports whether n clients wait, by the server's own account. In phonond a
// client counts before the group's leader knows of it, and until then another's command
// may pass it: the leaders' counts have to say the same.
func (s *server) blocked(n int) (bool, error) {
	clients, err := sum(s.ctl, "clients", blockedClients)
	if err != nil || clients != n || len(s.nodes) == 0 {
		return err == nil && clients == n, err
	}
	known := 0
	for _, node := range s.nodes {
		here, err := sum(node, "phonond", groupWaiting)
		if err != nil {
			return false, err
		}
		known += here
	}
	return known == n, nil
}

// sum adds the numbers of a field in a section of INFO.
func sum(c *conn, section string, field *regexp.Regexp) (total int, err error) {
	v, err := c.must("INFO", section)
	if err != nil {
		return 0, err
	}
	found := field.FindAllStringSubmatch(v.Str, -1)
	if found == nil {
		return 0, fmt.Errorf("INFO %s has no %v", section, field)
	}
	for _, m := range found {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// clean makes the server as it was in the beginning.
func (s *server) clean() error {
	if err := waitUntil("no client waits", func() (bool, error) { return s.blocked(0) }); err != nil {
		return err
	}
	_, err := s.ctl.pipe([][]string{{"FLUSHALL"}, {"SCRIPT", "FLUSH"}, {"CONFIG", "SET", "notify-keyspace-events", ""}})
	return err
}
