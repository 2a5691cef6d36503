package config

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"phonond/cluster/placement"
)

const testKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" // the bytes 0 to 31

// minimal is the shortest valid file.
const minimal = `
region: east
data_dir: /data
regions:
  east: [127.0.0.1]
`

func writeFile(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // the umask has no say
		t.Fatal(err)
	}
	return path
}

// loadText loads a configuration from a file with the given text.
func loadText(t *testing.T, text string, args ...string) (*Config, error) {
	t.Helper()
	path := writeFile(t, filepath.Join(t.TempDir(), "p.yaml"), text, 0o644)
	return Load(append([]string{"--config", path}, args...), nil)
}

func TestFlagBeforeVariableBeforeFileBeforeDefault(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "p.yaml"), minimal+`
cluster: {name: file}
log: {level: warn}
raft: {election_timeout: 3s}
`, 0o644)
	env := []string{"PHONOND_CONFIG=" + path, "PHONOND_CLUSTER_NAME=variable", "PHONOND_LOG_LEVEL=error", "HOME=/"}
	c, err := Load([]string{"--cluster-name", "flag"}, env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Cluster.Name != "flag" || c.Log.Level != "error" || c.Raft.ElectionTimeout != 3*time.Second || c.Log.Format != "text" {
		t.Errorf("name %s, level %s, election %s, format %s", c.Cluster.Name, c.Log.Level, c.Raft.ElectionTimeout, c.Log.Format)
	}
	other := writeFile(t, filepath.Join(t.TempDir(), "q.yaml"), minimal, 0o644)
	if c, err = Load([]string{"--config=" + other}, env); err != nil || c.Raft.ElectionTimeout != time.Second {
		t.Errorf("--config does not go before PHONOND_CONFIG: %v, %v", c.Raft.ElectionTimeout, err)
	}
}

// TestEverySettingHasThreeWays sets each setting by flag, by variable and in the
// file, and expects the same configuration.
func TestEverySettingHasThreeWays(t *testing.T) {
	samples := map[string]string{
		"regions": "east=127.0.0.1:7379,h2:7379;west=h3:7379", "region": "east", "survival_goal": "node",
		"witness_regions": "west", "placement_rules": "eu:=east;x=y:=east",
		"log.level": "warn", "log.format": "json",
	}
	sample := func(s Setting) string {
		switch kind := s.Kind(); {
		case samples[s.Key] != "":
			return samples[s.Key]
		case strings.HasPrefix(kind, "duration"):
			return "42s"
		case strings.HasPrefix(kind, "size"):
			return "17mb"
		case strings.HasPrefix(kind, "number"):
			return "17"
		case strings.HasPrefix(kind, "list"):
			return "a,b"
		}
		return "word"
	}
	for _, s := range Settings() {
		text := sample(s)
		lines, indent := "", ""
		for part := range strings.SplitSeq(s.Key, ".") {
			lines += "\n" + indent + part + ":"
			indent += "  "
		}
		file := writeFile(t, filepath.Join(t.TempDir(), "p.yaml"), lines+" '"+text+"'", 0o644)
		byFlag, _ := Load([]string{"--" + s.Flag(), text}, nil)
		byEnv, _ := Load(nil, []string{s.Env() + "=" + text})
		byFile, _ := Load([]string{"--config", file}, nil)
		if !reflect.DeepEqual(byFlag, byEnv) || !reflect.DeepEqual(byFlag, byFile) {
			t.Errorf("%s=%s: three ways, not one result:\n%+v\n%+v\n%+v", s.Key, text, byFlag, byEnv, byFile)
		}
		if reflect.DeepEqual(byFlag, Default()) && text != s.Default {
			t.Errorf("%s=%s: nothing was set", s.Key, text)
		}
	}
}

