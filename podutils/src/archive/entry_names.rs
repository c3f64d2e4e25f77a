//! Masks what a tar says about an entry: its path, link target and owners.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use tar::{Entry, Header};

use crate::censor::Censor;

/// The masked names of one entry.
pub(super) struct MaskedEntryNames {
    /// Has the masked owners; the caller still has to set path and target.
    pub(super) header: Header,
    pub(super) path: PathBuf,
    /// The target of a link.
    pub(super) target: Option<PathBuf>,
    /// Whether something was masked, so that the archive has to be rewritten.
    pub(super) any_masked: bool,
}

/// PAX attributes are only checked for secrets: a rewritten archive has none.
pub(super) fn mask_entry_names(
    entry: &mut Entry<'_, impl Read>,
    censor: &Censor,
) -> io::Result<MaskedEntryNames> {
    let mut any_masked = false;
    let mut mask = |bytes: &[u8]| {
        let masked = censor.mask_bytes(bytes.to_vec());
        any_masked |= masked != bytes;
        masked
    };
    for attribute in entry.pax_extensions()?.into_iter().flatten() {
        let attribute = attribute?;
        mask(attribute.key_bytes());
        mask(attribute.value_bytes());
    }
    let path = mask(&entry.path_bytes());
    let target = entry.link_name_bytes().map(|target| mask(&target));
    let mut header = entry.header().clone();
    for owner in owner_fields(&mut header) {
        let masked = mask(owner);
        owner.copy_from_slice(&masked);
    }
    let path_of = |bytes| PathBuf::from(OsString::from_vec(bytes));
    Ok(MaskedEntryNames {
        header,
        path: path_of(path),
        target: target.map(path_of),
        any_masked,
    })
}

/// The header fields with the names of user and group.
fn owner_fields(header: &mut Header) -> [&mut [u8]; 2] {
    if header.as_gnu().is_some() {
        let header = header.as_gnu_mut().expect("it is one");
        [&mut header.uname, &mut header.gname]
    } else if let Some(header) = header.as_ustar_mut() {
        [&mut header.uname, &mut header.gname]
    } else {
        [&mut [], &mut []]
    }
}
