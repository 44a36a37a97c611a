package oci

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"touchstone.dev/touchstone/internal/artifact"
)

// secrets are the credentials in use, so that no error repeats them.
type secrets []string

func secretsOf(c *authn.AuthConfig) secrets {
	var s secrets
	for _, text := range []string{c.Password, c.Auth, c.IdentityToken, c.RegistryToken} {
		if text != "" {
			s = append(s, text)
		}
	}
	if c.Username != "" && c.Password != "" {
		s = append(s, base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password)))
	}
	return s
}

func (s secrets) hide(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, "[hidden]")
	}
	return text
}

// explain turns what went wrong with a registry into words: what was being
// done, what came of it, and what to do next. The cause is never the
// artifact's. An error's own text is not repeated whole where it may hold what
// a stranger wrote, or a credential.
func (s secrets) explain(host, doing string, err error) error {
	if errors.Is(err, artifact.ErrFalse) || errors.Is(err, artifact.ErrOutside) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return artifact.Outsidef("%s: %w", doing, context.Canceled)
	}
	said, hint := diagnose(host, err)
	text := s.hide(doing + ": " + said)
	if hint != "" {
		text += "\nhint: " + hint
	}
	return artifact.Outsidef("%s", text)
}

// diagnose returns what a failure is, in words of our own, and what to do.
func diagnose(host string, err error) (said, hint string) {
	var (
		status      *statusError
		answer      *transport.Error
		plain       *plainError
		inward      *inwardError
		stall       *stallError
		page        *pageError
		dns         *net.DNSError
		authority   x509.UnknownAuthorityError
		certificate *tls.CertificateVerificationError
		timeout     net.Error
	)
	switch {
	case errors.As(err, &authority), errors.As(err, &certificate): // first, as plain HTTP may have failed besides
		return "the certificate of " + host + " is not trusted", "set SSL_CERT_FILE to the certificates of your organisation"
	case errors.As(err, &status):
		return status.Error(), hintFor(status.code, host)
	case errors.As(err, &answer):
		status = &statusError{code: answer.StatusCode, diagnostics: answer.Errors}
		return status.Error(), hintFor(answer.StatusCode, host)
	case errors.As(err, &plain):
		said, hint, _ = strings.Cut(plain.Error(), "\nhint: ")
		return said, hint
	case errors.As(err, &inward):
		said, hint, _ = strings.Cut(inward.Error(), "\nhint: ")
		return said, hint
	case errors.As(err, &page):
		return page.Error(), "a proxy or a login page may stand between; check that " + host + " is a registry"
	case errors.As(err, &stall):
		return fmt.Sprintf("%s stopped answering: %s", host, stall), "try again later, or use a mirror"
	case errors.As(err, &dns):
		return fmt.Sprintf("no address is known for %s", dns.Name), "check the name's spelling and the network; a file must exist under the path given"
	case errors.Is(err, syscall.ECONNREFUSED):
		return host + " refuses the connection", "check that the registry runs and that the port is right"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return host + " did not answer in time", "try again later, or use a mirror"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return host + " cut the connection", "try again later, or use a mirror"
	default:
		return firstLine(err), ""
	}
}

// firstLine is the beginning of an error's text, safe to show.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return clean(fmt.Sprintf("%.300s", text))
}

func hintFor(code int, host string) string {
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return "log in with \"docker login " + host + "\"; some registries also answer so for a name that is not there"
	case code == http.StatusNotFound:
		return "check the name and the tag"
	case code == http.StatusTooManyRequests:
		return "wait, log in with \"docker login " + host + "\", or use a mirror"
	case code >= 500:
		return "the fault is the registry's: try again later, or use a mirror"
	}
	return ""
}

// statusError is an answer other than the one hoped for.
type statusError struct {
	code        int
	diagnostics []transport.Diagnostic
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("the registry answered %d %s", e.code, http.StatusText(e.code))
	if len(e.diagnostics) > 0 {
		d := e.diagnostics[0]
		text += clean(fmt.Sprintf(" (%.40s: %.200s)", d.Code, d.Message))
	}
	return text
}

// pageError says that a web page came where an image should.
type pageError struct{}

func (*pageError) Error() string { return "the answer is a web page" }
