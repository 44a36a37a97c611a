// Package admit stands at a cluster's door: an HTTP handler for the admission
// webhooks of Kubernetes. It reads a review, asks the gate, and says what the gate
// said. It decides nothing.
//
//	AdmissionReview ─ decode ─► images with their settings ─ place, owner ─► gate.Request ─ Door ─► Answer ─► AdmissionResponse
//
// The API server asks twice. /mutate comes first and pins: it writes the digest that
// was judged behind each image of a pod, and touches nothing else, and nothing but
// pods. /validate comes last, sees what others have put in meanwhile, and judges
// the object as it will be stored; an image without a digest is then one that was
// added after it was judged, and refused. A refusal is final in either; what is let
// in is written down by /validate alone.
//
// What makes pods (Deployment, Job and so on) is told early what its pods would be
// told, and refused only where the rules refuse it for sure. Ways into a pod that
// runs (exec, attach, port-forward, ephemeral containers) are judged by the rule
// login. What can run nothing is let through unasked.
//
// # What is believed
//
// An owner reference can be written by anybody who may write a pod. One that names
// a kind of Kubernetes' own counts only where one of its controllers writes it; one
// that names any other kind only where a service account does. Else the pod is
// judged as one that nothing keeps.
//
// # Break-glass
//
// The annotation touchstone.dev/break-glass, with a reason, on a workload or on a pod
// that nothing keeps, lets its images in against the rules for an hour. It is looked
// at where a person writes it: the person needs the verb "break" on "glass" in the
// group touchstone.dev. It is bound to the workload, to the digests that it names
// then, and to what it sets for them. Pods of the workload inherit it; an annotation that a controller copies
// grants nothing.
//
// # When something goes wrong
//
// Whatever fails inside (the door, the cluster, the time) is answered with a refusal
// that says so, never with a status that a failure policy could take for a yes. The
// exceptions are these, so that the gate locks out neither itself nor the cluster's
// own start:
//
//   - In system namespaces, what fails inside is let in with a warning. What the
//     rules say there is obeyed like anywhere; rules of the class system say it.
//   - In the gate's own namespace, and that of its guards, only what contradicts its own digests is refused.
//     Whoever may write there is trusted with the gate itself.
//   - A mirror pod, which a node shows of what it runs already, is let in with a
//     warning: to refuse it would hide it and stop nothing.
package admit
