//! Stand-in for the engine until it is there.
use std::{fs::File, path::PathBuf, sync::Arc};

use crate::{job::Segment, progress::Progress};

/// x
#[derive(Debug)]
pub struct Request {
    /// x
    pub model: PathBuf,
    /// x
    pub pieces: PathBuf,
    /// x
    pub threads: std::num::NonZeroU32,
    /// x
    pub content: String,
}
/// x
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Transcript {
    /// x
    pub segments: Vec<Segment>,
    /// x
    pub duration: std::time::Duration,
    /// x
    pub remarks: Vec<String>,
}
/// x
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// x
    #[error("{0}")]
    Unfit(String),
    /// x
    #[error("{0}")]
    Failed(String),
    /// x
    #[error("{0}")]
    Lacking(String),
    /// x
    #[error("{0}")]
    Broken(String),
}
/// x
pub async fn run(_request: Request, _recording: File, _progress: Arc<Progress>) -> Result<Transcript, EngineError> {
    Err(EngineError::Broken("no engine".into()))
}
