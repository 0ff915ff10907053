//! From the arguments of the command to members.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Budget, Input, Member, NESTING, Place, Window, bomb, zip};
use crate::error::{Error, Trouble};

/// Folders are read this deep: enough for every export, and an end for loops.
const DEPTH: u32 = 12;

/// The members of all inputs. `temporary` is an existing folder for nameless files.
///
/// # Errors
/// An input is missing, empty of files, or a zip that is refused.
pub(crate) fn gather(inputs: &[Input], temporary: &Path) -> Result<Vec<Member>, Error> {
    let mut members = Vec::new();
    for input in inputs {
        match input {
            Input::Stdin => stdin(temporary, &mut members)?,
            Input::Path(path) => argument(path, temporary, &mut members)?,
        }
    }
    Ok(members)
}

fn argument(path: &Path, temporary: &Path, members: &mut Vec<Member>) -> Result<(), Error> {
    let shown = path.display().to_string();
    let unreadable = |error: io::Error| {
        let trouble = match error.kind() {
            io::ErrorKind::NotFound => Trouble::new("there is no such file or folder"),
            io::ErrorKind::PermissionDenied => Trouble::new("it may not be read"),
            _ => Trouble::new(format!("it cannot be read: {error}")),
        };
        Error::Input(
            trouble.at(shown.clone()).hint("give the zip, folder or JSON file that the provider sent you"),
        )
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        let before = members.len();
        folder(path, path, temporary, DEPTH, members).map_err(|error| error.at(&shown))?;
        if members.len() == before {
            return Err(Error::Input(Trouble::new("the folder holds no files").at(shown)));
        }
        return Ok(());
    }
    if !metadata.is_file() {
        return Err(Error::Input(Trouble::new("it is neither a file nor a folder").at(shown)));
    }
    let window = Window::whole(File::open(path).map_err(unreadable)?)?;
    let base = path.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
    file(window, base, temporary, members)
}

fn folder(
    root: &Path,
    path: &Path,
    temporary: &Path,
    depth: u32,
    members: &mut Vec<Member>,
) -> Result<(), Error> {
    if depth == 0 {
        return Err(Error::Input(
            Trouble::new("the folders are nested too deeply").at(path.display().to_string()),
        ));
    }
    let mut entries: Vec<PathBuf> =
        fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        // Links could lead anywhere, and no export has any.
        let metadata = fs::symlink_metadata(&entry)?;
        if metadata.is_dir() {
            folder(root, &entry, temporary, depth - 1, members)?;
        } else if metadata.is_file() {
            let name = entry.strip_prefix(root).unwrap_or(&entry).to_string_lossy().into_owned();
            file(Window::whole(File::open(&entry)?)?, name, temporary, members)?;
        }
    }
    Ok(())
}

fn file(window: Window, name: String, temporary: &Path, members: &mut Vec<Member>) -> Result<(), Error> {
    if is_zip(&window)? {
        let budget = Arc::new(Budget::new(window.length()));
        return unzip(&window, &name, &budget, temporary, NESTING, members);
    }
    members.push(Member { name, size: window.length(), place: Place::File(window) });
    Ok(())
}

fn is_zip(window: &Window) -> io::Result<bool> {
    let start = window.bytes(0, 4)?;
    Ok(start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06"))
}

fn unzip(
    window: &Window,
    name: &str,
    budget: &Arc<Budget>,
    temporary: &Path,
    depth: u32,
    members: &mut Vec<Member>,
) -> Result<(), Error> {
    let entries = zip::entries(window, name)?;
    if entries.is_empty() {
        return Err(Error::Input(Trouble::new("the zip holds no files").at(name)));
    }
    for entry in entries {
        let shown = format!("{name}:{}", entry.name);
        let (window, budget) = (window.clone(), Arc::clone(budget));
        if !entry.name.to_lowercase().ends_with(".zip") {
            members.push(Member {
                name: shown,
                size: entry.size,
                place: Place::Zipped { window, entry, budget },
            });
            continue;
        }
        if depth == 0 {
            let trouble = Trouble::new("there are zips inside zips inside zips").at(shown);
            return Err(Error::Input(trouble.hint("unpack the outer ones and import the folder")));
        }
        let inner = match zip::stored(&window, &entry, name)? {
            Some(inner) => inner,
            None => spill(zip::open(&window, &entry, &budget, &shown)?, temporary)?,
        };
        if is_zip(&inner)? {
            unzip(&inner, &shown, &budget, temporary, depth - 1, members)?;
        } else {
            members.push(Member { name: shown, size: inner.length(), place: Place::File(inner) });
        }
    }
    Ok(())
}

fn stdin(temporary: &Path, members: &mut Vec<Member>) -> Result<(), Error> {
    let window = spill(Box::new(io::stdin()), temporary)?;
    if window.length() == 0 {
        let trouble = Trouble::new("nothing came in on standard input").at("-");
        return Err(Error::Input(
            trouble.hint("for example: cat conversations.json | agentos memory import -"),
        ));
    }
    file(window, "-".into(), temporary, members)
}

/// Copies to a file that has no name, so that nothing is left over whatever happens.
fn spill(mut from: Box<dyn Read + Send>, temporary: &Path) -> Result<Window, Error> {
    let path = temporary.join(format!("spill-{}", std::process::id()));
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        file.write_all(buffer.get(..count).unwrap_or_default())?;
    }
    Ok(Window::whole(file)?)
}

/// Declared sizes of all members of one budget, checked before anything is read.
pub(crate) fn check_total(members: &[Member]) -> Result<(), Error> {
    let mut totals: Vec<(*const Budget, u64, u64, &str)> = Vec::new();
    for member in members {
        let Place::Zipped { budget, .. } = &member.place else { continue };
        let id = Arc::as_ptr(budget);
        match totals.iter_mut().find(|(known, ..)| *known == id) {
            Some((_, total, ..)) => *total = total.saturating_add(member.size),
            None => totals.push((id, member.size, budget.limit, &member.name)),
        }
    }
    match totals.iter().find(|(_, total, limit, _)| total > limit) {
        Some((.., name)) => Err(bomb(name.split(':').next().unwrap_or(name))),
        None => Ok(()),
    }
}
