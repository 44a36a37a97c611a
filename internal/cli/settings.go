package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// settings are the flags that every command has. A flag wins over the variable
// TOUCHSTONE_NAME, which wins over the configuration file, which wins over the
// default.
type settings struct {
	config   string
	data     string
	rules    string
	waivers  string
	golden   string
	mirrors  []string
	insecure []string
	// containerd is the path of its socket; empty means the usual one.
	containerd string
	vex        []string
	quiet      bool
}

func (s *settings) flags(f *pflag.FlagSet) {
	f.StringVar(&s.config, "config", "", "configuration file: YAML, a flag's name and its value on each line (default: touchstone/config.yaml in the user's configuration folder)")
	f.StringVar(&s.data, "data", "", "folder of advisories, evidence and keys (default: touchstone in the user's data folder)")
	f.StringVar(&s.rules, "rules", "", "the rules of the road (default: ./touchstone.yaml, else the built-in example)")
	f.StringVar(&s.waivers, "waivers", "", "waivers (default: touchstone-waivers.yaml beside the rules)")
	f.StringVar(&s.golden, "golden", "", "golden bases (default: touchstone-golden.json beside the rules if it is there, else in the data folder)")
	f.StringSliceVar(&s.mirrors, "mirror", nil, "read a registry from somewhere else: REGISTRY=MIRROR[/PREFIX]")
	f.StringSliceVar(&s.insecure, "insecure-registry", nil, "registry that is spoken to without TLS (loopback always may be)")
	f.StringSliceVar(&s.vex, "vex", nil, "OpenVEX or CSAF documents, files or folders; those of the authors count whom the rules trust")
	f.StringVar(&s.containerd, "containerd", "", "containerd's socket (default: /run/containerd/containerd.sock)")
	f.BoolVarP(&s.quiet, "quiet", "q", false, "no progress and no notes")
}

// nothingEmpty refuses a flag with an empty value. In a pipeline that is a
// variable that nobody has set, and "--env ”" must not be taken for a check that
// names no environment, which lets everything pass.
func nothingEmpty(cmd *cobra.Command) error {
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" && err == nil {
			err = fmt.Errorf("--%s is empty\nhint: leave the flag out, or give it a value; is a variable not set?", f.Name)
		}
	})
	return err
}

// resolve fills in what no flag set, and finds the folders.
func (s *settings) resolve(cmd *cobra.Command, getenv func(string) string) error {
	var failed error
	set := func(f *pflag.Flag, value, from string) {
		if err := cmd.Flags().Set(f.Name, value); err != nil && failed == nil {
			failed = fmt.Errorf("%s: %q is no value for --%s: %w", from, value, f.Name, err)
		}
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := "TOUCHSTONE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value := getenv(name); value != "" && !f.Changed {
			set(f, value, name)
		}
	})
	if failed != nil {
		return failed
	}
	file, err := s.read(getenv)
	if err != nil {
		return err
	}
	for name, value := range file {
		f := cmd.Flags().Lookup(name)
		switch {
		case f == nil && !known(cmd.Root(), name):
			return fmt.Errorf("%s: there is no setting %q", s.config, name)
		case f == nil || f.Changed:
			continue
		}
		set(f, value, s.config)
	}
	if failed != nil {
		return failed
	}
	return s.folder(getenv)
}

// known reports whether any command has the flag: the file is for all of them.
func known(cmd *cobra.Command, name string) bool {
	if cmd.Flags().Lookup(name) != nil || cmd.PersistentFlags().Lookup(name) != nil {
		return true
	}
	for _, sub := range cmd.Commands() {
		if known(sub, name) {
			return true
		}
	}
	return false
}

// read reads the configuration file: one named must be there, the default may be.
func (s *settings) read(getenv func(string) string) (map[string]string, error) {
	optional := s.config == ""
	if optional {
		base := getenv("XDG_CONFIG_HOME")
		if base == "" && getenv("HOME") != "" {
			base = filepath.Join(getenv("HOME"), ".config")
		}
		if base == "" {
			return nil, nil
		}
		s.config = filepath.Join(base, "touchstone", "config.yaml")
	}
	data, err := os.ReadFile(s.config)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	var raw map[string]any
	if err := yaml.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("reading the configuration %s: %w", s.config, err)
	}
	out := make(map[string]string, len(raw))
	for k, v := range raw {
		if list, ok := v.([]any); ok {
			parts := make([]string, len(list))
			for i, e := range list {
				parts[i] = fmt.Sprint(e)
			}
			out[k] = strings.Join(parts, ",")
			continue
		}
		out[k] = fmt.Sprint(v)
	}
	return out, nil
}

func (s *settings) folder(getenv func(string) string) error {
	if s.data != "" {
		return nil
	}
	base := getenv("XDG_DATA_HOME")
	if base == "" {
		home := getenv("HOME")
		if home == "" {
			return errors.New("no place for the data folder: neither XDG_DATA_HOME nor HOME is set\nhint: name one with --data")
		}
		base = filepath.Join(home, ".local", "share")
	}
	s.data = filepath.Join(base, "touchstone")
	return nil
}

// mirrorMap turns REGISTRY=MIRROR pairs into a map.
func (s *settings) mirrorMap() (map[string]string, error) {
	m := make(map[string]string, len(s.mirrors))
	for _, pair := range s.mirrors {
		registry, mirror, ok := strings.Cut(pair, "=")
		if !ok || registry == "" || mirror == "" {
			return nil, fmt.Errorf("--mirror %q: want REGISTRY=MIRROR, as in docker.io=mirror.example/hub", pair)
		}
		m[registry] = mirror
	}
	return m, nil
}

// key returns this installation's key for the fingerprints of secrets, and makes
// it at first use. Without a writable data folder the key lives for this run.
func (s *settings) key() ([]byte, error) {
	const size = 32
	path := filepath.Join(s.data, "fingerprint.key")
	if key, err := os.ReadFile(path); err == nil && len(key) == size {
		return key, nil
	}
	key := make([]byte, size)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("making the key for fingerprints: %w", err)
	}
	if err := os.MkdirAll(s.data, 0o755); err != nil {
		return key, nil //nolint:nilerr // a read-only folder only costs comparable fingerprints
	}
	f, err := os.CreateTemp(s.data, ".fingerprint-*")
	if err != nil {
		return key, nil //nolint:nilerr // as above
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, werr := f.Write(key)
	if cerr := f.Close(); werr != nil || cerr != nil {
		return key, nil
	}
	// Link fails when another process was quicker: then its key counts.
	if err := os.Link(f.Name(), path); err != nil {
		if other, err := os.ReadFile(path); err == nil && len(other) == size {
			return other, nil
		}
	}
	return key, nil
}
