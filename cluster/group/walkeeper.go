package group

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"strings"
	"time"

	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// walKeeper stands between raft-wal and the disk. Before the library opens a log
// it looks at what is there, and
//   - ends a change of segments that a crash has interrupted. The library finds the
//     last one sealed and not listed so, and refuses every append from then on;
//   - removes what is left of a batch that was never whole. The library goes on in
//     front of it, and at the next crash may take the remains for a part of the log,
//     or for the end of a segment;
//   - refuses what is damaged. The library takes a segment that is gone or cut off
//     for an empty one, and what is behind a damaged place for never written.
//
// A segment is a header, then frames of eight bytes and what belongs to them, up to
// the next multiple of eight: entries, an index when it is sealed, and behind each
// batch the sum of it. (raft-wal, segment/format.go)
type walKeeper struct {
	types.VFS
	types.MetaStore
	failure
	segmentBytes uint32
}

// keySegment is where the newest segment that exists is named. One that is listed
// and not named was about to be made, and nothing is in it.
var keySegment = []byte("PhononSegment")

// The kinds of frames, and the sizes of what is around them.
const (
	frameEntry   = 1
	frameIndex   = 2
	frameCommit  = 3
	frameHeader  = 8
	segmentHead  = 32
	indexElement = 4
)

// Create makes a segment, whose name is on the disk when it returns.
func (k *walKeeper) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := k.VFS.Create(dir, name, size)
	if err != nil {
		return nil, k.note(fmt.Errorf("%s: %w", name, err))
	}
	if err = f.Sync(); err == nil {
		err = k.SetStable(keySegment, []byte(name))
	}
	if err != nil {
		return nil, k.note(errors.Join(fmt.Errorf("%s: %w", name, err), f.Close()))
	}
	return f, nil
}

// CommitState lists the segments.
func (k *walKeeper) CommitState(s types.PersistentState) error {
	if err := k.MetaStore.CommitState(s); err != nil {
		return k.note(fmt.Errorf("%s: %w", walMetaFile, err))
	}
	return nil
}

// Load returns the list of segments, all of which are sound.
func (k *walKeeper) Load(dir string) (types.PersistentState, error) {
	s, err := k.MetaStore.Load(dir)
	if err != nil {
		return s, err
	}
	if len(s.Segments) == 0 {
		return s, k.noSegments(dir)
	}
	last := len(s.Segments) - 1
	for _, info := range s.Segments[:last] {
		if err := k.checkSealed(dir, info); err != nil {
			return s, fmt.Errorf("%s: %w", segment.FileName(info), err)
		}
	}
	end, err := k.mend(dir, s.Segments[last])
	if err != nil {
		return s, fmt.Errorf("%s: %w", segment.FileName(s.Segments[last]), err)
	}
	if end.index == 0 {
		return s, nil
	}
	tail := &s.Segments[last]
	tail.MaxIndex = tail.BaseIndex + end.entries - 1
	tail.IndexStart = uint64(end.index)
	tail.SealTime = time.Now()
	s.Segments = append(s.Segments, types.SegmentInfo{
		ID: s.NextSegmentID, BaseIndex: tail.MaxIndex + 1, MinIndex: tail.MaxIndex + 1,
		SizeLimit: k.segmentBytes, Codec: tail.Codec, CreateTime: tail.SealTime,
	})
	s.NextSegmentID++
	return s, k.CommitState(s)
}

// noSegments returns an error if there are segments although none is listed: the
// library would remove them.
func (k *walKeeper) noSegments(dir string) error {
	names, err := k.ListDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".wal") {
			return fmt.Errorf("%w: %s does not list %s", wal.ErrCorrupt, walMetaFile, name)
		}
	}
	return nil
}

// checkSealed returns an error if a sealed segment is not as long as it was.
func (k *walKeeper) checkSealed(dir string, s types.SegmentInfo) error {
	f, err := k.OpenReader(dir, segment.FileName(s))
	if err != nil {
		return err
	}
	defer f.Close()
	var offset [indexElement]byte
	at := s.IndexStart + indexElement*(s.MaxIndex-s.BaseIndex)
	if n, err := f.ReadAt(offset[:], int64(at)); n < len(offset) {
		return fmt.Errorf("its index is cut off: %w", err)
	}
	if o := binary.LittleEndian.Uint32(offset[:]); uint64(o) >= s.IndexStart {
		return fmt.Errorf("%w: its index names byte %d", wal.ErrCorrupt, o)
	}
	return nil
}

