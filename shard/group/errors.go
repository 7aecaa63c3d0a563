package group

import (
	"errors"
	"fmt"
)

// Errors that callers test for.
var (
	ErrClosed   = errors.New("group is closed")
	ErrTooLarge = errors.New("entry is too large for the log")
	// ErrFull says that as much is under way as may be, and that nothing was logged.
	ErrFull = errors.New("group takes no more for the moment")
	// ErrNotLeader says that another replica must be asked, and that nothing was logged here. The error is a *NotLeaderError.
	ErrNotLeader = errors.New("this replica does not lead")
	// ErrUnknown says that an entry may have been applied or not, or may yet be: leadership was lost in between, or the log failed.
	ErrUnknown = errors.New("outcome is unknown")
	// ErrDirty says that a replica may have lost what it has acknowledged: it must not vote again under this ID. It comes back under another one, as a learner.
	ErrDirty = errors.New("replica may have lost what it has acknowledged")
)

// NotLeaderError is ErrNotLeader with a hint.
type NotLeaderError struct {
	Group  uint32
	Leader string // "node/incarnation" of the leader that this replica knows, or empty
}

// Error says who leads.
func (e *NotLeaderError) Error() string {
	if e.Leader == "" {
		return fmt.Sprintf("group %d: %v, and no leader is known", e.Group, ErrNotLeader)
	}
	return fmt.Sprintf("group %d: %v, %s does", e.Group, ErrNotLeader, e.Leader)
}

// Is makes it ErrNotLeader.
func (e *NotLeaderError) Is(target error) bool { return target == ErrNotLeader }
