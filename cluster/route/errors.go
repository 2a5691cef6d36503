package route

import (
	"errors"
	"fmt"

	"phonond/cluster/group"
	"phonond/redisproto/resp"
)

// Error is why a request has no reply.
type Error struct {
	Group string
	// Maybe is true when the request may have been applied, or may yet be. When it
	// is false it was not applied and will not be.
	Maybe   bool
	Request uint64 // its number, 0 for reads
	Cause   error
}

func (e *Error) Error() string {
	if e.Maybe {
		return fmt.Sprintf("group %s: request %d: outcome unknown: %v", e.Group, e.Request, e.Cause)
	}
	return fmt.Sprintf("group %s: not applied: %v", e.Group, e.Cause)
}

func (e *Error) Unwrap() error { return e.Cause }

// lowSpace reports whether the request was refused because it needs space or memory,
// and others would not be.
func (e *Error) lowSpace() bool {
	if errors.Is(e.Cause, group.ErrNoMemory) {
		return true
	}
	why, ok := errors.AsType[*group.NoSpaceError](e.Cause)
	return ok && !e.Maybe && why.Level == group.SpaceLow
}

// Reply returns the error as a client sees it. Prefixes matter: client libraries
// repeat CLUSTERDOWN and TRYAGAIN by themselves, so those stand only for what
// was certainly not applied, and TIMEOUT, which none of them repeats, for what
// may have been.
func (e *Error) Reply() resp.Value {
	switch {
	case errors.Is(e.Cause, ErrTooLarge):
		return resp.Err(fmt.Sprintf("ERR the replies to this pipeline are larger than %d MiB together and were dropped; group %s has done what it asked for", maxAnswer>>20, e.Group))
	case e.Maybe:
		return resp.Err(fmt.Sprintf("TIMEOUT outcome unknown: group %s did not answer request %d in time, it may or may not be applied", e.Group, e.Request))
	case errors.Is(e.Cause, group.ErrBusy):
		return resp.Err(fmt.Sprintf("TRYAGAIN group %s has too many requests waiting, this one was not applied", e.Group))
	case errors.Is(e.Cause, group.ErrConflict):
		return resp.Err(fmt.Sprintf("TRYAGAIN a key that was read has changed in group %s, nothing was applied", e.Group))
	case errors.Is(e.Cause, group.ErrNoMemory):
		return resp.ErrNoMemory
	case errors.Is(e.Cause, ErrRefused):
		return resp.Err(fmt.Sprintf("ERR the leader of group %s does not know this command, is it of another version? Nothing was applied", e.Group))
	}
	if why, ok := errors.AsType[*group.NoSpaceError](e.Cause); ok {
		return noSpaceReply(e.Group, why)
	}
	return resp.Err(fmt.Sprintf("CLUSTERDOWN group %s has no leader that can be reached, the request was not applied", e.Group))
}

// noSpaceReply has the prefix by which Redis says that it cannot keep what it is
// given. No client library repeats it by itself.
func noSpaceReply(name string, why *group.NoSpaceError) resp.Value {
	state, takes := "nearly full", "it takes only what needs no more space"
	if why.Level == group.SpaceFull {
		state, takes = "full", "it answers reads only"
	}
	return resp.Err(fmt.Sprintf("MISCONF the disks of group %s are %s: %s; %s until there is room, this request was not applied", name, state, why.Where, takes))
}
