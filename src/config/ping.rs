//! `[ping]`: the dead man's switch.

use std::path::PathBuf;

use super::{reader::Table, table_keys::table_keys};

table_keys! {
    /// A monitor that raises the alarm when nothing is heard of minuted.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Ping from PingKeys {
        /// The file with the address, which is a secret.
        url_file: PathBuf = read_file(),
            required "write url_file = \"…\": the file with the address that the monitor shows";
        /// Whether the address may be http to another machine.
        insecure: bool = read_flag(), default false;
    }
}

/// Reads `[ping]`; `None` where there is none or it has mistakes.
pub(super) fn read_ping(root: &Table<'_>) -> Option<Ping> {
    root.read_keys::<PingKeys>("ping")?.into_inner().into_settings()
}
