package gossip

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"

	"phonond/cluster/durable"
)

// ErrBook is returned when the file of an address book is not one. It only holds
// hints: a node whose book is deleted starts with what its configuration says.
var ErrBook = errors.New("gossip: not an address book")

// Book is where the nodes were last known to be. It merges what configuration,
// gossip and its own file say, so that nodes find each other after all of them
// have moved. The statement with the higher incarnation wins; of two with the
// same, the later. All methods may be called at any time.
type Book struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	members map[string]Member
}

const bookVersion = 1

// bookFile is the book as JSON.
type bookFile struct {
	Version int      `json:"version"`
	Members []Member `json:"members"`
}

// OpenBook reads the book at path, which need not exist yet. An empty path means
// a book that is kept in memory only. A file that cannot be understood is an
// ErrBook that names it.
func OpenBook(path string, log *slog.Logger) (*Book, error) {
	b := &Book{path: path, log: log, members: make(map[string]Member)}
	if path == "" {
		return b, nil
	}
	data, err := durable.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("gossip: address book: %w", err)
	}
	var file bookFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBook, path, err)
	}
	if file.Version != bookVersion {
		return nil, fmt.Errorf("%w: %s: version %d, not %d", ErrBook, path, file.Version, bookVersion)
	}
	for _, m := range file.Members {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrBook, path, err)
		}
		b.members[m.ID] = m
	}
	return b, nil
}

// Learn takes a statement about a node and reports whether the book has changed.
// It writes the file when it has; a failure to do so is logged, and the next
// change tries again.
func (b *Book) Learn(m Member) (changed bool) {
	m.Alive = false
	if err := m.check(); err != nil {
		b.log.Warn("gossip: address book: statement ignored", "node", m.ID, "err", err)
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, known := b.members[m.ID]
	if known && (m.Incarnation < old.Incarnation || m == old) || !known && len(b.members) >= maxMembers {
		return false
	}
	b.members[m.ID] = m
	b.save()
	return true
}

// Forget drops a node that was removed from the cluster.
func (b *Book) Forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.members[id]; known {
		delete(b.members, id)
		b.save()
	}
}

// Addr is where the node listens for other nodes.
func (b *Book) Addr(id string) (addr string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	addr = b.members[id].ClusterAddr
	return addr, addr != ""
}

// All returns a copy of the book, in the order of the ids. Nobody in it is Alive:
// a book cannot know.
func (b *Book) All() []Member {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sorted()
}

func (b *Book) sorted() []Member {
	all := make([]Member, 0, len(b.members))
	for _, m := range b.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(x, y Member) int { return cmp.Compare(x.ID, y.ID) })
	return all
}

func (b *Book) save() {
	if b.path == "" {
		return
	}
	data, err := json.MarshalIndent(bookFile{bookVersion, b.sorted()}, "", "  ")
	if err == nil {
		err = durable.Replace(b.path, append(data, '\n'))
	}
	if err != nil {
		b.log.Warn("gossip: address book not written", "path", b.path, "err", err)
	}
}
