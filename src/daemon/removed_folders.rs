//! Folders that left the configuration: jobs that are past their upload finish with their last settings.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use crate::{
    config::{self, Environment, Folder, Settings},
    store::Store,
};

/// Remembers the configuration that is in force now, and returns the settings of folders that are not in it any more
/// but have work under way.
pub(super) async fn watch_former_folders(
    queue: &Store,
    settings: &Settings,
) -> anyhow::Result<BTreeMap<String, Arc<Folder>>> {
    let before = queue.maintenance().recall("config").await?;
    let here: Vec<String> = settings.folders.iter().map(|folder| folder.id.clone()).collect();
    if let Some(before) = before {
        let left = former_folders(&before, &settings.file)
            .into_keys()
            .filter(|id| !here.contains(id))
            .collect();
        queue.folders().keep_former(left, here, before).await?;
    }
    let file = settings.file.clone();
    let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await?;
    if let Ok(text) = text {
        queue.maintenance().remember("config", text).await?;
    }
    let former = queue.folders().list_former().await?;
    let found = former.into_iter().filter_map(|(id, config)| {
        let folder = former_folders(&config, &settings.file).remove(&id)?;
        Some((id, Arc::new(folder)))
    });
    Ok(found.collect())
}

/// Returns the folders of a configuration that was in force once.
fn former_folders(text: &str, file: &Path) -> BTreeMap<String, Folder> {
    let parsed = config::parse(text, file, Environment::get());
    let folders = parsed.map(|settings| settings.folders).unwrap_or_default();
    folders.into_iter().map(|folder| (folder.id.clone(), folder)).collect()
}
