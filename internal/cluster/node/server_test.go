package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/kube/install"
	"touchstone.dev/touchstone/internal/makeimage"
	"touchstone.dev/touchstone/internal/server"
)

// clusterName is how the rules call the cluster.
const clusterName = "pay-1"

// theRules are those of the server: a namespace says by its label stage what it
// is. What enters live must have been promoted.
const theRules = `version: 1
environments: [dev, prod, live]
places:
  - {namespace: kube-*, environment: dev, class: system, owner: platform}
  - {labels: {stage: dev}, environment: dev, owner: team-dev}
  - {labels: {stage: watched}, environment: dev, class: watched, owner: team-dev}
  - {labels: {stage: prod}, environment: prod, owner: team-shop}
  - {labels: {stage: live}, environment: live, owner: team-shop}
rules:
  cvss:             {dev: any, others: below 7}
  unscored:         {others: allow}
  no-advisories:    {others: warn}
  stale-advisories: {others: any}
  gaps:             {others: warn}
  unseen:           {dev: allow, others: refuse}
  privileged:       {dev: warn, others: refuse}
  promoted:         {others: allow, live: refuse}
  improves:         {dev: allow, others: approve}
  restart:          {others: allow}
  mend-within:      {dev: any, others: at most 14d}
  login:            {dev: allow, others: kill}
  run-unknown:      {dev: allow, others: kill}
  run-unjudged:     {dev: allow, others: block}
  change:           {dev: allow, others: alert}
classes:
  watched: {where: [dev], login: alert, run-unknown: block, run-unjudged: block}
`

// hole is an advisory about a package before 2.0-1.
func hole(id, pkg string) []byte {
	return fmt.Appendf(nil, `{"id":"DEBIAN-%[1]s","upstream":["%[1]s"],"modified":"2026-11-20T00:00:00Z",
"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
"affected":[{"package":{"ecosystem":"Debian:12","name":"%[2]s"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.0-1"}]}]}]}`, id, pkg)
}

// program is the real touchstone, built once.
var program = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "touchstone")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return makeimage.Program(context.Background(), filepath.Join(dir, "touchstone"), "touchstone.dev/touchstone/cmd/touchstone")
})

// process is touchstone serve outside the cluster, as a process of its own, and
// what its data folder holds.
type process struct {
	*api.Client
	program    string
	data       string
	kubeconfig string // the server's own account
	flags      []string
	listen     string
	webhook    string
	log        *os.File
	running    *exec.Cmd
	ended      chan struct{}
}

// newProcess makes a data folder with rules and advisories, and the account by
// which the server sees the cluster.
func newProcess(t *testing.T, w *world) *process {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &process{
		program: filepath.Join(dir, "touchstone"), data: filepath.Join(dir, "data"), kubeconfig: filepath.Join(dir, "server.conf"),
		listen: freePort(t), webhook: freePort(t),
	}
	rules := filepath.Join(dir, "touchstone.yaml")
	if err := os.WriteFile(rules, []byte(theRules), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.program, binary, 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	if p.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.log.Close() })
	p.advise(t, "CVE-2026-1001", "openssl")
	p.advise(t, "CVE-2026-1002", "zlib")

	account, err := clientcmd.LoadFromFile(w.c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range account.AuthInfos {
		user.Impersonate = "system:serviceaccount:" + install.Name + ":" + install.Name
	}
	if err := clientcmd.WriteToFile(*account, p.kubeconfig); err != nil {
		t.Fatal(err)
	}
	p.flags = []string{
		"serve", "--data", p.data, "--rules", rules, "--kubeconfig", p.kubeconfig, "--name", clusterName,
		"--listen", p.listen, "--webhook-listen", p.webhook, "--insecure-registry", w.r.Host,
		"--guard-namespace", install.GuardNamespace(install.Name),
	}
	return p
}

// advise adds an advisory to those that the server knows.
func (p *process) advise(t *testing.T, id, pkg string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), pkg+".json")
	if err := os.WriteFile(path, hole(id, pkg), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run(t, "db", "import", "--data", p.data, path)
}

// run runs another command of touchstone to its end.
func (p *process) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), p.program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("touchstone %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start starts the server and waits until it answers; it ends with the test.
func (p *process) start(t *testing.T) {
	t.Helper()
	p.running = exec.Command(p.program, p.flags...)
	p.running.Stdout, p.running.Stderr = p.log, p.log
	p.running.Env = append(os.Environ(), "DOCKER_CONFIG="+p.data) // no credentials of this machine's
	p.ended = launch(t, p.running)
	answers(t, "the server", p.ended, p.said, p.connect)
}

// launch starts a program; the channel is closed when it has ended.
func launch(t *testing.T, program *exec.Cmd) chan struct{} {
	t.Helper()
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = program.Wait() // how it ended is in its log
		close(ended)
	}()
	return ended
}

// answers waits until a program that was launched does.
func answers(t *testing.T, name string, ended <-chan struct{}, said func() string, ask func(context.Context) error) {
	t.Helper()
	wait(t, name+" answers", time.Minute, func(ctx context.Context) error {
		select {
		case <-ended:
			t.Fatalf("%s ended\n%s", name, said())
		default:
		}
		return ask(ctx)
	})
}

// connect makes the client of the first administrator.
func (p *process) connect(ctx context.Context) error {
	carrier, err := api.Pinned(server.Authority(p.data))
	if err != nil {
		return err
	}
	token, err := os.ReadFile(server.FirstToken(p.data))
	if err != nil {
		return err
	}
	p.Client = &api.Client{Base: "https://" + p.listen, Token: strings.TrimSpace(string(token)), HTTP: carrier, Attempts: 1}
	_, err = p.Alive(ctx)
	return err
}

// kill ends the server as a loss of power does.
func (p *process) kill() {
	if p.running == nil {
		return
	}
	_ = p.running.Process.Kill() // it may have ended
	<-p.ended
}

// said returns the end of what the server has written.
func (p *process) said() string {
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-60):], nil))
}

// install puts the webhooks before the cluster, by the command.
func (p *process) install(t *testing.T, w *world) {
	t.Helper()
	w.c.Eventually(t, "the namespace of an earlier test is gone", time.Minute, func(ctx context.Context) error {
		n, err := w.c.Client().CoreV1().Namespaces().Get(ctx, install.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && n.DeletionTimestamp == nil {
			return nil
		}
		return fmt.Errorf("it is still there: %w", err)
	})
	t.Cleanup(func() {
		if err := install.Remove(context.Background(), w.c.Config(), install.Options{}); err != nil {
			t.Error(err)
		}
	})
	p.run(t, "admit", "install", "--url", "https://"+p.webhook, "--data", p.data, "--kubeconfig", w.c.Kubeconfig(), "--apply")
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := cluster.ListenBelow("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// wait waits until f has nothing to complain of.
func wait(t *testing.T, what string, within time.Duration, f func(context.Context) error) {
	t.Helper()
	shared.Use(t).Eventually(t, what, within, f)
}
