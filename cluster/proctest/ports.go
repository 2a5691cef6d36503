package proctest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken below those that systems give to outgoing connections: a port
// that is free now is then still free when the node binds it.
const (
	firstPort = 11000
	lastPort  = 29999
	portTries = 1000
)

// errNoPort is returned when no free port was found.
var errNoPort = errors.New("no free port found on 127.0.0.1")

// FreeAddr returns an address on loopback whose port is free for TCP and UDP.
// Those in taken are not returned.
func FreeAddr(taken map[string]bool) (string, error) {
	for range portTries {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort+1)))
		if !taken[addr] && free(addr) {
			return addr, nil
		}
	}
	return "", errNoPort
}

func free(addr string) bool {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer ln.Close()
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	pc.Close()
	return true
}
