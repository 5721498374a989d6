//! What a person can do about a server whose certificate is refused. Pure.

/// What rustls says of a certificate, and the cure; the first that fits is told. `{setting}` is the key that names the
/// server. A certificate that is its own CA comes first: its cause is named among those of an unknown issuer.
const CURES: [(&str, &str); 5] = [
    (
        "CaUsedAsEndEntity",
        "the certificate is its own CA, as `openssl req -x509` makes it: make a CA and a certificate signed by it, or make \
         it again with `-addext basicConstraints=critical,CA:FALSE`",
    ),
    ("not valid for name", "check {setting}: the server has a certificate for another name"),
    ("certificate expired", "check the clock of this machine, then ask whoever runs the server"),
    (
        "certificate not valid yet",
        "check the clock of this machine, then ask whoever runs the server",
    ),
    (
        "invalid peer certificate",
        "if the server is your own, install its CA certificate on this machine, or name it in SSL_CERT_FILE",
    ),
];

/// Returns the cure for a refused certificate; `None` where `cause` tells of none. `setting` names the key that holds the
/// server's name.
#[must_use]
pub(crate) fn cure(cause: &str, setting: &str) -> Option<String> {
    CURES
        .iter()
        .find(|(said, _)| cause.contains(said))
        .map(|(_, cure)| cure.replace("{setting}", setting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_a_certificate_has_its_own_cure() {
        let told = [
            "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
            "invalid peer certificate: certificate not valid for name \"mail.example.com\"",
            "invalid peer certificate: certificate expired: verification time 1 (UNIX)",
            "invalid peer certificate: certificate not valid yet",
            "invalid peer certificate: UnknownIssuer",
            "connection refused",
        ];
        let told = told.map(|cause| cure(cause, "base_url").unwrap_or_default());
        insta::assert_snapshot!(told.join("\n"), @r"
        the certificate is its own CA, as `openssl req -x509` makes it: make a CA and a certificate signed by it, or make it again with `-addext basicConstraints=critical,CA:FALSE`
        check base_url: the server has a certificate for another name
        check the clock of this machine, then ask whoever runs the server
        check the clock of this machine, then ask whoever runs the server
        if the server is your own, install its CA certificate on this machine, or name it in SSL_CERT_FILE

        ");
    }
}
