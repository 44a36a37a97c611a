package touchstone

import "time"

// Workload is what keeps containers running, and one container of it.
type Workload struct {
	Kind      string `json:"kind,omitempty"`      // "Deployment"; "Pod" for one that nothing keeps
	Name      string `json:"name,omitempty"`      // within its namespace
	Container string `json:"container,omitempty"` // name of the container, or of the volume that is an image
}

// Settings are what a workload sets for its container. Each overrides what the
// image says, and is judged as it will run.
type Settings struct {
	// User overrides the image's user when it is not empty: "1000", "1000:1000".
	User string `json:"user,omitempty"`
	// NotRoot is true where the runtime itself refuses user 0 (Kubernetes
	// "runAsNonRoot").
	NotRoot bool     `json:"notRoot,omitempty"`
	Command []string `json:"command,omitempty"` // overrides the image's entrypoint when it is not empty
	Args    []string `json:"args,omitempty"`    // overrides the image's command when it is not empty
	// Capabilities are those added to the runtime's own, as "NET_ADMIN"; "ALL"
	// stands for every one.
	Capabilities []string `json:"capabilities,omitempty"`
	Privileged   bool     `json:"privileged,omitempty"` // as root of the node
	// Host lists what of the node is shared: "network", "pid", "ipc", and the
	// paths of the node that are mounted, as "path /var/run".
	Host []string `json:"host,omitempty"`
}

// set reports whether the workload sets anything.
func (s *Settings) set() bool {
	return s.User != "" || s.NotRoot || s.Privileged || len(s.Command)+len(s.Args)+len(s.Capabilities)+len(s.Host) > 0
}

// Login is a person's way into something that runs.
type Login struct {
	Kind LoginKind `json:"kind"`
	By   string    `json:"by"` // the person, as the cluster names them
	// Command is what is to be executed, redacted.
	Command []string `json:"command,omitempty"`
	TTY     bool     `json:"tty,omitempty"` // whether there is a terminal
	// From is where the person came from: an address and port; empty where nobody
	// knows.
	From string `json:"from,omitempty"`
	// Admitted is the id of the decision by which a cluster's door let the session
	// in; empty where it never saw it, and for what the door itself judges.
	Admitted string `json:"admitted,omitempty"`
	// Ended is when a session that a guard has watched was over, zero before.
	Ended time.Time `json:"ended,omitzero"`
}

// LoginKind is a way in.
type LoginKind string

// The ways in. A cluster's door sees the first four, a guard all but the
// port-forward, which starts no process.
const (
	LoginExec        LoginKind = "exec" // through the API server, the kubelet's own API or a runtime's client
	LoginAttach      LoginKind = "attach"
	LoginPortForward LoginKind = "port-forward"
	LoginDebug       LoginKind = "debug"   // an ephemeral container
	LoginNsenter     LoginKind = "nsenter" // from the node, past the runtime
	LoginSSH         LoginKind = "ssh"
	LoginTelnet      LoginKind = "telnet"
	LoginSwitch      LoginKind = "su"      // su, sudo, login, runuser: another person in the same session
	LoginConsole     LoginKind = "console" // at a terminal of the host
)