// mend removes what an interrupted write left at the end of the newest segment. It
// returns an error if that cannot be what happened.
func (k *walKeeper) mend(dir string, s types.SegmentInfo) (end segmentEnd, err error) {
	name := segment.FileName(s)
	existing, err := k.GetStable(keySegment)
	if err != nil {
		return end, err
	}
	begun := string(existing) == name
	f, err := k.OpenWriter(dir, name)
	if errors.Is(err, os.ErrNotExist) && !begun {
		return end, nil // the library makes it
	}
	if err != nil {
		return end, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	file := bytes.NewBuffer(make([]byte, 0, int(s.SizeLimit)+bytes.MinRead))
	if _, err := file.ReadFrom(io.NewSectionReader(f, 0, math.MaxInt64)); err != nil {
		return end, err
	}
	b := file.Bytes()
	end = findEnd(b)
	if !begun && end.offset == 0 {
		return end, k.Delete(dir, name)
	}
	if len(b) < int(s.SizeLimit) {
		return end, fmt.Errorf("%w: it is %d bytes long, and should be %d at least", wal.ErrCorrupt, len(b), s.SizeLimit)
	}
	rest := bytes.TrimRight(b[end.offset:], "\x00")
	switch {
	case len(rest) == 0:
		return end, nil
	case hasBatch(b, end.offset):
		return end, fmt.Errorf("%w: behind byte %d are entries, but it is damaged there", wal.ErrCorrupt, end.offset)
	}
	if _, err := f.WriteAt(make([]byte, len(rest)), int64(end.offset)); err != nil {
		return end, err
	}
	return end, f.Sync()
}

// segmentEnd is how far a segment is sound.
type segmentEnd struct {
	offset  int    // behind the last batch that is whole
	entries uint64 // before it
	index   int    // where the index begins of a segment that was sealed, else 0
}

// findEnd looks through a segment.
func findEnd(b []byte) (end segmentEnd) {
	now := segmentEnd{offset: segmentHead}
	for now.offset+frameHeader <= len(b) {
		kind, n, next := frameAt(b, now.offset)
		switch kind {
		case frameEntry:
			now.entries++
		case frameIndex:
			now.index = now.offset + frameHeader
		case frameCommit:
			if crc32.Checksum(b[end.offset:now.offset], castagnoli) != n {
				return end
			}
			end = now
			end.offset = next
		default:
			return end
		}
		now.offset = next
	}
	return end
}

// frameAt reads the header of a frame: its kind, its length or sum, and where the next
// frame is.
func frameAt(b []byte, at int) (kind, n uint32, next int) {
	kind, n = binary.LittleEndian.Uint32(b[at:]), binary.LittleEndian.Uint32(b[at+4:])
	next = at + frameHeader
	if kind == frameEntry || kind == frameIndex {
		next += (int(n) + frameHeader - 1) &^ (frameHeader - 1)
	}
	return kind, n, next
}

// hasBatch reports whether a whole batch is behind end, up to which a segment is sound.
// An interrupted write leaves none: it is not whole, and nothing is behind it. The batch
// that begins at end may be whole but for the kind of its last frame. If the damage is
// elsewhere in it, the next begins behind its last frame; any frame of that kind is tried,
// since a length may be what is damaged, and entries may hold what looks like a frame.
func hasBatch(b []byte, end int) bool {
	if isBatch(b, end, max(end, segmentHead)) {
		return true
	}
	for at := end; at+frameHeader <= len(b); at += frameHeader {
		if kind, _, next := frameAt(b, at); kind == frameCommit && isBatch(b, next, next) {
			return true
		}
	}
	return false
}

// isBatch reports whether the frames from at on lead to one with the sum of what is
// there since from. It goes by the sum alone, as the kind may be what is damaged.
func isBatch(b []byte, from, at int) bool {
	sum, summed := uint32(0), from
	for at+frameHeader <= len(b) {
		kind, n, next := frameAt(b, at)
		sum, summed = crc32.Update(sum, castagnoli, b[summed:at]), at
		switch {
		case at > from && sum == n:
			return true
		case kind != frameEntry && kind != frameIndex:
			return false
		}
		at = next
	}
	return false
}
