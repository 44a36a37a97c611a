package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	ctypes "github.com/containerd/containerd/api/types"
	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// Containerd says where containerd is. The zero value is its default.
type Containerd struct {
	// Address is the path of its socket; "" means /run/containerd/containerd.sock.
	Address string
	// Namespaces are looked in, in this order; none means default, then k8s.io.
	Namespaces []string
	// Idle bounds each wait for an answer; 0 means 30 s.
	Idle time.Duration
}

func (c Containerd) withDefaults() Containerd {
	if c.Address == "" {
		c.Address = "/run/containerd/containerd.sock"
	}
	if len(c.Namespaces) == 0 {
		c.Namespaces = []string{"default", "k8s.io"}
	}
	if c.Idle == 0 {
		c.Idle = 30 * time.Second
	}
	return c
}

// OpenContainerd opens an image in containerd's content store, by the name that
// it has there or by one that people shorten it to. Platforms that were not
// pulled are not there.
func OpenContainerd(ctx context.Context, name string, where Containerd, o Options) ([]artifact.Source, error) {
	o, where = o.withDefaults(), where.withDefaults()
	address := strings.TrimPrefix(where.Address, "unix://")
	conn, err := grpc.NewClient("unix://"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, artifact.Outsidef("reaching containerd at %s: %w", address, err)
	}
	s := &store{conn: conn, address: address, idle: where.Idle}
	root, err := s.find(ctx, name, where.Namespaces)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	if o.Name == "" && !touchstone.Digest(name).Valid() { // the kubelet's images are named by digest too
		o.Name = FullName(name)
	}
	images, err := expand(ctx, s, o, root)
	return sources(images, err, "containerd://"+s.namespace+"/"+name, o, conn.Close)
}

// store is containerd's content store, in one namespace (containerd API,
// services/content/v1).
type store struct {
	conn      *grpc.ClientConn
	address   string
	namespace string
	idle      time.Duration
}

// in returns a context for the store's namespace.
func (s *store) in(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-namespace", s.namespace)
}

// find looks an image up, and settles the namespace.
func (s *store) find(ctx context.Context, name string, namespaces []string) (ocispec.Descriptor, error) {
	for _, s.namespace = range namespaces {
		for _, spelling := range []string{name, FullName(name)} {
			d, err := s.image(ctx, spelling)
			if !errors.Is(err, fs.ErrNotExist) {
				return d, err
			}
		}
	}
	return ocispec.Descriptor{}, artifact.Outsidef("containerd at %s has no image %s in the namespaces %s\nhint: \"ctr -n NAMESPACE images ls\" lists them; containerd://NAMESPACE/NAME looks in another",
		s.address, clean(name), strings.Join(namespaces, ", "))
}

func (s *store) image(ctx context.Context, name string) (ocispec.Descriptor, error) {
	ctx, cancel := context.WithTimeout(s.in(ctx), s.idle)
	defer cancel()
	resp, err := imagesapi.NewImagesClient(s.conn).Get(ctx, &imagesapi.GetImageRequest{Name: name})
	if err != nil {
		return ocispec.Descriptor{}, s.explain("looking for image "+clean(name), err)
	}
	return descriptorOf(resp.GetImage().GetTarget()), nil
}

func descriptorOf(d *ctypes.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{
		MediaType: d.GetMediaType(),
		Digest:    godigest.Digest(d.GetDigest()),
		Size:      d.GetSize(),
	}
}

// has implements content.
func (s *store) has(ctx context.Context, d ocispec.Descriptor) (bool, error) {
	if !foreign(d) {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(s.in(ctx), s.idle)
	defer cancel()
	_, err := contentapi.NewContentClient(s.conn).Info(ctx, &contentapi.InfoRequest{Digest: string(d.Digest)})
	if err = s.explain("looking for "+string(d.Digest), err); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// stamp implements content. The store's files are named by digest, and are the
// store's to guard; that is not known to be proof enough, so there is none.
func (s *store) stamp(ocispec.Descriptor) string { return "" }

// open implements content. A blob's absence shows at the first read, so that is
// done here.
func (s *store) open(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(s.in(ctx))
	request := &contentapi.ReadContentRequest{Digest: string(d.Digest)}
	stream, err := contentapi.NewContentClient(s.conn).Read(ctx, request)
	if err != nil {
		cancel()
		return nil, s.explain("reading "+string(d.Digest), err)
	}
	r := &storeReader{store: s, digest: string(d.Digest), stream: stream, cancel: cancel}
	if err := r.receive(); err != nil && !errors.Is(err, io.EOF) {
		cancel()
		return nil, err
	}
	return r, nil
}

// storeReader is a stream of chunks as a reader.
type storeReader struct {
	store  *store
	digest string
	stream grpc.ServerStreamingClient[contentapi.ReadContentResponse]
	cancel context.CancelFunc
	chunk  []byte
}

func (r *storeReader) Read(p []byte) (int, error) {
	for len(r.chunk) == 0 {
		if err := r.receive(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}

// receive waits for the next chunk, but not for ever.
func (r *storeReader) receive() error {
	timer := time.AfterFunc(r.store.idle, r.cancel)
	resp, err := r.stream.Recv()
	inTime := timer.Stop()
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil && !inTime:
		return artifact.Outsidef("reading %s: containerd at %s sent nothing for %s", r.digest, r.store.address, r.store.idle)
	case err != nil:
		return r.store.explain("reading "+r.digest, err)
	}
	r.chunk = resp.GetData()
	return nil
}

func (r *storeReader) Close() error {
	r.cancel()
	return nil
}

// explain turns an error of the API into words. The absence of what was asked
// for wraps fs.ErrNotExist.
func (s *store) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	told := status.Convert(err)
	switch told.Code() {
	case codes.NotFound:
		return artifact.Outsidef("%s: it is not in containerd's store: %w\nhint: containerd may discard layers once they are unpacked; check the image by its name in the registry", doing, fs.ErrNotExist)
	case codes.Canceled:
		return artifact.Outsidef("%s: %w", doing, context.Canceled)
	case codes.DeadlineExceeded:
		return artifact.Outsidef("%s: containerd at %s did not answer in time", doing, s.address)
	case codes.Unavailable:
		return artifact.Outsidef("%s: containerd cannot be reached: %s\nhint: it must run at %s, and reading from it commonly takes root", doing, clean(told.Message()), s.address)
	}
	return artifact.Outsidef("%s: containerd at %s: %s", doing, s.address, clean(fmt.Sprintf("%.300s", told.Message())))
}
