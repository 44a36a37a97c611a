package admit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

const apiVersion = "admission.k8s.io/v1"

var (
	// errTooLarge says that a review is larger than the webhook reads.
	errTooLarge = errors.New("the review is too large")
	// errBusy says that others take all the memory that reviews may take.
	errBusy = errors.New("too many reviews are being read already")
)

// serve answers one review.
func (w *Webhook) serve(rw http.ResponseWriter, r *http.Request, mutate bool) {
	ctx, cancel := context.WithTimeout(r.Context(), patience(r.URL.Query().Get("timeout")))
	defer cancel()
	body, free, err := w.read(ctx, r)
	if errors.Is(err, errTooLarge) {
		w.refuseUnread(rw, r, body)
		return
	}
	if errors.Is(err, errBusy) {
		http.Error(rw, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if err != nil {
		http.Error(rw, "reading the review: "+err.Error(), http.StatusBadRequest)
		return
	}
	rv, err := w.decode(ctx, body)
	if err != nil {
		free()
		status := http.StatusBadRequest
		if errors.Is(err, errBusy) {
			status = http.StatusServiceUnavailable
		}
		http.Error(rw, err.Error(), status)
		return
	}
	done := make(chan answer, 1)
	go func() {
		defer free()
		done <- w.answer(ctx, rv, body, mutate)
	}()
	select {
	case a := <-done:
		respond(rw, rv.Request.UID, a)
	case <-ctx.Done():
		respond(rw, rv.Request.UID, w.failed(&rv.Request, errors.New("not decided in time\nhint: try again; the gate may be overloaded, see its /readyz")))
	}
}

// decode decodes in the order of arrival, as many reviews at once as there are
// processors: where all of them run at once, some wait for many others.
func (w *Webhook) decode(ctx context.Context, body []byte) (*decoded, error) {
	if w.decoding.Acquire(ctx, 1) != nil {
		return nil, errBusy
	}
	defer w.decoding.Release(1)
	return decode(body)
}

// patience returns how long there is for an answer: what the API server waits,
// without the half second that the answer takes on its way.
func patience(timeout string) time.Duration {
	const longest, way = 30 * time.Second, 500 * time.Millisecond // admissionregistration/v1, timeoutSeconds
	d, err := time.ParseDuration(timeout)
	if err != nil || d <= 0 || d > longest {
		d = 10 * time.Second // the API server's default
	}
	if d < 2*way {
		return d / 2
	}
	return d - way
}

// read reads the review. All that are being read take only so much memory, with
// what they are decoded into; free gives it back. What is too large is returned as
// far as it was read.
func (w *Webhook) read(ctx context.Context, r *http.Request) (body []byte, free func(), err error) {
	n := r.ContentLength
	known := n >= 0 && n <= w.c.MaxReview
	if !known {
		n = w.c.MaxReview
	}
	if w.reading.Acquire(ctx, n) != nil {
		return nil, nil, errBusy
	}
	free = func() { w.reading.Release(n) }
	if known {
		body = make([]byte, n)
		_, err = io.ReadFull(r.Body, body)
	} else if body, err = io.ReadAll(io.LimitReader(r.Body, w.c.MaxReview+1)); err == nil && int64(len(body)) > w.c.MaxReview {
		err = errTooLarge
	}
	more := weight(body)
	switch {
	case err != nil:
	case n+more > w.c.MaxReading:
		err = errTooLarge
	case !w.reading.TryAcquire(more):
		err = errBusy
	}
	if err != nil {
		free()
		return body, nil, err
	}
	return body, func() { w.reading.Release(n + more) }, nil
}

// weight is about what a review takes once it is decoded, in bytes. Three bytes of
// JSON, "{},", can become a container.
func weight(body []byte) int64 {
	const object, element = 256, 48
	return int64(object*bytes.Count(body, []byte{'{'}) + element*bytes.Count(body, []byte{','}))
}

// decoded is a review that was read.
type decoded struct {
	review
	// problem says why the objects in it could not be read.
	problem error
}

// decode reads a review. An error is one that the caller made; what is wrong with
// the objects in the review is part of the answer.
//
// Keys are told apart by case, as the API server does: nothing that it would not
// look at is believed.
func decode(body []byte) (*decoded, error) {
	d := &decoded{}
	if err := utiljson.Unmarshal(body, &d.review); err != nil {
		// The objects may be of a kind that has the same fields with another shape.
		var bare struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Request    struct {
				request
				Object json.RawMessage `json:"object"`
				Old    json.RawMessage `json:"oldObject"`
			} `json:"request"`
		}
		if again := utiljson.Unmarshal(body, &bare); again != nil {
			return nil, fmt.Errorf("this is no AdmissionReview: %w", again)
		}
		d.review = review{APIVersion: bare.APIVersion, Kind: bare.Kind, Request: bare.Request.request}
		d.problem = err
	}
	if d.APIVersion != apiVersion || d.Kind != "AdmissionReview" || d.Request.UID == "" {
		return nil, errors.New("this is no AdmissionReview of " + apiVersion + " with a request")
	}
	return d, nil
}

// refuseUnread answers a review that is too large to be read. Its uid stands near
// the beginning, because the API server writes it first.
func (w *Webhook) refuseUnread(rw http.ResponseWriter, r *http.Request, start []byte) {
	// A client that is still writing does not look for an answer.
	_, _ = io.CopyN(io.Discard, r.Body, 8*w.c.MaxReview)
	uid := uidOf(start)
	if uid == "" {
		http.Error(rw, errTooLarge.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	respond(rw, uid, refused(fmt.Sprintf("refused: %v: %d bytes are read at most, and fewer of very many parts\nfix: make the object smaller; its annotations and managed fields count too", errTooLarge, w.c.MaxReview)))
}

// uidOf returns request.uid from the beginning of a review, or "".
func uidOf(start []byte) string {
	d := json.NewDecoder(bytes.NewReader(start))
	depth, key, inRequest := 0, true, false
	var last string
	for range 200 {
		t, err := d.Token()
		if err != nil {
			return ""
		}
		switch t := t.(type) {
		case json.Delim:
			switch t {
			case '{', '[':
				depth++
				inRequest = inRequest || depth == 2 && last == "request"
			default:
				depth--
				inRequest = inRequest && depth >= 2
			}
			key, last = true, ""
			continue
		case string:
			if inRequest && depth == 2 && !key && last == "uid" {
				return t
			}
			if key {
				last = t
			}
		}
		key = !key
	}
	return ""
}

// answer is what a review is answered with.
type answer struct {
	allowed  bool
	message  string // why not; bounded and printable
	warnings []string
	patch    []operation
	audit    map[string]string
}

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

func passed(warnings ...string) answer { return answer{allowed: true, warnings: warnings} }

func refused(message string) answer { return answer{message: message} }

// respond writes the answer as an AdmissionReview.
func respond(rw http.ResponseWriter, uid string, a answer) {
	response := &admissionv1.AdmissionResponse{
		UID: types.UID(uid), Allowed: a.allowed, Warnings: a.warnings, AuditAnnotations: a.audit,
	}
	if !a.allowed {
		response.Result = &metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: a.message,
		}
	}
	if a.allowed && len(a.patch) > 0 {
		patch, err := json.Marshal(a.patch)
		if err != nil { // strings alone can always be written
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		kind := admissionv1.PatchTypeJSONPatch
		response.Patch, response.PatchType = patch, &kind
	}
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: apiVersion, Kind: "AdmissionReview"}, Response: response,
	})
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	_, _ = rw.Write(body) // nobody is there to be told
}

