package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"phonond/cluster"
	"phonond/cluster/config"
)

// stopTimeout is how long a node takes to hand over and stop. Supervisors kill
// after that.
const stopTimeout = 9 * time.Second

// killTimeout is when the process ends although something of it still runs, such as
// a write to a disk that hangs.
const killTimeout = stopTimeout + 500*time.Millisecond

// gcPercent is how much the heap may grow before it is collected, in percent of
// what is alive, unless GOGC says otherwise. Twice Go's default: most of what is
// alive is keys, which are not garbage, and looking them through costs more than
// the memory.
const gcPercent = 200

// runServer runs one node.
func runServer(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	args, profileFile := cutHidden(args, "cpuprofile")
	args, wallFile := cutHidden(args, "wall-file")
	conf, err := config.Load(args, environ)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, "Usage: phonond server --config FILE [flags]\n\n")
		if err := config.Usage(stdout); err != nil {
			return 1
		}
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "phonond: the configuration is not valid:\n%v\n", err)
		return 1
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log := logger(conf.Log, stderr)
	for _, w := range conf.Warnings() {
		log.Warn(w)
	}
	stopProfile, err := profile(profileFile)
	if err != nil {
		log.Error("no CPU profile can be written", "error", err)
		return 1
	}
	defer func() {
		if err := stopProfile(); err != nil {
			log.Error("the CPU profile is not complete", "error", err)
		}
	}()
	nc := cluster.Config{Config: conf, Version: version, Log: log, Wall: wall(wallFile), Fatal: func(err error) { die(log, conf.DataDir, err) }}
	if nc.ClusterTLS, err = conf.ClusterTLS(); err == nil {
		nc.ClientTLS, err = conf.RESPTLS()
	}
	if err == nil {
		nc.GossipKeys, err = conf.GossipKeys()
	}
	var node *cluster.Node
	if err == nil {
		node, err = cluster.Start(nc)
	}
	if err != nil {
		log.Error("the node cannot start", "error", err)
		return 1
	}
	go func() {
		if err := node.Ready(ctx); err == nil {
			log.Info("ready", "node", node.ID(), "resp", node.RESPAddr())
			fmt.Fprintln(stdout, "ready")
		}
	}()
	<-ctx.Done()
	log.Info("stopping")
	stopping, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	defer time.AfterFunc(killTimeout, func() {
		log.Error("the node did not stop in time: the process ends as it is, which loses nothing")
		os.Exit(1)
	}).Stop()
	node.Stop(stopping)
	return 0
}

func logger(c config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // the configuration was checked
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// dieTimeout is how long a node that cannot go on takes to say why. What it writes to
// may be what hangs.
const dieTimeout = time.Second

// die ends the process at once: what it would answer from now on cannot be
// trusted. The reason stays behind in the data directory, if that still takes it.
func die(log *slog.Logger, dir string, err error) {
	time.AfterFunc(dieTimeout, func() { os.Exit(1) })
	hangUp()
	log.Error("fatal: the process ends", "error", err)
	reason := fmt.Sprintf("%s %v\n", time.Now().UTC().Format(time.RFC3339), err)
	if err := os.WriteFile(filepath.Join(dir, "fatal.txt"), []byte(reason), 0o600); err != nil {
		log.Error("the reason could not be kept", "error", err)
	}
	os.Exit(1)
}
