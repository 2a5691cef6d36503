package gossip

import (
	"context"
	"log"
	"log/slog"
	"strings"
)

// newLogger is memberlist's logger, which writes to log.
func newLogger(to *slog.Logger) *log.Logger { return log.New(logWriter{to}, "", 0) }

type logWriter struct{ log *slog.Logger }

// Write takes one line, "[WARN] memberlist: text".
func (w logWriter) Write(line []byte) (int, error) {
	level, text := judge(string(line))
	w.log.Log(context.Background(), level, text)
	return len(line), nil
}

// judge finds a line's level. Nothing that gossip meets is an error of this
// node, so memberlist's errors are warnings; and a ping for somebody who lived at
// our address before, which it warns of, is what every restart looks like.
func judge(line string) (slog.Level, string) {
	level := slog.LevelInfo
	line = strings.TrimSpace(line)
	if tag, rest, ok := strings.Cut(line, "] "); ok && strings.HasPrefix(tag, "[") {
		switch tag[1:] {
		case "DEBUG":
			level = slog.LevelDebug
		case "WARN", "ERR", "ERROR":
			level = slog.LevelWarn
		}
		line = rest
	}
	text := strings.TrimPrefix(line, "memberlist: ")
	if strings.HasPrefix(text, "Got ping for unexpected node") {
		level = slog.LevelDebug
	}
	return level, "gossip: " + text
}
