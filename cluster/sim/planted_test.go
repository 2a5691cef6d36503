package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var planted = flag.String("planted", "", "plant the defects whose names match this regular expression, and expect each to be found; all takes minutes")

// defect is one that is planted to see whether the rig finds it: a change of the
// product's source, which is compiled with the change laid over it.
type defect struct {
	name string
	what string
	file string // from the top of the module
	// edits are made one after the other.
	edits []edit
	most  int // seeds within which it has to be found
	// sign is what the first violation has to be about: anything would do for a rig
	// that cries wolf.
	sign string
	// torture are flags to break real processes with, for what virtual time cannot
	// show. most is nothing then.
	torture []string
}

// edit replaces what occurs in a file once.
type edit struct{ old, new string }

var (
	// seed and round are what was broken when the rig found something. Both count
	// from 1 on.
	seed  = regexp.MustCompile(`(?m)^(?:VIOLATION )?seed (\d+)`)
	round = regexp.MustCompile(`the history of round (\d+)`)
	// found is what the rig says of it.
	found = regexp.MustCompile(`(?m)VIOLATION:? (.*)$`)
)

// TestPlantedDefectsAreFound plants each defect and counts the seeds that it takes
// to find it. It prints the table of docs/testing.md.
func TestPlantedDefectsAreFound(t *testing.T) {
	if *planted == "" {
		*planted = "^dedup-off$" // one to show that it works; "make planted" takes all
	}
	which, matched := regexp.MustCompile(*planted), false
	fmt.Println("| defect | seeds | seconds | first sign |\n|---|---|---|---|")
	for _, d := range defects {
		if !which.MatchString(d.name) {
			continue
		}
		matched = true
		t.Run(d.name, func(t *testing.T) {
			search, number := d.search(t)
			start := time.Now()
			out, err := search.CombinedOutput()
			if err == nil {
				t.Fatalf("%s was not found:\n%s", d.what, tail(out))
			}
			sign, when := found.FindSubmatch(out), number.FindSubmatch(out)
			if sign == nil || when == nil || !regexp.MustCompile(d.sign).Match(sign[1]) {
				t.Fatalf("%s broke the rig itself, or something else is wrong:\n%s", d.what, tail(out))
			}
			fmt.Printf("| %s | %s | %.0f | %s |\n", d.what, when[1], time.Since(start).Seconds(), shorten(string(sign[1])))
		})
	}
	if !matched {
		t.Errorf("no defect is called %s", *planted)
	}
}

// The code that defects are planted in changes, and they with it.
func TestDefectsFitTheCode(t *testing.T) {
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			build := exec.Command("go", "build", "-overlay", d.overlay(t), "phonond/"+path.Dir(d.file))
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

func shorten(s string) string {
	const most = 140
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// search returns the program that is to find the defect, and what to look for in its
// words to learn how long that took.
func (d defect) search(t *testing.T) (*exec.Cmd, *regexp.Regexp) {
	t.Helper()
	overlay := d.overlay(t)
	if d.torture != nil {
		cmd := exec.Command("go", append([]string{"run", "../../scripts/torture"}, d.torture...)...)
		cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay)
		return cmd, round
	}
	program := filepath.Join(t.TempDir(), "sim.test")
	if out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exec.Command(program, "-test.run=^TestSeeds$", "-test.timeout=0", fmt.Sprint("-seeds=", d.most), "-in-turn"), seed
}

// overlay makes what tells the go command to compile the defect in.
func (d defect) overlay(t *testing.T) string {
	t.Helper()
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(top, filepath.FromSlash(d.file))
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(source)
	for _, e := range d.edits {
		if n := strings.Count(text, e.old); n != 1 {
			t.Fatalf("%s has %d places that read %q: the code has changed, so this has to", d.file, n, e.old)
		}
		text = strings.Replace(text, e.old, e.new, 1)
	}
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{changed: text, overlay: string(replace)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return overlay
}
