package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// Secret is a text that is not printed: not by fmt, not by a log, not as JSON.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(hidden)"
}

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Reveal returns the secret.
func (s Secret) Reveal() string { return string(s) }

// Secrets is a list of texts that are not printed.
type Secrets []string

// String hides the secrets.
func (s Secrets) String() string {
	if len(s) == 0 {
		return ""
	}
	return fmt.Sprintf("(%d hidden)", len(s))
}

// GoString hides the secrets.
func (s Secrets) GoString() string { return s.String() }

// MarshalText hides the secrets.
func (s Secrets) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue hides the secrets.
func (s Secrets) LogValue() slog.Value { return slog.StringValue(s.String()) }

func secret(p *Secret) value {
	return scalar[Secret]{p, func(s string) (Secret, error) { return Secret(s), nil }, Secret.String, fine[Secret], "text"}
}

// maxSecretFile is the longest file of secrets or certificates that is read, in
// bytes; one that is longer is not what it was taken for.
const maxSecretFile = 1 << 20

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return b, err
}

// readSecret reads a file that others must not be able to read. The group may:
// that is how a service manager or Kubernetes hands a secret to another user.
func readSecret(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := st.Mode().Perm(); mode&0o007 != 0 {
		return nil, fmt.Errorf("%s is open to everybody (mode %04o): run chmod o= %s", path, mode, path)
	}
	return readFile(path, maxSecretFile)
}

// readSecrets fills in the settings whose values are in files.
func (c *Config) readSecrets() (problems Problems) {
	read := func(key, path string, taken bool, set func(string) error) {
		if path == "" {
			return
		}
		var b []byte
		err := errors.New("is set beside " + strings.TrimSuffix(key, "_file") + ": keep one of the two")
		if !taken {
			b, err = readSecret(path)
		}
		if err == nil {
			err = set(string(b))
		}
		if err != nil {
			problems = append(problems, Problem{Key: key, Text: err.Error()})
		}
	}
	read("resp.password_file", c.RESP.PasswordFile, c.RESP.Password != "", func(s string) error {
		c.RESP.Password = Secret(strings.TrimRight(s, "\r\n"))
		if c.RESP.Password == "" {
			return fmt.Errorf("%s is empty", c.RESP.PasswordFile)
		}
		return nil
	})
	read("gossip.keys_file", c.Gossip.KeysFile, len(c.Gossip.Keys) > 0, func(s string) error {
		c.Gossip.Keys = strings.Fields(s)
		if len(c.Gossip.Keys) == 0 {
			return fmt.Errorf("%s is empty", c.Gossip.KeysFile)
		}
		return nil
	})
	return problems
}
