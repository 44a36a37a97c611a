package secrets

// match is a secret within a text: text[from:to].
type match struct {
	kind     string
	from, to int
	// value is the secret itself where that is not text[from:to]: a key without
	// its line breaks, so that the same key has the same fingerprint however it
	// is written down.
	value []byte
}

// form is a kind of secret that is recognised by its own looks.
type form struct {
	kind   string
	anchor string // is in every such secret, and says where to look
	// probe is the offset in anchor of the four bytes that the filter looks for:
	// those with the rarest pairs. "at" is in every hundredth place of a program
	// text, "k_" nowhere.
	probe int
	// find returns the secret whose anchor is text[from:to].
	find finder
}

type finder func(text []byte, from, to int) (match, bool)

// formTable lists the forms. Each has a fixed part that its issuer chose so that
// it can be found, and a length or checksum; tokens without one (Twilio, most
// older ones) are not here. Nor are JSON Web Tokens: most are short-lived or
// public, and a signing key is found by its own form.
func formTable() []form {
	const (
		github  = "github-token"
		gitlab  = "gitlab-token"
		slack   = "slack-token"
		stripe  = "stripe-key"
		azure   = "azure-storage-key"
		ocean   = "digitalocean-token"
		docker  = "docker-hub-token"
		shopify = "shopify-token"
		word    = alphanumeric
		url64   = alphanumeric + "-_"
		base64  = alphanumeric + "+/"
		base32  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
		hex     = "0123456789abcdef"
		bech32  = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
	)
	one := func(alphabet string, least, most int) finder { return run(alphabet, least, most, "") }
	return []form{
		// RFC 7468, RFC 4880 section 6.2, OpenSSH's PROTOCOL.key.
		{kind: "private-key", anchor: "PRIVATE KEY", probe: 2, find: privateKey},
		// The same once more in base64, as Kubernetes writes it.
		{kind: "private-key", anchor: "LS0tLS1CRUdJTi", probe: 0, find: encodedKey},
		{kind: "age-key", anchor: "AGE-SECRET-KEY-1", probe: 1, find: one(bech32, 58, 58)},
		{kind: "aws-access-key", anchor: "AKIA", find: awsKey(base32)},
		{kind: "aws-access-key", anchor: "ASIA", find: awsKey(base32)},
		// GitHub, "Behind GitHub's new authentication token formats" (2021): the
		// last six digits are a CRC-32 in base 62. npm's are made the same way.
		{kind: github, anchor: "ghp_", find: checked(36)},
		{kind: github, anchor: "gho_", find: checked(36)},
		{kind: github, anchor: "ghu_", find: checked(36)},
		{kind: github, anchor: "ghs_", find: checked(36)},
		{kind: github, anchor: "ghr_", find: checked(36, 76)},
		{kind: github, anchor: "github_pat_", probe: 3, find: one(word+"_", 82, 82)},
		{kind: "npm-token", anchor: "npm_", find: checked(36)},
		// GitLab, "Token overview"; a routable token has two dots more.
		{kind: gitlab, anchor: "glpat-", find: one(url64+".", 20, 320)},
		{kind: gitlab, anchor: "gldt-", find: one(url64+".", 20, 320)},
		{kind: gitlab, anchor: "glrt-", find: one(url64+".", 20, 320)},
		{kind: gitlab, anchor: "glptt-", find: one(url64+".", 40, 320)},
		{kind: gitlab, anchor: "glcbt-", find: one(url64+".", 20, 320)},
		{kind: "pypi-token", anchor: "pypi-AgEIcHlwaS5vcmc", probe: 5, find: one(url64, 50, 1000)},
		{kind: slack, anchor: "xoxb-", find: slackToken()},
		{kind: slack, anchor: "xoxp-", find: slackToken()},
		{kind: slack, anchor: "xoxa-", find: slackToken()},
		{kind: slack, anchor: "xoxr-", find: slackToken()},
		{kind: slack, anchor: "xapp-1-", probe: 3, find: one(url64, 60, 200)},
		{kind: "slack-webhook", anchor: "hooks.slack.com/services/T", probe: 9, find: one(word+"/", 40, 60)},
		{kind: stripe, anchor: "sk_live_", find: one(word, 24, 250)},
		{kind: stripe, anchor: "rk_live_", find: one(word, 24, 250)},
		{kind: "google-api-key", anchor: "AIza", find: one(url64, 35, 35)},
		{kind: "google-oauth-secret", anchor: "GOCSPX-", find: one(url64, 28, 28)},
		{kind: "sendgrid-key", anchor: "SG.", find: one(url64+".", 66, 66)},
		// Both parts of the key lie around this one, "OpenAI" in base64.
		{kind: "openai-key", anchor: "T3BlbkFJ", find: around("sk-", url64, 20)},
		{kind: "anthropic-key", anchor: "sk-ant-api03-", find: one(url64, 90, 110)},
		{kind: "huggingface-token", anchor: "hf_", find: one(word, 34, 34)},
		{kind: ocean, anchor: "dop_v1_", probe: 3, find: one(hex, 64, 64)},
		{kind: ocean, anchor: "doo_v1_", probe: 3, find: one(hex, 64, 64)},
		{kind: ocean, anchor: "dor_v1_", probe: 3, find: one(hex, 64, 64)},
		{kind: "vault-token", anchor: "hvs.", find: one(url64, 24, 300)},
		{kind: docker, anchor: "dckr_pat_", probe: 2, find: one(url64, 27, 27)},
		{kind: docker, anchor: "dckr_oat_", probe: 2, find: one(url64, 32, 32)},
		{kind: "rubygems-key", anchor: "rubygems_", probe: 1, find: one(hex, 48, 48)},
		{kind: "grafana-token", anchor: "glsa_", find: one(word+"_", 41, 41)},
		{kind: shopify, anchor: "shpat_", find: one(hex, 32, 32)},
		{kind: shopify, anchor: "shpss_", find: one(hex, 32, 32)},
		{kind: "atlassian-token", anchor: "ATATT3xFfGF0", probe: 2, find: one(url64+"=", 150, 250)},
		{kind: "postman-key", anchor: "PMAK-", find: one(hex+"-", 59, 59)},
		{kind: "terraform-token", anchor: ".atlasv1.", probe: 1, find: around("", url64, 14)},
		// Azure, "Configure Azure Storage connection strings"; Cosmos DB writes
		// its keys alike. Service Bus and Event Hubs have shorter ones.
		{kind: azure, anchor: "AccountKey=", probe: 6, find: run(base64, 86, 86, "==")},
		{kind: "azure-shared-key", anchor: "SharedAccessKey=", probe: 11, find: run(base64, 43, 43, "=")},
	}
}
