package cluster

import (
	"fmt"
	"path/filepath"
	"strings"
)

func socket(dir string) string { return filepath.Join(dir, "run", "containerd.sock") }

func (c *Cluster) networkConfig() string {
	return fmt.Sprintf(`{"cniVersion": "0.4.0", "name": %q, "plugins": [{"type": "bridge", "bridge": %[1]q, "isGateway": false, "ipMasq": false,
 "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": %q}]], "routes": [{"dst": %q, "gw": %q}]}}]}
`, bridge, filepath.Join(c.dir, "run", "addresses"), subnet, services, nodeAddress)
}

// containerdConfig is read by containerd 1.6 and by 2. Where a test runs there
// may be no CAP_SYS_RESOURCE: nothing asks for a lower OOM score than our own.
func (c *Cluster) containerdConfig() string {
	return strings.NewReplacer("DIR", c.dir, "PLUGINS", pluginFolder, "PAUSE", pauseImage).Replace(`version = 2
root = "DIR/containerd"
state = "DIR/run/containerd"
[grpc]
address = "DIR/run/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "DIR/opt"
[plugins."io.containerd.nri.v1.nri"]
socket_path = "DIR/run/nri.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "PAUSE"
restrict_oom_score_adj = true
tolerate_missing_hugetlb_controller = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "DIR/registries"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "PLUGINS"
conf_dir = "DIR/network"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "DIR/run/runc"
`)
}

// kubeletConfig asks for nothing that takes CAP_SYS_RESOURCE: no lower OOM
// score, no higher limit of open files.
func (c *Cluster) kubeletConfig() string {
	return strings.NewReplacer("DIR", c.dir, "PORT", fmt.Sprint(c.ports.kubelet), "HEALTH", fmt.Sprint(c.ports.health)).Replace(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://DIR/run/containerd.sock
cgroupDriver: cgroupfs
oomScoreAdj: 0
maxOpenFiles: 20000
failSwapOn: false
makeIPTablesUtilChains: false
port: PORT
healthzPort: HEALTH
tlsCertFile: DIR/kubelet-serving.crt
tlsPrivateKeyFile: DIR/kubelet-serving.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: DIR/ca.crt}}
authorization: {mode: Webhook}
staticPodPath: DIR/static
fileCheckFrequency: 2s
podLogsDir: DIR/pods
volumePluginDir: DIR/kubelet/plugins-exec
clusterDomain: cluster.local
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%"}
nodeStatusUpdateFrequency: 2s
syncFrequency: 10s
`)
}
