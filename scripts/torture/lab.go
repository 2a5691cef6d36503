package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// labPrefix is how everything begins that a lab leaves in the system's name
// spaces; the id of the process that made it follows.
const labPrefix = "phtort-"

// commandTimeout bounds every command of the system that is run.
const commandTimeout = 20 * time.Second

// command runs a command of the system.
func command(stdin string, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// commands runs several, one a line, and stops at the first that fails.
func commands(lines ...string) error {
	for _, line := range lines {
		words := strings.Fields(line)
		if err := command("", words[0], words[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// lab is a network inside this machine. Each host is a network namespace, joined
// by a pair of interfaces to a bridge in a namespace of its own, the hub; so is
// this process, which stays where it is. The hub drops what is to be lost.
type lab struct {
	prefix string // of the namespaces
	subnet string // without the last number

	mu      sync.Mutex
	hosts   map[string]string // addresses
	address int               // the last number given out
	cut     map[direction]int // how many faults drop it
}

// direction is what one host sends to another.
type direction struct{ from, to string }

// The addresses: this process has the first of a subnet that nothing else here
// uses.
const (
	labNet    = "10.119.%d."
	labMine   = 1
	firstHost = 10
	lastHost  = 250
)

// newLab makes the network, without hosts.
func newLab() (_ *lab, err error) {
	pid := os.Getpid()
	l := &lab{prefix: labPrefix + strconv.Itoa(pid), hosts: map[string]string{}, address: firstHost - 1, cut: map[direction]int{}}
	if l.subnet, err = freeSubnet(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	hub, mine := l.namespace("hub"), "pht"+strconv.Itoa(pid)
	err = commands(
		"ip netns add "+hub,
		"ip -n "+hub+" link add br0 type bridge",
		"ip -n "+hub+" link set br0 up",
		"ip link add "+mine+" type veth peer name mine netns "+hub,
		"ip -n "+hub+" link set mine master br0 up",
		fmt.Sprintf("ip addr add %s%d/24 dev %s", l.subnet, labMine, mine),
		"ip link set "+mine+" up",
	)
	if err == nil {
		err = l.nft(`table bridge torture {
	set cut { type ipv4_addr . ipv4_addr; }
	chain forward {
		type filter hook forward priority 0; policy accept;
		ip saddr . ip daddr @cut drop
	}
}`)
	}
	return l, err
}

func freeSubnet() (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for i := range 256 {
		subnet := fmt.Sprintf(labNet, i)
		if !slices.ContainsFunc(addrs, func(a net.Addr) bool { return strings.HasPrefix(a.String(), subnet) }) {
			return subnet, nil
		}
	}
	return "", errors.New("every subnet that is tried is in use")
}

func (l *lab) namespace(host string) string { return l.prefix + "-" + host }

func (l *lab) nft(script string) error {
	return command(script, "ip", "netns", "exec", l.namespace("hub"), "nft", "-f", "-")
}

// add makes a host, which has no address yet.
func (l *lab) add(host string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	hub, ns := l.namespace("hub"), l.namespace(host)
	port := fmt.Sprintf("v%d", len(l.hosts))
	l.hosts[host] = ""
	return commands(
		"ip netns add "+ns,
		"ip -n "+ns+" link set lo up",
		"ip -n "+hub+" link add "+port+" type veth peer name eth0 netns "+ns,
		"ip -n "+hub+" link set "+port+" master br0 up",
		"ip -n "+ns+" link set eth0 up",
	)
}

// enter is what stands in front of a command line to be run on a host.
func (l *lab) enter(host string) []string {
	return []string{"nsenter", "--net=" + filepath.Join("/run/netns", l.namespace(host)), "--"}
}

// move gives a host another address, and returns it.
func (l *lab) move(host string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	used := map[string]bool{}
	for _, addr := range l.hosts {
		used[addr] = true
	}
	addr := ""
	for addr == "" || used[addr] {
		if l.address++; l.address > lastHost {
			l.address = firstHost
		}
		addr = l.subnet + strconv.Itoa(l.address)
	}
	// The old one goes first: with the first address of a subnet go all others.
	ns := l.namespace(host)
	if old := l.hosts[host]; old != "" {
		if err := commands("ip -n " + ns + " addr del " + old + "/24 dev eth0"); err != nil {
			return "", err
		}
	}
	if err := commands("ip -n " + ns + " addr add " + addr + "/24 dev eth0"); err != nil {
		return "", err
	}
	l.hosts[host] = addr
	return addr, l.apply()
}

// link takes a host's interface down, or up again.
func (l *lab) link(host string, up bool) error {
	state := "down"
	if up {
		state = "up"
	}
	return commands("ip -n " + l.namespace(host) + " link set eth0 " + state)
}

// drop loses what is sent in these directions, until restore was called as often.
func (l *lab) drop(list []direction) error    { return l.change(list, 1) }
func (l *lab) restore(list []direction) error { return l.change(list, -1) }

func (l *lab) change(list []direction, by int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range list {
		if l.cut[d] += by; l.cut[d] == 0 {
			delete(l.cut, d)
		}
	}
	return l.apply()
}

// apply tells the hub what to drop.
func (l *lab) apply() error {
	var pairs []string
	for d := range l.cut {
		if from, to := l.hosts[d.from], l.hosts[d.to]; from != "" && to != "" {
			pairs = append(pairs, from+" . "+to)
		}
	}
	script := "flush set bridge torture cut\n"
	if len(pairs) > 0 {
		script += "add element bridge torture cut { " + strings.Join(pairs, ", ") + " }\n"
	}
	return l.nft(script)
}

// close removes the network. No process may be left on any host.
func (l *lab) close() error { return removeNamespaces(l.prefix) }

// removeNamespaces removes those that begin so, and with them their interfaces.
func removeNamespaces(prefix string) error {
	paths, err := filepath.Glob(filepath.Join("/run/netns", prefix+"-*"))
	for _, p := range paths {
		err = errors.Join(err, command("", "ip", "netns", "del", filepath.Base(p)))
	}
	return err
}

// sweep removes what earlier runs have left behind that were killed: it is named
// after processes that are gone.
func sweep() error {
	var errs []error
	leftover := func(name string) bool {
		rest, ok := strings.CutPrefix(name, labPrefix)
		pid, _, _ := strings.Cut(rest, "-")
		if _, err := strconv.Atoi(pid); !ok || err != nil {
			return false
		}
		_, err := os.Stat("/proc/" + pid)
		return errors.Is(err, os.ErrNotExist)
	}
	mounts, err := mountPoints()
	errs = append(errs, err)
	for _, m := range mounts {
		if leftover(filepath.Base(filepath.Dir(m))) {
			thaw(m)
			errs = append(errs, command("", "umount", m))
		}
	}
	names, err := filepath.Glob(filepath.Join("/run/netns", labPrefix+"*"))
	errs = append(errs, err)
	for _, n := range names {
		if leftover(filepath.Base(n)) {
			errs = append(errs, command("", "ip", "netns", "del", filepath.Base(n)))
		}
	}
	return errors.Join(errs...)
}
