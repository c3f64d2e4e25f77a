use std::io::Cursor;

use zip::write::SimpleFileOptions;

use super::*;

fn gz(content: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o640);
        header.set_mtime(1_700_000_000);
        out.append_data(&mut header, name, *content).unwrap();
    }
    out.into_inner().unwrap()
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        out.start_file(*name, SimpleFileOptions::default()).unwrap();
        out.write_all(content).unwrap();
    }
    out.finish().unwrap().into_inner()
}

fn ungz(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    MultiGzDecoder::new(content).read_to_end(&mut out).unwrap();
    out
}

fn scrub(content: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let censor = Censor::new(["hunter22"]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut out = Vec::new();
    ArchiveCensorer::new(&censor, &TempSpace::new(dir.path(), 1 << 30))
        .censor_file(content)?
        .read_to_end(&mut out)?;
    Ok(out)
}

fn untar(content: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
    let mut archive = tar::Archive::new(content);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (
            entry.path().unwrap().display().to_string(),
            entry.header().mode().unwrap(),
            content,
        )
    });
    entries.collect()
}

#[test]
fn kinds_are_told_by_their_bytes() {
    for (content, expected) in [
        (b"plain text".to_vec(), FileFormat::Plain),
        (Vec::new(), FileFormat::Plain),
        (gz(b"x"), FileFormat::Gzip),
        (tar(&[("a", b"x")]), FileFormat::Tar),
        (zipped(&[("a", b"x")]), FileFormat::Zip),
        (
            [b"#!/bin/sh\n".to_vec(), zipped(&[("a", b"x")])].concat(),
            FileFormat::Zip,
        ),
        (b"BZh91AY&SY".to_vec(), FileFormat::Opaque("bzip2")),
        (b"\xfd7zXZ\0\0".to_vec(), FileFormat::Opaque("xz")),
    ] {
        assert_eq!(
            FileFormat::from_file(&mut Cursor::new(content)).unwrap(),
            expected
        );
    }
}

#[test]
fn a_gzip_file_is_masked() {
    assert_eq!(ungz(&scrub(&gz(b"my hunter22!")).unwrap()), b"my XXXXXXXX!");
}

#[test]
fn a_tar_gz_is_masked_and_keeps_names_and_modes() {
    let long = "d/".repeat(80) + "long";
    let scrubbed = scrub(&gz(&tar(&[
        ("a", b"nothing"),
        (&long, b"hunter22 hunter22"),
    ])))
    .unwrap();
    assert_eq!(
        untar(&ungz(&scrubbed)),
        [
            ("a".to_owned(), 0o640, b"nothing".to_vec()),
            (long, 0o640, b"XXXXXXXX XXXXXXXX".to_vec())
        ]
    );
}

