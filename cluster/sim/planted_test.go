package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
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
	// flags narrow what the seeds do. Without any, it is found by the same mix of
	// everything that looks for unknown defects.
	flags []string
}

// edit replaces what occurs in a file once.
type edit struct{ old, new string }

// found is what an entry of the log of runs says of the one that failed.
var found = regexp.MustCompile(`(?m)^VIOLATION (.*)$`)

// TestPlantedDefectsAreFound plants each defect and counts the seeds that it takes
// to find it. It prints the table of docs/testing.md.
func TestPlantedDefectsAreFound(t *testing.T) {
	if *planted == "" {
		*planted = "^dedup-off$" // one to show that it works; "make planted" takes all
	}
	which := regexp.MustCompile(*planted)
	fmt.Println("| defect | seeds | seconds | first sign |\n|---|---|---|---|")
	for _, d := range defects {
		if !which.MatchString(d.name) {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			program := d.build(t)
			start := time.Now()
			out, err := exec.Command(program, append([]string{"-test.run=^TestSeeds$", "-test.timeout=0", fmt.Sprint("-seeds=", d.most), "-in-turn"}, d.flags...)...).CombinedOutput()
			if err == nil {
				t.Fatalf("%s was not found by %d seeds:\n%s", d.what, d.most, tail(out))
			}
			sign := found.FindSubmatch(out)
			if sign == nil {
				t.Fatalf("%s broke the rig itself:\n%s", d.what, tail(out))
			}
			runs := regexp.MustCompile(`(?m)^(\d+) runs,`).FindAllSubmatch(out, -1)
			fmt.Printf("| %s | %s | %.0f | %s |\n", d.what, runs[len(runs)-1][1], time.Since(start).Seconds(), shorten(string(sign[1])))
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

// build compiles this test with the defect in it.
func (d defect) build(t *testing.T) string {
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
	changed, overlay, program := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "sim.test")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{changed: text, overlay: string(replace)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}
