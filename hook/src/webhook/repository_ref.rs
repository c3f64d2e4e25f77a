//! Finds the repository that a payload is about, before the signature is checked.
//!
//! The key that the signature is checked with depends on the repository, so something has to be
//! read first: only names, three levels deep; everything else is skipped without being built. Names
//! that contradict each other are refused, since a holder of one repository's key could otherwise
//! sign for another.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The repository of a payload. Events of an organisation or of an App have no `repo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RepositoryRef {
    pub(crate) org: String,
    pub(crate) repo: String,
}

impl RepositoryRef {
    pub(crate) fn matches_name(&self, org: &str, repo: &str) -> bool {
        self.org.eq_ignore_ascii_case(org) && self.repo.eq_ignore_ascii_case(repo)
    }
}

/// What the bytes of a payload claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RepositoryClaim {
    /// A JSON object.
    Payload(RepositoryRef),
    /// Not a JSON object; holds the names that stood before the error.
    Broken(RepositoryRef),
    /// Two names that cannot both be true.
    Contradiction,
}

/// Reads the repository out of a body that is not trusted yet.
pub(crate) fn read_repository_claim(body: &[u8]) -> RepositoryClaim {
    let mut names = RepositoryNames::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let whole = RepositoryVisitor {
        at: PayloadPosition::Top,
        names: &mut names,
    }
    .deserialize(&mut json)
    .and_then(|()| json.end())
    .is_ok()
        // serde_json does not validate strings that it skips.
        && std::str::from_utf8(body).is_ok();
    match (names.into_repository(), whole) {
        (None, _) => RepositoryClaim::Contradiction,
        (Some(identity), true) => RepositoryClaim::Payload(identity),
        (Some(identity), false) => RepositoryClaim::Broken(identity),
    }
}

#[derive(Default)]
struct RepositoryNames {
    full_name: Option<String>,
    name: Option<String>,
    owner_login: Option<String>,
    owner_name: Option<String>,
    owner_type: Option<String>,
    organization: Option<String>,
    /// A key occurs twice in one object: which one counts depends on the parser.
    twice: bool,
}

impl RepositoryNames {
    /// `None` when the names contradict each other.
    fn into_repository(self) -> Option<RepositoryRef> {
        if self.twice {
            return None;
        }
        let same = |a: &Option<String>, b: Option<&str>| match (a, b) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            _ => true,
        };
        let full = match &self.full_name {
            Some(full) => Some(
                full.split_once('/')
                    .filter(|(org, repo)| is_valid_name(org) && is_valid_name(repo))?,
            ),
            None => None,
        };
        let org = full
            .map(|(org, _)| org)
            .or(self.owner_login.as_deref())
            .or(self.owner_name.as_deref());
        let repo = full.map(|(_, repo)| repo).or(self.name.as_deref());
        let agree = same(&self.owner_login, org)
            && same(&self.owner_name, org)
            && same(&self.name, repo)
            && (self.owner_type.as_deref() == Some("User") || same(&self.organization, org));
        if !agree {
            return None;
        }
        match (org, repo) {
            (Some(org), Some(repo)) if is_valid_name(org) && is_valid_name(repo) => {
                Some(RepositoryRef {
                    org: org.to_owned(),
                    repo: repo.to_owned(),
                })
            }
            (None, None) => Some(RepositoryRef {
                org: self.organization.unwrap_or_default(),
                repo: String::new(),
            }),
            // An incomplete name names nothing.
            _ => Some(RepositoryRef::default()),
        }
    }
}

fn is_valid_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/')
}

/// Where in the payload a [`RepositoryVisitor`] is.
#[derive(Clone, Copy)]
enum PayloadPosition {
    Top,
    Repository,
    Owner,
    Organization,
    Text(RepositoryNameField),
}

/// Which name a text holds.
#[derive(Clone, Copy)]
enum RepositoryNameField {
    FullName,
    Name,
    OwnerLogin,
    OwnerName,
    OwnerType,
    Organization,
}

impl PayloadPosition {
    /// Where `key` leads, if it is read. The number distinguishes keys of one object.
    fn enter_key(self, key: &str) -> Option<(u8, Self)> {
        Some(match (self, key) {
            (Self::Top, "repository") => (1, Self::Repository),
            (Self::Top, "organization") => (2, Self::Organization),
            (Self::Repository, "full_name") => (1, Self::Text(RepositoryNameField::FullName)),
            (Self::Repository, "name") => (2, Self::Text(RepositoryNameField::Name)),
            (Self::Repository, "owner") => (4, Self::Owner),
            (Self::Owner, "login") => (1, Self::Text(RepositoryNameField::OwnerLogin)),
            (Self::Owner, "name") => (2, Self::Text(RepositoryNameField::OwnerName)),
            (Self::Owner, "type") => (4, Self::Text(RepositoryNameField::OwnerType)),
            (Self::Organization, "login") => (1, Self::Text(RepositoryNameField::Organization)),
            _ => return None,
        })
    }
}

struct RepositoryVisitor<'a> {
    at: PayloadPosition,
    names: &'a mut RepositoryNames,
}

impl<'de> DeserializeSeed<'de> for RepositoryVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.at {
            PayloadPosition::Top => deserializer.deserialize_map(self),
            _ => deserializer.deserialize_any(self),
        }
    }
}

/// Values of an unexpected type are skipped: they name nothing.
impl<'de> Visitor<'de> for RepositoryVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = 0;
        while let Some(key) = map.next_key::<String>()? {
            match self.at.enter_key(&key) {
                Some((bit, at)) => {
                    self.names.twice |= seen & bit != 0;
                    seen |= bit;
                    map.next_value_seed(RepositoryVisitor {
                        at,
                        names: &mut *self.names,
                    })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let PayloadPosition::Text(slot) = self.at else {
            return Ok(());
        };
        let name = match slot {
            RepositoryNameField::FullName => &mut self.names.full_name,
            RepositoryNameField::Name => &mut self.names.name,
            RepositoryNameField::OwnerLogin => &mut self.names.owner_login,
            RepositoryNameField::OwnerName => &mut self.names.owner_name,
            RepositoryNameField::OwnerType => &mut self.names.owner_type,
            RepositoryNameField::Organization => &mut self.names.organization,
        };
        *name = Some(text.to_owned());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
