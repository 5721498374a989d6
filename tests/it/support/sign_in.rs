//! Sign-ins that are planted instead of performed: the file of tokens as `minuted login` leaves it.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    time::Duration,
};

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{house::House, paxs::Standin};

impl House {
    /// Signs a service in at its stand-in.
    pub(crate) fn plant_sign_in(&self, service: &str, standin: &Standin) {
        let pair = standin.issue_pair();
        let tokens = [pair.access.expose_secret(), pair.refresh.expose_secret()];
        self.plant_tokens(
            service,
            &standin.base_url(),
            tokens,
            Duration::from_secs(pair.expires_in),
        );
    }

    /// Writes an access and a refresh token for an origin; the access token lives so long.
    pub(crate) fn plant_tokens(
        &self,
        service: &str,
        origin: &str,
        [access, refresh]: [&str; 2],
        lifetime: Duration,
    ) {
        let now = minuted::testing::clock::now();
        let record = json!({
            "origin": origin,
            "pair": {
                "access_token": access, "refresh_token": refresh,
                "since": now, "obtained": now, "expires": now + lifetime,
            },
        });
        let directory = self.state_dir();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).expect("made");
        let mut file = fs::OpenOptions::new();
        let file = file
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(directory.join(format!("tokens-{service}.json")));
        serde_json::to_writer(file.expect("opened"), &record).expect("written");
    }
}
