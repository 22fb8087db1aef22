package local

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
)

// bindings returns what a connection can be bound to SASL by, by the names of the IANA registry that XEP-0440 announces.
// endPoint is the hash of the certificate shown, nil when there is none.
func bindings(state tls.ConnectionState, endPoint []byte) map[string][]byte {
	b := make(map[string][]byte, 3)
	// RFC 9266. In TLS 1.2 this needs the extended master secret; without it the call fails, and so the type is not offered.
	if key, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err == nil {
		b["tls-exporter"] = key
	}
	if state.Version <= tls.VersionTLS12 && len(state.TLSUnique) > 0 {
		b["tls-unique"] = state.TLSUnique
	}
	if len(endPoint) > 0 {
		b["tls-server-end-point"] = endPoint
	}
	return b
}

// serverEndPoint is the tls-server-end-point value of a certificate: its hash by the function of its signature, SHA-256 at
// least (RFC 5929 §4.1). Signatures without one hash function (Ed25519) have none.
func serverEndPoint(leaf *x509.Certificate) []byte {
	h := crypto.SHA256
	switch leaf.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h = crypto.SHA512
	case x509.PureEd25519, x509.UnknownSignatureAlgorithm:
		return nil
	}
	sum := h.New()
	sum.Write(leaf.Raw)
	return sum.Sum(nil)
}
