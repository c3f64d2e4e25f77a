//! Why a build cluster cannot be worked on.

use std::fmt;

use super::Missing;

/// Why a build cluster cannot be worked on. Its text follows the name of whoever wants to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is being asked for the first time.
    NotAsked,
    /// No client can be made of its context.
    NoClient(String),
    /// It does not answer, or refuses these credentials.
    NoAnswer(String),
    /// It answers, and these rights are missing.
    Forbidden(Vec<Missing>),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => write!(f, "has no answer from it yet"),
            Self::NoClient(why) => write!(f, "has no client of it: {why}"),
            Self::NoAnswer(why) => write!(f, "has no answer from it: {why}"),
            Self::Forbidden(missing) => {
                let all: Vec<_> = missing.iter().map(ToString::to_string).collect();
                write!(f, "{}", all.join(" and "))
            }
        }
    }
}

impl Obstacle {
    /// Whether `other` tells people nothing new: the text of an error is another each time.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Forbidden(one), Self::Forbidden(other)) => one == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}
