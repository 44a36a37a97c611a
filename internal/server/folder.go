package server

import (
	"os"
	"path/filepath"
	"strings"
)

// The files in the data folder that callers on the same machine look for.
const (
	addressFile    = "address"     // the URL of the API, while a server runs or ran last
	firstTokenFile = "first-token" // the first administrator's token, 0600
)

// Address returns the URL of the server that keeps its data in the folder.
func Address(data string) (string, error) {
	b, err := os.ReadFile(filepath.Join(data, addressFile))
	return strings.TrimSpace(string(b)), err
}

// Authority returns the path of the authorities that sign that server's
// certificate.
func Authority(data string) string { return filepath.Join(data, authorityFile) }

// FirstToken returns the path of the token that its first start made.
func FirstToken(data string) string { return filepath.Join(data, firstTokenFile) }
