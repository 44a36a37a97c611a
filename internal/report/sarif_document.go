package report

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The parts of SARIF 2.1.0 that are written, with their sections.
type (
	sarifLog struct { // 3.13
		Schema  string          `json:"$schema"`
		Version string          `json:"version"`
		Runs    []sarifDocument `json:"runs"`
	}
	sarifDocument struct { // 3.14
		Tool       sarifTool            `json:"tool"`
		Automation sarifAutomation      `json:"automationDetails"`
		Bases      map[string]sarifBase `json:"originalUriBaseIds"`
		Properties map[string]any       `json:"properties"`
		Results    []sarifResult        `json:"results"`
	}
	sarifTool struct { // 3.18
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct { // 3.19
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifAutomation struct { // 3.17
		ID string `json:"id"`
	}
	sarifBase struct { // 3.4
		Description sarifMessage `json:"description"`
	}
	sarifRule struct { // 3.49
		ID         string         `json:"id"`
		Name       string         `json:"name"`
		Short      sarifMessage   `json:"shortDescription"`
		Full       sarifMessage   `json:"fullDescription"`
		Help       sarifMessage   `json:"help"`
		HelpURI    string         `json:"helpUri,omitempty"`
		Default    sarifDefault   `json:"defaultConfiguration"`
		Properties map[string]any `json:"properties"`
	}
	sarifDefault struct { // 3.50
		Level string `json:"level"`
	}
	sarifMessage struct { // 3.11, and 3.12 in rules
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifResult struct { // 3.27
		standing     standing
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifMessage       `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct { // 3.28
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct { // 3.29
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct { // 3.4
		URI  string `json:"uri"`
		Base string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct { // 3.30
		Line int `json:"startLine"`
	}
	sarifLogical struct { // 3.33
		Name string `json:"name"`
		Full string `json:"fullyQualifiedName,omitempty"`
		Kind string `json:"kind"`
	}
	sarifSuppression struct { // 3.35
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// fingerprint names a result by what it is about, so that it is the same one in
// the next run: 16 hexadecimal digits.
func fingerprint(parts []string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// repository is an artifact's name without its tag and digest: what stays the
// same from build to build.
func repository(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name
}
