//! Folders that no partition of this broker claims. What was being deleted when the process ended
//! is removed; what belongs to nobody is kept under another name. Were it left where it is, a new
//! topic of its name would write into it, and read its records as its own after the next start.

use crate::broker::directories::OfflineDirectory;
use crate::broker::open::FoundDirectory;
use crate::controller::Image;
use crate::log::{LogError, list_removed, remove_folder};
use crate::model::Uuid;
use crate::runtime::Core;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest name of a file.
const NAME_BYTES_MAX: usize = 255;

/// Puts strays aside; `ours` is the folder of the metadata log. Directories whose disk does not let
/// us are taken out of `dirs` and given back.
pub async fn put_aside(
    core: &Core,
    image: &Image,
    ours: &str,
    dirs: &mut Vec<FoundDirectory>,
) -> Result<Vec<OfflineDirectory>, String> {
    let mut failed = Vec::new();
    let mut places: BTreeMap<String, PathBuf> = BTreeMap::new();
    for mut dir in std::mem::take(dirs) {
        let path = dir.facts.path.clone();
        if let Err(error) = put_aside_in(core, image, ours, &mut dir).await {
            failed.push(OfflineDirectory { path, reason: error.to_string().into() });
            continue;
        }
        for folder in dir.folders.iter() {
            if let Some(other) = places.insert(folder.clone(), path.clone()) {
                return Err(format!(
                    "{folder} lies in {} and in {}\n  fix: move one of them away",
                    other.display(),
                    path.display()
                ));
            }
        }
        dirs.push(dir);
    }
    Ok(failed)
}

async fn put_aside_in(
    core: &Core,
    image: &Image,
    ours: &str,
    dir: &mut FoundDirectory,
) -> Result<(), LogError> {
    let path = dir.facts.path.clone();
    let mut kept = Vec::new();
    for folder in dir.folders.iter() {
        if folder == ours || is_claimed(image, folder) {
            kept.push(folder.clone());
        } else {
            rename(core, &path, folder).await?;
        }
    }
    dir.folders = Arc::new(kept);
    for folder in list_removed(core, &path).await? {
        let (core_, path) = (core.clone(), path.join(folder));
        core.spawn(async move {
            if let Err(error) = remove_folder(&core_, &path).await {
                tracing::warn!("{}: a deleted partition stays: {error}", path.display());
            }
        });
    }
    Ok(())
}

/// Whether there is a partition of this name. If the folder says that it belongs to another topic of
/// the name, opening it says so, and the operator decides.
fn is_claimed(image: &Image, folder: &str) -> bool {
    let Some((name, index)) = folder.rsplit_once('-') else { return false };
    let Some(topic) = image.topic(name) else { return false };
    index.parse::<usize>().is_ok_and(|index| index < topic.partitions.len())
}

async fn rename(core: &Core, dir: &Path, folder: &str) -> Result<(), LogError> {
    let to = stray_name(folder, super::startup::random_id(core));
    let (from, target) = (dir.join(folder), dir.join(&to));
    let fail =
        |what, path: &Path, error| LogError::Io { what, path: path.into(), error: Arc::new(error) };
    core.rename(&from, &target).await.map_err(|error| fail("put aside", &from, error))?;
    core.sync_dir(dir).await.map_err(|error| fail("fsync", dir, error))?;
    tracing::warn!(
        "{} belongs to no topic of this broker and is kept as {to}; remove it when nobody misses it",
        from.display()
    );
    Ok(())
}

/// Kafka's form: `<folder>.<32 digits>-stray`.
fn stray_name(folder: &str, unique: Uuid) -> String {
    let suffix = format!(".{:032x}-stray", u128::from_be_bytes(unique.0));
    let keep = folder.len().min(NAME_BYTES_MAX - suffix.len());
    format!("{}{suffix}", &folder[..keep])
}
