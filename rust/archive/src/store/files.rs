//! Files of an export kept by content: `files/ab/abcd…`.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::id;

fn place(folder: &Path, digest: &[u8]) -> PathBuf {
    let name = id::hex(digest);
    folder.join("files").join(name.get(..2).unwrap_or("")).join(name)
}

/// Copies a file into the store unless it is there; returns its digest and size.
pub(crate) fn keep(folder: &Path, mut from: Box<dyn Read + Send>) -> Result<([u8; 32], u64), Error> {
    let temporary = folder.join("tmp").join("incoming");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut size = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let part = buffer.get(..count).unwrap_or_default();
        hasher.update(part);
        file.write_all(part)?;
        size += count as u64;
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let place = place(folder, &digest);
    if place.exists() {
        fs::remove_file(&temporary)?;
        return Ok((digest, size));
    }
    // Before its name exists: a name with other bytes behind it after a power cut would be taken for the file.
    file.sync_data()?;
    if let Some(parent) = place.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        fs::rename(&temporary, &place)?;
        File::open(parent)?.sync_data()?;
    }
    Ok((digest, size))
}

/// Removes files that no import carries any more.
pub(crate) fn sweep(db: &Connection, folder: &Path) -> Result<(), Error> {
    let root = folder.join("files");
    if !root.exists() {
        return Ok(());
    }
    let mut query = db.prepare("SELECT DISTINCT digest FROM carried")?;
    let known = query.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    let known: HashSet<String> = known.map(|digest| digest.map(|d| id::hex(&d))).collect::<Result<_, _>>()?;
    for shelf in fs::read_dir(&root)? {
        let shelf = shelf?.path();
        for file in fs::read_dir(&shelf)? {
            let file = file?;
            if !known.contains(file.file_name().to_string_lossy().as_ref()) {
                fs::remove_file(file.path())?;
            }
        }
        // Fails while something is left in it, which is what we want.
        let _still_used = fs::remove_dir(&shelf);
    }
    let _still_used = fs::remove_dir(&root);
    Ok(())
}
