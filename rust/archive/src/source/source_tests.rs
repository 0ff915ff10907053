use super::*;
use std::fs;
use std::io::Write;

/// A zip with stored members, written by hand so that every field can lie.
struct Zip {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

#[derive(Clone, Copy)]
struct Lies {
    flags: u16,
    attributes: u32,
    size: Option<u32>,
    crc: Option<u32>,
}

const HONEST: Lies = Lies { flags: 0, attributes: 0, size: None, crc: None };

impl Zip {
    fn new() -> Self {
        Self { bytes: Vec::new(), directory: Vec::new(), count: 0 }
    }

    fn add(mut self, name: &str, data: &[u8], lies: Lies) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        let crc = lies.crc.unwrap_or(crc.sum());
        let (length, size) = (u32::try_from(data.len()).unwrap(), lies.size);
        let size = size.unwrap_or(length);
        let offset = u32::try_from(self.bytes.len()).unwrap();
        let mut fields = Vec::new();
        for part in [lies.flags, 0, 0, 0] {
            fields.extend(part.to_le_bytes());
        }
        for part in [crc, length, size] {
            fields.extend(part.to_le_bytes());
        }
        fields.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        fields.extend(0_u16.to_le_bytes());
        self.bytes.extend(b"PK\x03\x04\x14\0");
        self.bytes.extend(&fields);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(data);
        self.directory.extend(b"PK\x01\x02\x14\x03\x14\0");
        self.directory.extend(&fields);
        self.directory.extend([0; 6]);
        self.directory.extend(lies.attributes.to_le_bytes());
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.count += 1;
        self
    }

    fn end(mut self) -> Vec<u8> {
        let offset = u32::try_from(self.bytes.len()).unwrap();
        self.bytes.extend(&self.directory);
        self.bytes.extend(b"PK\x05\x06\0\0\0\0");
        self.bytes.extend(self.count.to_le_bytes());
        self.bytes.extend(self.count.to_le_bytes());
        self.bytes.extend(u32::try_from(self.directory.len()).unwrap().to_le_bytes());
        self.bytes.extend(offset.to_le_bytes());
        self.bytes.extend([0, 0]);
        self.bytes
    }
}

fn read(name: &str, bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let folder = std::env::temp_dir().join(format!("source-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("export.zip");
    fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    let found = (|| {
        let members = gather(&[Input::Path(path.clone())], &folder).map_err(|error| error.to_string())?;
        check_total(&members).map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        for member in members {
            let mut data = Vec::new();
            let mut reader = member.open().map_err(|error| error.to_string())?;
            reader.read_to_end(&mut data).map_err(|error| error.to_string())?;
            found.push((member.name, data));
        }
        Ok(found)
    })();
    fs::remove_dir_all(&folder).unwrap();
    found
}

#[test]
fn members_are_read_and_zips_inside_opened() {
    let inner = Zip::new().add("b.json", b"[2]", HONEST).end();
    let outer = Zip::new().add("a.json", b"[1]", HONEST).add("part1.zip", &inner, HONEST).end();
    let expected = [("export.zip:a.json", b"[1]"), ("export.zip:part1.zip:b.json", b"[2]")];
    let found = read("nested", &outer).unwrap();
    let found: Vec<(&str, &[u8])> =
        found.iter().map(|(name, data)| (name.as_str(), data.as_slice())).collect();
    assert_eq!(found, expected.map(|(name, data)| (name, data.as_slice())));
}

#[test]
fn every_lie_is_refused() {
    let one = |name: &str, lies| Zip::new().add(name, b"data", lies).end();
    for (case, bytes, reason) in [
        ("up", one("../../etc/passwd", HONEST), "leaves its folder"),
        ("root", one("/etc/passwd", HONEST), "leaves its folder"),
        ("drive", one("C:\\x", HONEST), "leaves its folder"),
        ("link", one("a", Lies { attributes: 0o120_777 << 16, ..HONEST }), "symbolic link"),
        ("locked", one("a", Lies { flags: 1, ..HONEST }), "encrypted"),
        ("longer", one("a", Lies { size: Some(9), ..HONEST }), "checksum"),
        ("shorter", one("a", Lies { size: Some(2), ..HONEST }), "longer than it says"),
        ("crc", one("a", Lies { crc: Some(7), ..HONEST }), "checksum"),
        ("huge", one("a", Lies { size: Some(u32::MAX - 1), ..HONEST }), "bomb"),
    ] {
        let error = read(case, &bytes).unwrap_err();
        assert!(error.contains(reason), "{case}: {error}");
    }
}

#[test]
fn overlapping_members_are_a_bomb() {
    let mut zip = Zip::new().add("a", &[b'x'; 100], HONEST);
    let again = zip.directory.clone();
    zip.directory.extend(again);
    zip.count += 1;
    assert!(read("overlap", &zip.end()).unwrap_err().contains("bomb"));
}

#[test]
fn no_cut_of_a_zip_is_read_as_whole() {
    let whole = Zip::new().add("a.json", b"[1,2,3]", HONEST).add("b.json", b"{}", HONEST).end();
    for end in 4..whole.len() {
        assert!(read("cut", &whole[..end]).is_err(), "{end} of {}", whole.len());
    }
}

#[test]
fn nesting_ends() {
    let mut bytes = Zip::new().add("a.json", b"[]", HONEST).end();
    for _ in 0..4 {
        bytes = Zip::new().add("inner.zip", &bytes, HONEST).end();
    }
    assert!(read("nesting", &bytes).unwrap_err().contains("zips inside zips"));
}