func TestListsAndMappingsInTheFile(t *testing.T) {
	inFile, err := loadText(t, `
region: east
data_dir: /data
regions:
  east: [127.0.0.1, "[::1]:7000"]
  west:
    - h2
  south: [h3:1]
witness_regions: [south]
placement_rules: {"eu:": west, "a;b": east}
gossip: {keys: [`+testKey+`]}
`)
	if err != nil {
		t.Fatal(err)
	}
	wantRegions := Regions{{"east", []string{"127.0.0.1:7379", "[::1]:7000"}}, {"west", []string{"h2:7379"}}, {"south", []string{"h3:1"}}}
	if !reflect.DeepEqual(inFile.Regions, wantRegions) {
		t.Errorf("regions: %v", inFile.Regions)
	}
	if !reflect.DeepEqual(inFile.PlacementRules, Rules{{Prefix: "eu:", Region: "west"}, {Prefix: "a;b", Region: "east"}}) {
		t.Errorf("rules: %v", inFile.PlacementRules)
	}
	asFlags, err := Load([]string{"--region=east", "--data-dir=/data", "--regions=east=127.0.0.1,[::1]:7000; west=h2;south=h3:1;",
		"--witness-regions=south", "--gossip-keys=" + testKey}, nil)
	if err != nil || !reflect.DeepEqual(asFlags.Regions, wantRegions) || !reflect.DeepEqual(asFlags.Gossip, inFile.Gossip) {
		t.Errorf("as flags: %v, %v", asFlags.Regions, err)
	}
}

// TestMistakesInTheFile: every mistake is reported with its line, and none hides
// another.
func TestMistakesInTheFile(t *testing.T) {
	_, err := loadText(t, `region: east
data_dir: /data
regions:
  east: [127.0.0.1]
  west: [h2, ""]
resp:
  lisen: 127.0.0.1:1
  max_clients: many
  max_clients: 4
  tls: yes
request_timeout: 10
survival_goal:
snapshot: {bytes: 3 parsecs}
listen: 127.0.0.1:1
quorum: 3
log:
  level: [debug]
raft:
  election_timeout: &t 1s
gossip:
  listen: *t
  keys: 5, 6
witness_regions: {a: b}
`)
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"p.yaml:5: regions: has an empty item",
		"p.yaml:7: resp.lisen: there is no such setting; perhaps resp.listen",
		`p.yaml:8: resp.max_clients: "many" is not a number`,
		"p.yaml:9: resp.max_clients: is set twice, first in line 8",
		"p.yaml:10: resp.tls: settings were expected here",
		`p.yaml:11: request_timeout: "10" is not a duration such as`,
		"p.yaml:12: survival_goal: has no value: give one, or remove the line",
		`p.yaml:13: snapshot.bytes: "3 parsecs" is not a size`,
		"p.yaml:14: listen: there is no such setting; perhaps cluster.listen or gossip.listen or resp.listen",
		"p.yaml:15: quorum: there is no such setting; docs/configuration.md lists them",
		"p.yaml:17: log.level: one value was expected",
		"p.yaml:21: gossip.listen: anchors are not supported",
		"p.yaml:23: witness_regions: a list was expected",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}

func TestFilesThatAreNoConfiguration(t *testing.T) {
	for text, says := range map[string]string{
		"a: [":                          "yaml: line 1",
		"- a\n- b":                      "settings were expected here",
		minimal + "---\nregion: west\n": "more than one document",
		"regions: {a: [h1], a: [h2]}":   "region a is listed twice",
		"regions: {system: [h1]}":       `a region cannot be named "system"`,
		"regions: {a/b: [h1]}":          "is not a name",
		"regions: {a: [\"h1:x\"]}":      "the port must be from 1 to 65535",
		"regions: {a: [\"0.0.0.0:1\"]}": "cannot be dialled",
		"regions: {a: h1}":              "a list was expected",
		"<<: {region: a}":               "there is no such setting",
	} {
		if _, err := loadText(t, text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want it to say %q", text, err, says)
		}
	}
	if _, err := Load([]string{"--config", filepath.Join(t.TempDir(), "none")}, nil); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing file: %v", err)
	}
	big := writeFile(t, filepath.Join(t.TempDir(), "big"), strings.Repeat("#", maxFile+1), 0o644)
	if _, err := Load([]string{"--config", big}, nil); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a huge file: %v", err)
	}
	if c, err := loadText(t, "# nothing\n"); err == nil || c == nil || !strings.Contains(err.Error(), "region: is not set") {
		t.Errorf("an empty file: %v", err)
	}
}

