package server

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/record"
)

// guardManifest tells what is known of an image's files. Who asks names its config and
// every layer, and so has the image already.
func (s *Server) guardManifest(c *call) (*api.GuardManifest, error) {
	node, err := c.own(c.URL.Query().Get("node"))
	if err != nil {
		return nil, err
	}
	config, layers, err := manifestOf(c)
	if err != nil {
		return nil, err
	}
	e, files, err := s.door.Files(config, layers)
	if errors.Is(err, record.ErrNotFound) {
		return nil, s.absent(c, node, c.URL.Query().Get("image"))
	}
	if err != nil {
		return nil, err
	}
	files.Close()
	return &api.GuardManifest{Config: config, Evidence: e.ID, Platform: e.Platform, Manifest: e.Manifest, Gaps: e.Gaps}, nil
}

// absent says that an image was never inspected, and has it scanned where a pod of
// the node runs it.
func (s *Server) absent(c *call, node, image string) error {
	none := func(hint string) error {
		return problem(http.StatusNotFound, "no image of this config and these layers was inspected, or its list of files is gone", hint)
	}
	if image == "" {
		return none("add ?image= with its name, as the pod writes it, and it is scanned")
	}
	pods, _, err := s.podsOf(c.Context(), node)
	if err != nil {
		return err
	}
	for i := range pods {
		for j := range pods[i].Containers {
			if pods[i].Containers[j].Image != image {
				continue
			}
			waits, err := s.door.ScanFor(c.Context(), &pods[i], pods[i].Containers[j].Name)
			if err != nil {
				return err
			}
			if waits {
				return none("a scan of it waits: ask again in a few seconds")
			}
		}
	}
	return none("no pod of the node is known to run it by a digest yet: ask again in a few seconds")
}

// guardFiles sends the list of an image's files. It never changes, so that whoever
// has it need not ask again.
func (s *Server) guardFiles(w http.ResponseWriter, c *call) error {
	if _, err := c.own(c.URL.Query().Get("node")); err != nil {
		return err
	}
	config, layers, err := manifestOf(c)
	if err != nil {
		return err
	}
	e, files, err := s.door.Files(config, layers)
	if errors.Is(err, record.ErrNotFound) {
		return problem(http.StatusNotFound, "no image of this config and these layers was inspected", "")
	}
	if err != nil {
		return err
	}
	defer files.Close()
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Cache-Control", "private, max-age=31536000, immutable")
	header.Set("ETag", strconv.Quote(string(e.Manifest.Blob)))
	if strings.Contains(c.Header.Get("If-None-Match"), string(e.Manifest.Blob)) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("sending the files of %s: %w", config.Short(), err)
	}
	http.ServeContent(w, c.Request, "", time.Time{}, bytes.NewReader(files.Bytes()))
	return nil
}
