package main

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestWallIsMovedByItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wall")
	synctest.Test(t, func(t *testing.T) {
		clock := wall(file)
		for _, step := range []struct {
			text string
			want time.Duration
		}{
			{"", 0}, // there is no file
			{"+1h\n", time.Hour},
			{"-90m", -90 * time.Minute},
			{"nonsense", -90 * time.Minute},
			{"0s", 0},
		} {
			if step.text != "" {
				if err := os.WriteFile(file, []byte(step.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(wallEvery)
			if off := time.Until(clock()); off != step.want {
				t.Errorf("%q: the clock is off by %v, not %v", step.text, off, step.want)
			}
		}
	})
	if off := time.Until(wall("")()); off > time.Second || off < -time.Second {
		t.Errorf("without a file the clock is off by %v", off)
	}
}
