// Package server is "touchstone serve": one process that remembers, scans, judges
// and answers, with nothing to set up.
//
//	callers ─ TLS ─► guard (token, role, scope, once) ─► handlers ─► gate.Door, release.Release ─► record
//	cluster ─ TLS ─► Gate.Webhook ──────────────────────────────────► gate.Door ─────────────────► record
//	guards ─ TLS ─► guard (of its own node) ─► ground · manifests · events · evictions ─► gate.Door, Nodes
//	                 events · metrics · health ◄── what the record was told and what the door says
//
// It puts the rooms together and decides nothing: what may run is Decide's to say,
// who may approve is release's. It serves exactly the routes of package api, and
// does not start when one of them has no handler.
//
// It knows no Kubernetes: what stands at a cluster's door is handed in as a Gate
// (see Config.Gates), made with the server's rooms and served on a port of its own.
//
// Everything lies in the data folder, readable by its owner alone:
//
//	record.db     the record, and beside it its lock and checkpoints
//	log.key       signs checkpoints; log.pub verifies them
//	tls.json      authorities and certificate; ca.pem the authorities for callers
//	first-token   the first administrator's token, to be moved to a safe place
//	address       the URL of the API
//	backups/      what POST /v1/backups has written
package server
