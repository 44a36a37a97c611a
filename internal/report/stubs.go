package report

import (
	"bytes"
	"errors"

	"touchstone.dev/touchstone"
)

var errLater = errors.New("this format is not written yet")

func writeTable(b *bytes.Buffer, c *touchstone.Check, o Options) error     { return errLater }
func writeSARIF(b *bytes.Buffer, c *touchstone.Check, o Options) error     { return errLater }
func writeJUnit(b *bytes.Buffer, c *touchstone.Check, o Options) error     { return errLater }
func writeMarkdown(b *bytes.Buffer, c *touchstone.Check, o Options) error  { return errLater }
func writeGitHub(b *bytes.Buffer, c *touchstone.Check, o Options) error    { return errLater }
func writeCycloneDX(b *bytes.Buffer, c *touchstone.Check, o Options) error { return errLater }
func writeSPDX(b *bytes.Buffer, c *touchstone.Check, o Options) error      { return errLater }
func writeOpenVEX(b *bytes.Buffer, c *touchstone.Check, o Options) error   { return errLater }
func writeDiffTable(b *bytes.Buffer, d *touchstone.Diff, o Options) error  { return errLater }
func writeDiffMarkdown(b *bytes.Buffer, d *touchstone.Diff, o Options) error {
	return errLater
}
