use std::path::Path;

use jsonwebtoken::{Algorithm, DecodingKey};
use rsa::RsaPublicKey;
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::traits::PublicKeyParts as _;

/// A public key that can verify signatures, and the algorithm that is meant for its kind.
#[derive(Clone, Debug)]
pub struct PublicKey {
    pub(super) key: DecodingKey,
    pub(super) algorithm: Algorithm,
}

/// The fewest bytes that an RSA key may have (RFC 7518, 3.3).
const MIN_RSA: usize = 256;
const ED25519: usize = 32;

impl PublicKey {
    /// What [`Self::read`] takes, in words for the operator.
    pub const TAKES: &str = "a PEM file whose first block is a public key: RSA of 2048 to 4096 bits, P-256 or Ed25519";

    /// Reads a PEM file (RFC 7468). `None` when it holds no such key: found now, and not at every request.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        let pem = std::fs::read_to_string(path).ok()?;
        // The library would take a private key too, and then find every signature wrong.
        let label = pem.lines().find(|line| line.starts_with("-----BEGIN "))?.trim_end();
        if !matches!(label, "-----BEGIN PUBLIC KEY-----" | "-----BEGIN RSA PUBLIC KEY-----") {
            return None;
        }
        rsa(&pem).or_else(|| p256(&pem)).or_else(|| ed25519(&pem))
    }
}

fn rsa(pem: &str) -> Option<PublicKey> {
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
    // It refuses those that are too large by itself.
    let parsed = RsaPublicKey::from_pkcs1_der(key.try_get_as_bytes().ok()?).ok()?;
    (parsed.size() >= MIN_RSA).then_some(PublicKey { key, algorithm: Algorithm::RS256 })
}

fn p256(pem: &str) -> Option<PublicKey> {
    let key = DecodingKey::from_ec_pem(pem.as_bytes()).ok()?;
    // A key on another curve is an error, where a signature that is wrong is none.
    jsonwebtoken::crypto::verify("", b"", &key, Algorithm::ES256).ok()?;
    Some(PublicKey { key, algorithm: Algorithm::ES256 })
}

fn ed25519(pem: &str) -> Option<PublicKey> {
    let key = DecodingKey::from_ed_pem(pem.as_bytes()).ok()?;
    (key.try_get_as_bytes().ok()?.len() == ED25519).then_some(PublicKey { key, algorithm: Algorithm::EdDSA })
}
