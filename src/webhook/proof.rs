//! The proof that a call comes from the vendor.
//!
//! Version 1 sends the account's own key. Version 2 signs as Svix does
//! (<https://docs.svix.com/receiving/verifying-payloads/how-manual>): an HMAC-SHA-256 of id, time and body.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD_PAD_INDIFFERENT};
use hyper::HeaderMap;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

/// The header with the key of the account.
const KEY_HEADER: &str = "x-meeting-baas-api-key";

/// The prefix of a secret of Svix.
const SECRET_PREFIX: &str = "whsec_";

/// The prefix of a signature of version 1, the only one.
const SIGNATURE_PREFIX: &str = "v1,";

/// The largest age of a signed call, and the largest lead of its clock: Svix's tolerance, in seconds.
const TOLERANCE_S: i64 = 300;

/// Signatures that are looked at: one a secret, and a vendor changes its secret one at a time.
const SIGNATURES_MAX: usize = 8;

/// The reason why a call is not authentic; shown to the operator alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unproven {
    /// A header is absent, or there twice.
    #[error("it has no `{0}`, or more than one")]
    Missing(&'static str),
    /// The key differs.
    #[error("its key is not that of the source; does the vendor's account match `api_key_file`?")]
    AnotherKey,
    /// No signature was made with the secret.
    #[error("its signature is wrong; is `webhook_secret_file` the secret of this very webhook?")]
    AnotherSecret,
    /// The time is too far from now.
    #[error(
        "its time is {0} s off; a call that is sent again late, or a clock of this machine that is wrong"
    )]
    OutOfTime(i64),
    /// The key or secret to compare with cannot be read.
    #[error("{0}")]
    NoSecret(String),
}

/// Checks the key in a call.
pub(super) fn verify_key(headers: &HeaderMap, expected: &SecretString) -> Result<(), Unproven> {
    let sent = single_header(headers, KEY_HEADER)?;
    let expected = expected.expose_secret();
    if expected.is_empty() {
        return Err(Unproven::NoSecret(
            "the key of the source is empty; check `api_key_file`".to_owned(),
        ));
    }
    // Of their hashes, so that the time tells nothing of the length either.
    let hash = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    verify_slices_are_equal(hash(sent).as_ref(), hash(expected).as_ref())
        .map_err(|_| Unproven::AnotherKey)
}

/// The headers of a signed call.
#[derive(Debug)]
pub(super) struct SignedCall {
    id: String,
    time: String,
    signatures: String,
}

impl SignedCall {
    /// Reads them, and checks what can be checked before there is a body.
    pub(super) fn from_headers(headers: &HeaderMap, now: Timestamp) -> Result<Self, Unproven> {
        let branded = |name: &'static str, plain: &'static str| {
            single_header(headers, name).or_else(|_| single_header(headers, plain))
        };
        let id = branded("webhook-id", "svix-id")?.to_owned();
        let time = branded("webhook-timestamp", "svix-timestamp")?.to_owned();
        let signatures = branded("webhook-signature", "svix-signature")?.to_owned();
        let seconds: i64 = time.parse().map_err(|_| Unproven::Missing("svix-timestamp"))?;
        let off = now.as_second().saturating_sub(seconds);
        if off.unsigned_abs() > TOLERANCE_S.unsigned_abs() {
            return Err(Unproven::OutOfTime(off));
        }
        Ok(Self { id, time, signatures })
    }

    /// Checks that one of the signatures is that of this body.
    pub(super) fn verify(&self, body: &[u8], secret: &SecretString) -> Result<(), Unproven> {
        let secret = secret.expose_secret().trim();
        let bytes = decode_base64(secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret))
            .filter(|bytes| !bytes.is_empty());
        let Some(bytes) = bytes else {
            let told =
                "the secret is not one of Svix (`whsec_` and base64); check `webhook_secret_file`";
            return Err(Unproven::NoSecret(told.to_owned()));
        };
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        for part in [self.id.as_bytes(), b".", self.time.as_bytes(), b".", body] {
            context.update(part);
        }
        let expected = context.sign();
        let given = self.signatures.split(' ').take(SIGNATURES_MAX);
        let mut given =
            given.filter_map(|signature| decode_base64(signature.strip_prefix(SIGNATURE_PREFIX)?));
        let is_one = given.any(|given| verify_slices_are_equal(&given, expected.as_ref()).is_ok());
        if is_one { Ok(()) } else { Err(Unproven::AnotherSecret) }
    }
}

/// The value of a header that is there once.
fn single_header<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, Unproven> {
    let mut values = headers.get_all(name).iter();
    match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
        (Some(value), None) => Ok(value),
        (_, _) => Err(Unproven::Missing(name)),
    }
}

