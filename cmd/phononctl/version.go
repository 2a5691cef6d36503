package main

import (
	"cmp"
	"context"
	"runtime"
	"runtime/debug"
)

// version is set by the linker.
var version string

var versionCommand = command{
	name: "version", summary: "phononctl's own version; members shows the nodes'",
	run: func(_ context.Context, a *app, _ []string) error {
		v := struct {
			Version string `json:"version"`
			Commit  string `json:"commit"`
			Go      string `json:"go"`
		}{Version: cmp.Or(version, "unknown"), Go: runtime.Version()}
		if info, ok := debug.ReadBuildInfo(); ok {
			v.Version = cmp.Or(version, info.Main.Version, v.Version)
			for _, s := range info.Settings {
				if s.Key == "vcs.revision" {
					v.Commit = s.Value
				}
			}
		}
		return a.out.view(v, nil, func() [][]string {
			return [][]string{{"version", v.Version}, {"commit", v.Commit}, {"go", v.Go}}
		})
	},
}
