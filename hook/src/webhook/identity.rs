//! Which repository a payload is about, read before anybody has vouched for it.
//!
//! The key that a signature is checked with depends on the repository, so something has to be
//! read first: only names, three levels deep, everything else is skipped without being built.
//! Names that contradict each other are refused, since a holder of one repository's key could
//! otherwise sign for another.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The repository of a payload. An organisation's event has no `repo`, an App's neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) org: String,
    pub(crate) repo: String,
}

impl Identity {
    pub(crate) fn is(&self, org: &str, repo: &str) -> bool {
        self.org.eq_ignore_ascii_case(org) && self.repo.eq_ignore_ascii_case(repo)
    }
}

/// What the bytes of a payload say about themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A JSON object.
    Payload(Identity),
    /// Not a JSON object; the identity is what stood before the error.
    Broken(Identity),
    /// Two names that cannot both be true.
    Contradiction,
}

/// Reads the identity out of a body that is not to be trusted yet.
pub(crate) fn read(body: &[u8]) -> Claim {
    let mut names = Names::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let whole = Reader {
        at: At::Top,
        names: &mut names,
    }
    .deserialize(&mut json)
    .and_then(|()| json.end())
    .is_ok()
        // Skipped strings are not looked into by serde_json.
        && std::str::from_utf8(body).is_ok();
    match (names.identity(), whole) {
        (None, _) => Claim::Contradiction,
        (Some(identity), true) => Claim::Payload(identity),
        (Some(identity), false) => Claim::Broken(identity),
    }
}

#[derive(Default)]
struct Names {
    full_name: Option<String>,
    name: Option<String>,
    owner_login: Option<String>,
    owner_name: Option<String>,
    owner_type: Option<String>,
    organization: Option<String>,
    /// A key stood twice in one object: which one counts depends on who reads.
    twice: bool,
}

impl Names {
    /// `None` when they contradict each other.
    fn identity(self) -> Option<Identity> {
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
                    .filter(|(org, repo)| valid(org) && valid(repo))?,
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
            (Some(org), Some(repo)) if valid(org) && valid(repo) => Some(Identity {
                org: org.to_owned(),
                repo: repo.to_owned(),
            }),
            (None, None) => Some(Identity {
                org: self.organization.unwrap_or_default(),
                repo: String::new(),
            }),
            // Half a name names nothing.
            _ => Some(Identity::default()),
        }
    }
}

fn valid(name: &str) -> bool {
    !name.is_empty() && !name.contains('/')
}

/// Where in the payload a [`Reader`] stands.
#[derive(Clone, Copy)]
enum At {
    Top,
    Repository,
    Owner,
    Organization,
    Text(Slot),
}

/// Which name a text is.
#[derive(Clone, Copy)]
enum Slot {
    FullName,
    Name,
    OwnerLogin,
    OwnerName,
    OwnerType,
    Organization,
}

impl At {
    /// Where `key` leads, or nowhere of interest. The number tells keys of one object apart.
    fn step(self, key: &str) -> Option<(u8, Self)> {
        Some(match (self, key) {
            (Self::Top, "repository") => (1, Self::Repository),
            (Self::Top, "organization") => (2, Self::Organization),
            (Self::Repository, "full_name") => (1, Self::Text(Slot::FullName)),
            (Self::Repository, "name") => (2, Self::Text(Slot::Name)),
            (Self::Repository, "owner") => (4, Self::Owner),
            (Self::Owner, "login") => (1, Self::Text(Slot::OwnerLogin)),
            (Self::Owner, "name") => (2, Self::Text(Slot::OwnerName)),
            (Self::Owner, "type") => (4, Self::Text(Slot::OwnerType)),
            (Self::Organization, "login") => (1, Self::Text(Slot::Organization)),
            _ => return None,
        })
    }
}

struct Reader<'a> {
    at: At,
    names: &'a mut Names,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.at {
            At::Top => deserializer.deserialize_map(self),
            _ => deserializer.deserialize_any(self),
        }
    }
}

/// Values of an unexpected type are skipped: they name nothing.
impl<'de> Visitor<'de> for Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = 0;
        while let Some(key) = map.next_key::<String>()? {
            match self.at.step(&key) {
                Some((bit, at)) => {
                    self.names.twice |= seen & bit != 0;
                    seen |= bit;
                    map.next_value_seed(Reader {
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
        let At::Text(slot) = self.at else {
            return Ok(());
        };
        let name = match slot {
            Slot::FullName => &mut self.names.full_name,
            Slot::Name => &mut self.names.name,
            Slot::OwnerLogin => &mut self.names.owner_login,
            Slot::OwnerName => &mut self.names.owner_name,
            Slot::OwnerType => &mut self.names.owner_type,
            Slot::Organization => &mut self.names.organization,
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
