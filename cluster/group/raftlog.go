package group

import (
	"context"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftLogger writes raft's lines to a slog.Logger. What raft calls information is
// for whoever debugs raft, and what it calls an error is mostly a node that is
// away: those that end the node are reported by this package.
type raftLogger struct {
	hclog.Logger // the rest of a large interface, saying nothing
	log          *slog.Logger
	name         string
	over         context.Context // once it is done, connections break and mean nothing
}

func newRaftLogger(over context.Context, l *slog.Logger) hclog.Logger {
	return &raftLogger{Logger: hclog.NewNullLogger(), log: l.With("from", "raft"), over: over}
}

func (r *raftLogger) Log(level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case hclog.Warn:
		to = slog.LevelInfo
	case hclog.Error:
		to = slog.LevelWarn
	}
	if r.over.Err() != nil {
		to = slog.LevelDebug
	}
	r.log.Log(context.Background(), to, msg, args...)
}

func (r *raftLogger) Trace(msg string, args ...any) {}
func (r *raftLogger) Debug(msg string, args ...any) { r.Log(hclog.Debug, msg, args...) }
func (r *raftLogger) Info(msg string, args ...any)  { r.Log(hclog.Info, msg, args...) }
func (r *raftLogger) Warn(msg string, args ...any)  { r.Log(hclog.Warn, msg, args...) }
func (r *raftLogger) Error(msg string, args ...any) { r.Log(hclog.Error, msg, args...) }

func (r *raftLogger) With(args ...any) hclog.Logger {
	return &raftLogger{Logger: r.Logger, log: r.log.With(args...), name: r.name, over: r.over}
}
func (r *raftLogger) Named(name string) hclog.Logger      { return r.With("part", name) }
func (r *raftLogger) ResetNamed(name string) hclog.Logger { return r.With("part", name) }
func (r *raftLogger) Name() string                        { return r.name }

func (r *raftLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(r.log.Handler(), slog.LevelDebug)
}
func (r *raftLogger) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	return r.StandardLogger(o).Writer()
}