func TestCommandLineMistakes(t *testing.T) {
	for _, tt := range []struct{ args, says string }{
		{"--lisen x", "flag provided but not defined: -lisen"},
		{"server", `"server" is not a flag`},
		{"--request-timeout soon", `--request-timeout: request_timeout: "soon" is not a duration`},
		{"--regions east", `"east" is not REGION=HOST,HOST`},
		{"--placement-rules east", `"east" is not PREFIX=REGION`},
	} {
		if _, err := Load(strings.Fields(tt.args), nil); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want it to say %q", tt.args, err, tt.says)
		}
	}
	if _, err := Load([]string{"--help"}, nil); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help: %v", err)
	}
	if _, err := Load(nil, []string{"PHONOND_REQUEST_TIMEOUT=soon"}); err == nil || !strings.Contains(err.Error(), "PHONOND_REQUEST_TIMEOUT: request_timeout") {
		t.Errorf("variable: %v", err)
	}
}

func TestUnknownVariablesAreToldNotRefused(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "p.yaml"), minimal, 0o644)
	c, err := Load([]string{"--config", path}, []string{
		"PHONOND_REGON=x", "PHONOND_SERVICE_HOST=10.0.0.1", "PHONOND_SERVICE_PORT_RESP=6379",
		"PHONOND_PORT=tcp://10.0.0.1:6379", "PHONOND_PORT_6379_TCP_ADDR=10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, w := range c.Warnings() {
		if strings.Contains(w, "PHONOND_") {
			told = append(told, w)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "PHONOND_REGON names no setting") {
		t.Errorf("warnings: %q", told)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	dir := t.TempDir()
	password := writeFile(t, filepath.Join(dir, "password"), "pass word\r\n", 0o600)
	keys := writeFile(t, filepath.Join(dir, "keys"), testKey+"\n"+testKey+"\n", 0o440)
	open := writeFile(t, filepath.Join(dir, "open"), "x", 0o644)
	empty := writeFile(t, filepath.Join(dir, "empty"), "\n", 0o600)

	c, err := loadText(t, minimal, "--resp-password-file", password, "--gossip-keys-file", keys)
	if err != nil {
		t.Fatal(err)
	}
	if c.RESP.Password.Reveal() != "pass word" || len(c.Gossip.Keys) != 2 {
		t.Errorf("password %q, %d keys", c.RESP.Password.Reveal(), len(c.Gossip.Keys))
	}
	for _, tt := range []struct{ args, says string }{
		{"--resp-password-file " + open, "resp.password_file: " + open + " is open to everybody (mode 0644): run chmod o="},
		{"--resp-password-file " + empty, "is empty"},
		{"--gossip-keys-file " + empty, "is empty"},
		{"--gossip-keys-file " + dir + "/none", "no such file"},
		{"--resp-password x --resp-password-file " + password, "is set beside resp.password: keep one of the two"},
		{"--gossip-keys x --gossip-keys-file " + keys, "is set beside gossip.keys: keep one"},
	} {
		if _, err := loadText(t, minimal, strings.Fields(tt.args)...); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want it to say %q", tt.args, err, tt.says)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c, err := loadText(t, minimal, "--resp-password", "hunter2", "--gossip-keys", testKey)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "config", c, "password", c.RESP.Password, "keys", c.Gossip.Keys)
	for _, s := range c.settings() {
		fmt.Fprintln(&log, s.value)
	}
	text := log.String() + fmt.Sprintf("%v %+v %#v %s %q", *c, *c, *c, c.RESP.Password, c.Gossip.Keys)
	if strings.Contains(text, "hunter2") || strings.Contains(text, "AAECAw") {
		t.Errorf("a secret is printed: %s", text)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "512": 512, "512b": 512, "64kb": 65536, "32MB": 32 << 20, "1gb": 1 << 30} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "kb", "-1", "1.5mb", "1 mb", "1tb", "99999999999gb"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
	for size, want := range map[Size]string{0: "0", 1000: "1000", 1024: "1kb", 64 << 20: "64mb", 64 << 30: "64gb"} {
		if size.String() != want {
			t.Errorf("%d is written %s", int64(size), size)
		}
	}
}

func TestDefaultIsValidButForThePlace(t *testing.T) {
	var problems Problems
	if err := Default().Validate(); !errors.As(err, &problems) || len(problems) != 3 {
		t.Fatalf("got %v, want data_dir, region and regions", err)
	}
	if g := Default().SurvivalGoal; g != placement.GoalNode {
		t.Errorf("the default goal is %s", g)
	}
}
