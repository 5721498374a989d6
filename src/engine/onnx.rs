//! ONNX Runtime: the library is loaded when the first model is, so that minuted is built and runs
//! without it.

use std::{fs::File, io::Read as _, path::Path, sync::OnceLock};

use ort::{
    environment::Environment,
    ep,
    session::{Session, builder::GraphOptimizationLevel},
};

use super::moonshine::ModelError;

/// Bytes of a file of a model: the largest has 31 MB.
const FILE_MAX: u64 = 512 * 1024 * 1024;

/// The runtime of this process: a second one is refused.
static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();

/// Returns the runtime, which is loaded from `library` once a process.
pub(super) fn load_runtime(library: &Path) -> Result<&'static Environment, ModelError> {
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let loaded = ort::init_from(library).map_err(|error| unusable_model(library, &error))?;
    let built = loaded.with_telemetry(false).build();
    let environment = built.map_err(|error| unusable_model(library, error.message()))?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// Loads a model, and adds its bytes to a hash. They are hashed as a stream, and loaded by the
/// runtime itself: a copy here would be the peak of all memory.
pub(super) fn load_session(
    environment: &Environment,
    path: &Path,
    threads: usize,
    hasher: &mut blake3::Hasher,
) -> Result<Session, ModelError> {
    let file = File::open(path).map_err(|error| unusable_model(path, &error))?;
    hasher.update_reader(file.take(FILE_MAX)).map_err(|error| unusable_model(path, &error))?;
    create_session(environment, path, threads).map_err(|error| unusable_model(path, &error))
}

/// Creates a session: no spinning, which would fight the rest of a small machine, and no arena,
/// which would keep the memory of the longest piece for ever.
fn create_session(
    environment: &Environment,
    path: &Path,
    threads: usize,
) -> Result<Session, String> {
    let builder = Session::builder(environment).map_err(|error| error.message().to_owned())?;
    let message = |error: ort::Error<_>| error.message().to_owned();
    let builder = builder.with_intra_threads(threads.max(1)).map_err(message)?;
    let builder = builder.with_inter_threads(1).map_err(message)?;
    let builder = builder.with_intra_op_spinning(false).map_err(message)?;
    let builder = builder.with_memory_pattern(false).map_err(message)?;
    let builder =
        builder.with_optimization_level(GraphOptimizationLevel::Level3).map_err(message)?;
    let plain = ep::CPU::default().with_arena_allocator(false).build();
    let mut builder = builder.with_execution_providers([plain]).map_err(message)?;
    builder.commit_from_file(path).map_err(|error| error.message().to_owned())
}

/// Returns the error of a file that is no model.
pub(super) fn unusable_model(path: &Path, reason: &(impl ToString + ?Sized)) -> ModelError {
    ModelError::Unusable { path: crate::text::printable_path(path), reason: reason.to_string() }
}
