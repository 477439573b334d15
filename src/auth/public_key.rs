use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::VerifyingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPublicKey};

/// A public key that verifies signatures, and its algorithm.
#[derive(Clone, Debug)]
pub struct PublicKey {
    pub(super) key: DecodingKey,
    pub(super) algorithm: Algorithm,
}

/// The minimum size of an RSA key, in bytes (RFC 7518, 3.3).
const MIN_RSA: usize = 256;

impl PublicKey {
    /// What [`Self::read`] accepts, for error messages.
    pub const TAKES: &str = "a PEM file whose first block is a public key: RSA of 2048 to 4096 bits, P-256 or Ed25519";

    /// Reads a PEM file (RFC 7468). `None` if it contains no usable key, so that the service fails at start and not at
    /// every request.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        let pem = std::fs::read_to_string(path).ok()?;
        // jsonwebtoken would accept a private key too, and then reject every signature.
        let label = pem.lines().find(|line| line.starts_with("-----BEGIN "))?.trim_end();
        if !matches!(label, "-----BEGIN PUBLIC KEY-----" | "-----BEGIN RSA PUBLIC KEY-----") {
            return None;
        }
        rsa(&pem).or_else(|| p256(&pem)).or_else(|| ed25519(&pem))
    }

    /// Reads a JWK (RFC 7517). `None` if the key is unusable or not meant for signatures.
    pub(super) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) if is_sound_rsa(&number(&rsa.n)?, &number(&rsa.e)?) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::OctetKeyPair(ed)
                if ed.curve == EllipticCurve::Ed25519 && is_sound_ed25519(&bytes(&ed.x)?) =>
            {
                Algorithm::EdDSA
            }
            _ => return None,
        };
        let common = &jwk.common;
        let is_meant = common.key_algorithm.is_none_or(|meant| meant.to_string() == format!("{algorithm:?}"))
            && matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
            && common.key_operations.as_ref().is_none_or(|meant| meant.contains(&KeyOperations::Verify));
        let key = DecodingKey::from_jwk(jwk).ok()?;
        (is_meant && can_verify(&key, algorithm)).then_some(Self { key, algorithm })
    }
}

fn number(base64: &str) -> Option<BigUint> {
    bytes(base64).map(|bytes| BigUint::from_bytes_be(&bytes))
}

fn bytes(base64: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(base64).ok()
}

/// Verification returns an error for an unusable key, but `Ok(false)` for a wrong signature.
fn can_verify(key: &DecodingKey, algorithm: Algorithm) -> bool {
    jsonwebtoken::crypto::verify("", b"", key, algorithm).is_ok()
}

fn rsa(pem: &str) -> Option<PublicKey> {
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
    let parsed = RsaPublicKey::from_pkcs1_der(key.try_get_as_bytes().ok()?).ok()?;
    is_sound_rsa(parsed.n(), parsed.e()).then_some(PublicKey { key, algorithm: Algorithm::RS256 })
}

/// Rejects keys that are too small, and an exponent of 1, with which every text is its own signature. The library
/// rejects keys that are too large, because verifying would take too long.
fn is_sound_rsa(modulus: &BigUint, exponent: &BigUint) -> bool {
    RsaPublicKey::new(modulus.clone(), exponent.clone()).is_ok_and(|key| key.size() >= MIN_RSA)
}

fn p256(pem: &str) -> Option<PublicKey> {
    let key = DecodingKey::from_ec_pem(pem.as_bytes()).ok()?;
    // The key may be on another curve.
    can_verify(&key, Algorithm::ES256).then_some(PublicKey { key, algorithm: Algorithm::ES256 })
}

fn ed25519(pem: &str) -> Option<PublicKey> {
    let key = DecodingKey::from_ed_pem(pem.as_bytes()).ok()?;
    is_sound_ed25519(key.try_get_as_bytes().ok()?).then_some(PublicKey { key, algorithm: Algorithm::EdDSA })
}

/// Rejects points of small order, for which anybody can forge signatures. RFC 8032, 8.9, leaves this check to the
/// application.
fn is_sound_ed25519(point: &[u8]) -> bool {
    VerifyingKey::try_from(point).is_ok_and(|key| !key.is_weak())
}