// answer asks about what the review holds. Whatever goes wrong is an answer too.
func (w *Webhook) answer(ctx context.Context, rv *decoded, body []byte, mutate bool) (a answer) {
	r := &rv.Request
	defer func() {
		if p := recover(); p != nil {
			w.c.Log.Error("a review could not be judged", "kind", r.Kind.Kind, "namespace", r.Namespace, "panic", p, "stack", string(debug.Stack()))
			a = w.failed(r, errors.New("the gate failed while it judged this"))
		}
	}()
	a, err := w.judge(ctx, rv, body, mutate)
	if err != nil {
		return w.failed(r, err)
	}
	return a
}

// failed is the answer when something went wrong inside: a refusal with the
// cause, but where that would lock out the gate or the cluster's own start, and
// where a namespace is only reported on.
func (w *Webhook) failed(r *request, err error) answer {
	w.c.Log.Warn("a review was not judged", "kind", r.Kind.Kind, "namespace", r.Namespace, "name", r.Name, "error", err)
	cause, hint := parted(err.Error())
	switch {
	case w.system(r.Namespace):
		return passed(warning("let in unjudged, because this is a system namespace: " + cause))
	case w.c.Reports != nil && w.c.Reports(r.Namespace):
		return passed(warning("let in unjudged, because this namespace is only reported on: " + cause))
	}
	return refused(text("undecided: "+cause, hint))
}