#[test]
fn a_zip_is_masked_and_its_other_entries_stay() {
    let scrubbed = scrub(&zipped(&[("a", b"nothing"), ("b/c", b"hunter22")])).unwrap();
    let mut archive = ZipArchive::new(Cursor::new(scrubbed)).unwrap();
    for (name, expected) in [("a", "nothing"), ("b/c", "XXXXXXXX")] {
        let mut content = String::new();
        archive
            .by_name(name)
            .unwrap()
            .read_to_string(&mut content)
            .unwrap();
        assert_eq!(content, expected);
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn names_in_a_tar_are_masked_with_nothing_else_to_mask() {
    let long = format!("{}/hunter22", "d".repeat(120));
    let mut out = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o640);
    header.set_username("hunter22").unwrap();
    header.set_groupname("a hunter22").unwrap();
    out.append_data(&mut header, "of hunter22.txt", &b"x"[..])
        .unwrap();
    out.append_pax_extensions([("SCHILY.xattr.user.a", &b"hunter22"[..])])
        .unwrap();
    out.append_data(&mut header, &long, &b"y"[..]).unwrap();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    out.append_link(&mut header, "link", "to/hunter22").unwrap();
    let archive = out.into_inner().unwrap();

    let scrubbed = ungz(&scrub(&gz(&archive)).unwrap());
    assert!(!contains(&scrubbed, "hunter22"));
    let names: Vec<String> = untar(&scrubbed)
        .into_iter()
        .map(|(name, ..)| name)
        .collect();
    assert_eq!(
        names,
        [
            "of XXXXXXXX.txt",
            &long.replace("hunter22", "XXXXXXXX"),
            "link"
        ]
    );
    let mut entries = tar::Archive::new(&scrubbed[..]);
    let mut entries = entries.entries().unwrap();
    let header = entries.next().unwrap().unwrap().header().clone();
    assert_eq!(header.username().unwrap(), Some("XXXXXXXX"));
    assert_eq!(header.groupname().unwrap(), Some("a XXXXXXXX"));
    let link = entries.nth(1).unwrap().unwrap();
    assert_eq!(link.link_name_bytes().unwrap(), &b"to/XXXXXXXX"[..]);
}

#[test]
fn names_and_comments_in_a_zip_are_masked_with_nothing_else_to_mask() {
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["a/hunter22", "a/hunter22.b"] {
        out.start_file(name, SimpleFileOptions::default()).unwrap();
        out.write_all(b"x").unwrap();
    }
    out.set_comment("for hunter22").unwrap();
    let archive = out.finish().unwrap().into_inner();
    for inner in [
        archive.clone(),
        zipped(&[("hunter22", b"is hunter22"), ("b", b"x")]),
    ] {
        let scrubbed = ungz(&scrub(&gz(&inner)).unwrap());
        assert!(!contains(&scrubbed, "hunter22"));
        let mut archive = ZipArchive::new(Cursor::new(scrubbed)).unwrap();
        assert_eq!(archive.len(), 2);
        for index in 0..2 {
            let mut content = String::new();
            archive
                .by_index(index)
                .unwrap()
                .read_to_string(&mut content)
                .unwrap();
            assert!(
                ["x", "is XXXXXXXX"].contains(&content.as_str()),
                "{content}"
            );
        }
    }
    let scrubbed = ungz(&scrub(&gz(&archive)).unwrap());
    let archive = ZipArchive::new(Cursor::new(scrubbed)).unwrap();
    assert_eq!(archive.comment(), b"for XXXXXXXX");
    assert_eq!(
        archive.file_names().map(Result::unwrap).collect::<Vec<_>>(),
        ["a/XXXXXXXX", "a/XXXXXXXX.b"]
    );
}

#[test]
fn the_name_and_the_comment_of_a_gzip_file_are_masked() {
    let named = |content: &[u8]| {
        let builder = flate2::GzBuilder::new()
            .filename("hunter22.txt")
            .comment("of hunter22");
        let mut out = builder.write(Vec::new(), Compression::default());
        out.write_all(content).unwrap();
        out.finish().unwrap()
    };
    for archive in [named(b"x"), [gz(b"y"), named(b"x")].concat()] {
        let scrubbed = scrub(&tar(&[("a", &archive)])).unwrap();
        assert!(!contains(&scrubbed, "hunter22"));
        let (_, _, inner) = untar(&scrubbed).remove(0);
        assert_eq!(ungz(&inner), ungz(&archive));
    }
}

#[test]
fn archives_in_archives_are_masked() {
    let inner = gz(b"hunter22");
    let scrubbed = scrub(&tar(&[("x.zip", &zipped(&[("log.gz", &inner)]))])).unwrap();
    let (_, _, zip) = untar(&scrubbed).remove(0);
    let mut log = Vec::new();
    ZipArchive::new(Cursor::new(zip))
        .unwrap()
        .by_name("log.gz")
        .unwrap()
        .read_to_end(&mut log)
        .unwrap();
    assert_eq!(ungz(&log), b"XXXXXXXX");
}

#[test]
fn without_a_secret_not_a_byte_changes() {
    for content in [gz(b"x"), tar(&[("a", b"x")]), zipped(&[("a", b"x")])] {
        assert_eq!(scrub(&content).unwrap(), content);
    }
}

#[test]
fn what_cannot_be_looked_into_is_an_error() {
    let whole = gz(&vec![b'x'; 10_000]);
    let mut nested = b"hunter22".to_vec();
    for _ in 0..MAX_DEPTH {
        nested = gz(&nested);
    }
    for (content, expected) in [
        (whole[..whole.len() / 2].to_vec(), "it cannot be unpacked"),
        (
            b"PK\x03\x04 this is no zip".to_vec(),
            "it cannot be unpacked",
        ),
        (gz(b"BZh91AY&SY"), "bzip2 cannot be looked into"),
        (nested, "archives are nested deeper"),
    ] {
        let error = scrub(&content).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_bomb_is_stopped() {
    let censor = Censor::new(["hunter22"]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let space = TempSpace::new(dir.path(), 1 << 30);
    let mut scrubber = ArchiveCensorer::new(&censor, &space);
    scrubber.budget = 1 << 16;
    let error = scrubber
        .censor_file(&gz(&vec![0; 1 << 20])[..])
        .unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge), "{error}");
    assert_eq!(space.taken_bytes(), 0, "all of it is given back");
}

#[test]
fn all_archives_share_the_space() {
    let censor = Censor::new(["hunter22"]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let space = TempSpace::new(dir.path(), 3 << 20);
    let secret = [vec![b'x'; 1 << 20], b"hunter22".to_vec()].concat();
    let large = gz(&secret);
    let scrub = || ArchiveCensorer::new(&censor, &space).censor_file(&large[..]);
    let zeros = gz(&vec![0; 4 << 20]);
    let error = ArchiveCensorer::new(&censor, &space)
        .censor_file(&zeros[..])
        .unwrap_err();
    assert!(matches!(error, ArchiveError::NoRoom), "{error}");
    // For a while there are both the original and its masked copy.
    let first = scrub().unwrap();
    assert!(space.taken_bytes() > 0);
    drop(first);
    assert_eq!(space.taken_bytes(), 0);
}

#[test]
fn entries_are_counted_through_all_layers() {
    let censor = Censor::new(["hunter22"]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let space = TempSpace::new(dir.path(), 1 << 30);
    let names: Vec<String> = (0..6).map(|n| n.to_string()).collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), &b"x"[..]))
        .collect();
    let inner = zipped(&files);
    let twice = tar(&[("a.zip", &inner), ("b.zip", &inner)]);
    for (entries, fits) in [(14, true), (13, false)] {
        let mut scrubber = ArchiveCensorer::new(&censor, &space);
        scrubber.entries = entries;
        let result = scrubber.censor_file(&twice[..]);
        assert_eq!(result.is_ok(), fits);
        assert!(fits || matches!(result, Err(ArchiveError::TooMany)));
    }
}

#[test]
fn a_zip_of_too_many_entries_is_not_even_opened() {
    let mut entry = [0; 46];
    entry[..4].copy_from_slice(b"PK\x01\x02");
    for (entries, names, fits) in [
        (MAX_ENTRIES, 0, true),
        (MAX_ENTRIES + 1, 0, false),
        (1024, u16::MAX, true),
        (1100, u16::MAX, false),
    ] {
        entry[28..30].copy_from_slice(&names.to_le_bytes());
        let directory = entry.repeat(usize::try_from(entries).unwrap());
        let checked = size_limits::check_zip(&mut Cursor::new(directory));
        assert_eq!(checked.is_ok(), fits, "{entries} {names}");
    }
}

#[test]
fn a_tar_with_an_endless_name_is_not_read() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(2 << 20);
    header.set_cksum();
    let mut content = header.as_bytes().to_vec();
    content.extend(vec![b'n'; 2 << 20]);
    content.extend(tar(&[("a", b"x")]));
    let error = scrub(&content).unwrap_err().to_string();
    assert!(error.contains("a name of megabytes"), "{error}");
}
