//! The signature of Standard Webhooks 1.0: an HMAC-SHA-256 of id, time and body.

use aws_lc_rs::hmac;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_PAD_INDIFFERENT},
};
use secrecy::{ExposeSecret as _, SecretString};

/// The prefix of a secret.
const SECRET_PREFIX: &str = "whsec_";

/// Bytes of a secret (Standard Webhooks 1.0, "Signature scheme").
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs. It shows nothing of itself.
pub(super) struct SigningKey(hmac::Key);

impl SigningKey {
    /// Reads a secret; `None` unless it is `whsec_` and the base64 of 24 to 64 bytes.
    pub(super) fn parse(secret: &SecretString) -> Option<Self> {
        let text = secret.expose_secret().trim().strip_prefix(SECRET_PREFIX)?;
        let bytes = STANDARD_PAD_INDIFFERENT.decode(text).ok()?;
        let is_fit = SECRET_BYTES.contains(&bytes.len());
        is_fit.then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign().as_ref()))
    }
}

/// Returns the value of `webhook-signature`: one signature a key, with spaces between them.
#[must_use]
pub(super) fn sign_with_all(keys: &[SigningKey], id: &str, seconds: i64, body: &[u8]) -> String {
    keys.iter().map(|key| key.sign(id, seconds, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> Option<SigningKey> {
        SigningKey::parse(&secret.to_owned().into())
    }

    #[test]
    fn the_example_of_the_specification_is_signed_as_it_says() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signed = |keys: &[SigningKey]| {
            let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
            sign_with_all(keys, id, 1_614_265_330, br#"{"test": 2432232314}"#)
        };
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed(std::slice::from_ref(&key)), expected);
        let old = self::key("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX").expect("a secret");
        let both = signed(&[key, old]);
        assert!(both.starts_with(&format!("{expected} v1,")), "{both}");
        assert_eq!(both.split(' ').count(), 2);
    }

    #[test]
    fn a_secret_is_24_to_64_bytes_with_its_prefix() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        assert!([24, 32, 64].into_iter().all(|bytes| key(&of(bytes)).is_some()));
        assert!([0, 1, 23, 65, 1000].into_iter().all(|bytes| key(&of(bytes)).is_none()));
        let bare = STANDARD.encode([7; 32]);
        for secret in ["", "whsec_", "whsec_***", "secret", bare.as_str()] {
            assert!(key(secret).is_none(), "{secret}");
        }
    }
}
