package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// MissingError says what a cluster lacks on this machine.
type MissingError struct{ What string }

// Error says it with what to do.
func (e *MissingError) Error() string {
	return "no Kubernetes here: " + e.What + "; .ci/prepare gets it, as root"
}

// programs are the paths of what is started, by name.
type programs map[string]string

// find looks for all that the options need.
func find(o Options) (programs, error) {
	kubernetes, system := []string{"kube-apiserver"}, []string{"etcd"}
	if o.Node {
		if os.Geteuid() != 0 {
			return nil, &MissingError{"a node needs root"}
		}
		kubernetes = append(kubernetes, "kube-controller-manager", "kube-scheduler", "kubelet")
		system = append(system, "containerd", "containerd-shim-runc-v2", "runc", "ctr", "ip")
	}
	folder, err := kubernetesFolder()
	if err != nil {
		return nil, err
	}
	all := programs{}
	var missing []string
	for _, name := range kubernetes {
		all[name] = filepath.Join(folder, name)
		if info, err := os.Stat(all[name]); err != nil || info.Mode()&0o111 == 0 {
			missing = append(missing, name+" in "+folder)
		}
	}
	for _, name := range system {
		if all[name], err = exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if _, err := os.Stat(filepath.Join(pluginFolder, "bridge")); o.Node && err != nil {
		missing = append(missing, "the network plugins in "+pluginFolder)
	}
	if len(missing) > 0 {
		return nil, &MissingError{"missing " + strings.Join(missing, ", ")}
	}
	return all, nil
}

// kubernetesFolder is where .ci/kubernetes puts what it builds: .cache/kubernetes
// beside go.mod, or what KUBERNETES_BINARIES names.
func kubernetesFolder() (string, error) {
	if folder := os.Getenv("KUBERNETES_BINARIES"); folder != "" {
		return folder, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, ".cache", "kubernetes"), nil
}

func moduleRoot() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := at; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above %s", at)
		}
	}
}
