package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"phonond/cluster/durable"
	"phonond/cluster/group"
)

// identity is who a node is, kept in its data directory from the first start on.
type identity struct {
	Node   string `json:"node"`
	Region string `json:"region"`
	// Seat is a random mark of the data directory: whoever comes with the same id
	// and another mark has lost what it voted for, and must not vote again.
	Seat string `json:"seat"`
	// Incarnation counts the starts.
	Incarnation uint64 `json:"incarnation"`
	// Groups are those that the node has had a log of: one that is gone must not be
	// begun again, as it holds what the node voted for.
	Groups []string `json:"groups,omitempty"`
}

const identityFile = "node.json"

// loadIdentity reads the node's identity, or makes one, and counts the start. It is
// for the caller to save.
func loadIdentity(dir, node, region string) (identity, error) {
	path := filepath.Join(dir, identityFile)
	id := identity{Node: node, Region: region, Seat: randomHex(16)}
	if id.Node == "" {
		id.Node = region + "-" + randomHex(4)
	}
	err := readJSON(path, &id)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return identity{}, err
	case node != "" && id.Node != node:
		return identity{}, fmt.Errorf("%s is of node %q, the configuration says %q: a node's id is for ever; give the new node a data directory of its own", path, id.Node, node)
	case id.Region != region:
		return identity{}, fmt.Errorf("%s is of a node in region %q, the configuration says %q: a node cannot move between regions", path, id.Region, region)
	}
	id.Incarnation++
	return id, nil
}

func (id identity) save(dir string) error { return writeJSON(filepath.Join(dir, identityFile), id) }

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// readJSON reads a file of ours. The error names the file, and says what to do
// when it is damaged.
func readJSON(path string, v any) error {
	b, err := durable.Read(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s is damaged (%w): %s", path, err, group.Advice)
	}
	return nil
}

// writeJSON replaces a file of ours.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.Replace(path, append(b, '\n')); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
