package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"golang.org/x/sync/errgroup"
)

// How many containers are asked about at once.
const workers = 8

// name is a container's, on this node.
type name struct{ namespace, id string }

// List returns every container that has processes, each as Get does. What of one
// could not be found out is in its Problem; an error means that the list itself
// is not whole.
func (r *Runtime) List(ctx context.Context) ([]Container, error) {
	names, err := r.names(ctx)
	if err != nil {
		return nil, err
	}
	found := make([]Container, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i, n := range names {
		group.Go(func() error {
			c, err := r.Get(ctx, n.namespace, n.id)
			if err != nil && !errors.Is(err, ErrGone) {
				return err
			}
			found[i] = c
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	alive := found[:0]
	for i := range found {
		if found[i].Status.Alive() {
			alive = append(alive, found[i])
		}
	}
	return alive, nil
}

// names returns every container that containerd has, running or not.
func (r *Runtime) names(ctx context.Context) ([]name, error) {
	namespaces, err := r.lookedAt(ctx)
	if err != nil {
		return nil, err
	}
	var out []name
	for _, ns := range namespaces {
		ids, err := r.ids(ctx, ns)
		if err != nil {
			return nil, err
		}
		out = append(out, ids...)
	}
	return out, nil
}

// ids streams, so that one spec is in memory at a time.
func (r *Runtime) ids(ctx context.Context, namespace string) ([]name, error) {
	doing := "listing the containers in containerd's namespace " + clip(namespace, maxName)
	ctx, cancel := r.in(ctx, namespace)
	defer cancel()
	stream, err := r.containers.ListStream(ctx, &containersapi.ListContainersRequest{})
	if err != nil {
		return nil, explain(doing, err)
	}
	var out []name
	for {
		message, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, explain(doing, err)
		}
		out = append(out, name{namespace, strings.Clone(message.GetContainer().GetID())})
	}
}

// Get returns one container. Its status is Stopped where it is there without
// processes; ErrGone where containerd does not have it.
func (r *Runtime) Get(ctx context.Context, namespace, id string) (Container, error) {
	record, err := r.record(ctx, name{namespace, id})
	if err != nil {
		return Container{}, err
	}
	task, err := r.task(ctx, name{namespace, id})
	if err != nil {
		return Container{}, err
	}
	return r.describe(ctx, namespace, record, task), nil
}

func (r *Runtime) record(ctx context.Context, n name) (*containersapi.Container, error) {
	ctx, cancel := r.in(ctx, n.namespace)
	defer cancel()
	resp, err := r.containers.Get(ctx, &containersapi.GetContainerRequest{ID: n.id})
	if err != nil {
		return nil, explain("asking for container "+n.id, err)
	}
	return resp.GetContainer(), nil
}

// task is a container's first process as containerd sees it.
type task struct {
	status Status
	init   Process
}

// task asks for the first process. A container without one is stopped. The
// process id is believed once /proc has been read and containerd then still says
// the same: it could have been given to another in between.
func (r *Runtime) task(ctx context.Context, n name) (task, error) {
	const tries = 3
	for range tries {
		pid, status, err := r.askTask(ctx, n)
		if err != nil || pid == 0 || status == Stopped {
			return task{status: status}, err
		}
		init, err := r.process(pid)
		if err != nil {
			continue // it has ended, which containerd will say soon
		}
		again, status, err := r.askTask(ctx, n)
		if err != nil {
			return task{}, err
		}
		if again == pid {
			return task{status: status, init: init}, nil
		}
	}
	return task{status: Stopped}, nil
}

func (r *Runtime) askTask(ctx context.Context, n name) (pid int, status Status, err error) {
	ctx, cancel := r.in(ctx, n.namespace)
	defer cancel()
	resp, err := r.tasks.Get(ctx, &tasksapi.GetRequest{ContainerID: n.id})
	if err = explain("asking for the processes of container "+n.id, err); errors.Is(err, ErrGone) {
		return 0, Stopped, nil
	}
	if err != nil {
		return 0, Unknown, err
	}
	return int(resp.GetProcess().GetPid()), statusOf(resp.GetProcess().GetStatus()), nil
}

func statusOf(s tasktypes.Status) Status {
	switch s {
	case tasktypes.Status_CREATED:
		return Created
	case tasktypes.Status_RUNNING:
		return Running
	case tasktypes.Status_PAUSED, tasktypes.Status_PAUSING:
		return Paused
	case tasktypes.Status_STOPPED:
		return Stopped
	}
	return Unknown
}

// describe puts together what is told of a container.
func (r *Runtime) describe(ctx context.Context, namespace string, record *containersapi.Container, t task) Container {
	c := Container{
		ID: clip(record.GetID(), maxName), Namespace: clip(namespace, maxName), Status: t.status,
		Created: record.GetCreatedAt().AsTime(), Pod: podOf(record),
	}
	var problems []string
	var clipped bool
	c.Labels, c.Clipped = keptLabels(record.GetLabels())
	spec, err := parseSpec(record.GetSpec())
	if err != nil {
		problems = append(problems, err.Error())
	}
	c.Spec, clipped = spec.kept(c.Pod.UID)
	c.Clipped = c.Clipped || clipped
	if t.status.Alive() && t.init.PID != 0 {
		if err := r.live(&c, t.init, clip(spec.Linux.CgroupsPath, maxPath)); err != nil {
			problems = append(problems, err.Error())
		}
	}
	c.Rootfs = r.rootfs(ctx, namespace, record)
	c.Image = r.image(ctx, namespace, record, c.Rootfs.Parent)
	if c.Rootfs.Problem != "" {
		problems = append(problems, c.Rootfs.Problem)
	}
	c.Problem = strings.Join(problems, "; ")
	return c
}

// live reads what /proc tells of the first process.
func (r *Runtime) live(c *Container, init Process, group string) error {
	c.Init, c.Started = init, r.startedAt(init)
	c.Namespaces, c.Lone = r.namespacesOf(init.PID), r.lone(init.PID)
	var inside bool
	c.Cgroup, inside = r.cgroupOf(init.PID, group)
	host, is := r.host(), func(spec *bool, of, hosts uint64) { // what is beats what was asked for
		if of != 0 && hosts != 0 {
			*spec = of == hosts
		}
	}
	is(&c.Spec.HostPID, c.Namespaces.PID, host.PID)
	is(&c.Spec.HostNetwork, c.Namespaces.Network, host.Network)
	is(&c.Spec.HostIPC, c.Namespaces.IPC, host.IPC)
	is(&c.Spec.HostUser, c.Namespaces.User, host.User)
	if !r.alive(init) {
		c.Status, c.Init, c.Lone, c.Namespaces, c.Cgroup = Stopped, Process{}, false, Namespaces{}, ""
		return nil
	}
	if !inside && lastOfGroup(group) != "" {
		return fmt.Errorf("process %d is not in the control group %q of its spec", init.PID, group)
	}
	return nil
}