/// Reads Base64 (RFC 4648), padded or not.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD_PAD_INDIFFERENT.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Svix's and Standard Webhooks' documents.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: &str = "1614265330";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (hyper::header::HeaderName::from_static(name), value.parse().expect("a value"))
            })
            .collect()
    }

    fn signed(time: &str, signatures: &str, now: i64) -> Result<SignedCall, Unproven> {
        let headers =
            headers(&[("svix-id", ID), ("svix-timestamp", time), ("svix-signature", signatures)]);
        SignedCall::from_headers(&headers, Timestamp::from_second(now).expect("in range"))
    }

    fn verified(signatures: &str, body: &[u8], secret: &str) -> Result<(), Unproven> {
        signed(TIME, signatures, 1_614_265_330)?.verify(body, &secret.to_owned().into())
    }

    #[test]
    fn the_example_of_the_documents_is_right_and_whatever_differs_from_it_is_not() {
        assert_eq!(verified(SIGNATURE, BODY, SECRET), Ok(()));
        assert_eq!(verified(SIGNATURE, BODY, SECRET.trim_start_matches("whsec_")), Ok(()));
        assert_eq!(verified(&format!("v1,AAAA v2,xx {SIGNATURE} v1,"), BODY, SECRET), Ok(()));
        let wrong = Err(Unproven::AnotherSecret);
        assert_eq!(verified(SIGNATURE, br#"{"test": 2432232315}"#, SECRET), wrong);
        assert_eq!(verified(SIGNATURE, BODY, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"), wrong);
        for signatures in [
            "",
            "v1",
            "v1,",
            "v1a,g0hM9SsE",
            "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            "v1,*",
        ] {
            assert_eq!(verified(signatures, BODY, SECRET), wrong, "{signatures}");
        }
        let many = format!("{}{SIGNATURE}", "v1,AAAA ".repeat(SIGNATURES_MAX));
        assert_eq!(verified(&many, BODY, SECRET), wrong);
        for secret in ["", "whsec_", "whsec_*", "not base64 at all"] {
            assert!(
                matches!(verified(SIGNATURE, BODY, secret), Err(Unproven::NoSecret(_))),
                "{secret}"
            );
        }
    }

    #[test]
    fn a_call_is_of_now_within_five_minutes() {
        let now = 1_614_265_330;
        for off in [0, 299, -299, 300, -300] {
            assert!(signed(TIME, SIGNATURE, now + off).is_ok(), "{off}");
        }
        for off in [301, -301, 1_000_000] {
            assert_eq!(
                signed(TIME, SIGNATURE, now + off).expect_err("too far"),
                Unproven::OutOfTime(off)
            );
        }
        for time in ["", "now", "1614265330.0", "99999999999999999999", "-9223372036854775808"] {
            assert!(signed(time, SIGNATURE, now).is_err(), "{time}");
        }
    }

    #[test]
    fn headers_are_there_once_in_one_of_two_spellings() {
        let of = |pairs: &[(&'static str, &str)]| {
            SignedCall::from_headers(
                &headers(pairs),
                Timestamp::from_second(1_614_265_330).expect("in range"),
            )
        };
        assert!(
            of(&[
                ("webhook-id", ID),
                ("webhook-timestamp", TIME),
                ("webhook-signature", SIGNATURE)
            ])
            .is_ok()
        );
        assert_eq!(
            of(&[("svix-id", ID), ("svix-timestamp", TIME)]).expect_err("unsigned"),
            Unproven::Missing("svix-signature")
        );
        let mut twice =
            headers(&[("svix-id", ID), ("svix-timestamp", TIME), ("svix-signature", SIGNATURE)]);
        twice.append("svix-signature", SIGNATURE.parse().expect("a value"));
        assert!(
            SignedCall::from_headers(
                &twice,
                Timestamp::from_second(1_614_265_330).expect("in range")
            )
            .is_err()
        );
    }

    #[test]
    fn a_key_is_compared_whole() {
        let expected: SecretString = "mb-key".to_owned().into();
        let of = |value: &str| verify_key(&headers(&[(KEY_HEADER, value)]), &expected);
        assert_eq!(of("mb-key"), Ok(()));
        for wrong in ["", "mb-ke", "mb-keyy", "MB-KEY_HEADER"] {
            assert_eq!(of(wrong), Err(Unproven::AnotherKey), "{wrong}");
        }
        assert_eq!(verify_key(&HeaderMap::new(), &expected), Err(Unproven::Missing(KEY_HEADER)));
        assert!(matches!(
            verify_key(&headers(&[(KEY_HEADER, "")]), &String::new().into()),
            Err(Unproven::NoSecret(_))
        ));
    }
}
