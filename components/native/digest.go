package native

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"opendatahub.io/operator/components"
)

// JSON of strings, numbers and lists of them, which cannot fail.
func JSON(value any) string {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(content) + "\n"
}

// Digest is short: it tells contents apart, it does not protect them.
func Digest(texts ...string) string {
	hash := sha256.Sum256([]byte(JSON(texts)))
	return hex.EncodeToString(hash[:8])
}

// SecretsDigest changes when one of these Secrets changes. It is empty before they exist.
func SecretsDigest(facts components.Facts, secrets ...string) string {
	var digests []string
	for _, secret := range secrets {
		if digest := facts.Secrets[secret].Digest; digest != "" {
			digests = append(digests, secret, digest)
		}
	}
	if len(digests) == 0 {
		return ""
	}
	return Digest(digests...)
}
