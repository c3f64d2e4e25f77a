//! The fault schedule: which request gets which fault, drawn from a seed.

use std::time::Duration;

use http::{Method, Uri};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The connection breaks before the API gets the request.
    LoseRequest,
    /// The API handles the request, and the connection breaks before the answer.
    LoseAnswer,
    /// A status instead of the API's answer.
    Refuse(u16),
    /// The request reaches the API after a while.
    Stall(Duration),
    /// The answer arrives after a while.
    Delay(Duration),
    /// For a watch: after this time an event with status 410 arrives.
    Expire(Duration),
    /// For a watch: after this time the connection breaks, in the middle of a line.
    Break(Duration),
    /// For a watch: after this time nothing arrives any more, and nothing ends.
    Silence(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Watch,
    /// A list that continues an earlier page.
    NextPage,
    Read,
    Write,
}

impl Kind {
    pub(crate) fn of(method: &Method, uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let has = |key: &str| query.split('&').any(|pair| pair.starts_with(key));
        if method != Method::GET {
            Self::Write
        } else if has("watch=") {
            Self::Watch
        } else if has("continue=") {
            Self::NextPage
        } else {
            Self::Read
        }
    }
}

/// Draws the faults.
pub(crate) struct Weather {
    random: StdRng,
    /// How long a stalled request is held.
    stall: Duration,
}

impl Weather {
    pub(crate) fn new(seed: u64, stall: Duration) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            stall,
        }
    }

    /// The fault of the next request. About one request in five has one.
    pub(crate) fn next(&mut self, kind: Kind) -> Fault {
        let dice = self.random.random_range(0..1000);
        let soon = Duration::from_millis(self.random.random_range(0..4000));
        match (kind, dice) {
            (_, 0..20) => Fault::LoseRequest,
            (_, 20..30) => Fault::Refuse(500),
            (_, 30..40) => Fault::Refuse(503),
            (_, 40..50) => Fault::Refuse(429),
            (Kind::Watch, 50..80) => Fault::Refuse(410),
            (Kind::Watch, 80..200) => Fault::Expire(soon),
            (Kind::Watch, 200..400) => Fault::Break(soon),
            (Kind::Watch, 400..500) => Fault::Silence(soon),
            (Kind::NextPage, 50..150) => Fault::Refuse(410),
            (Kind::Write, 50..100) => Fault::LoseAnswer,
            (Kind::Write, 100..150) => Fault::Refuse(409),
            (Kind::Read | Kind::NextPage, 150..170) => Fault::LoseAnswer,
            (Kind::Read | Kind::NextPage | Kind::Write, 170..173) => Fault::Stall(self.stall),
            (Kind::Read | Kind::NextPage | Kind::Write, 173..176) => Fault::Delay(self.stall),
            (Kind::Read | Kind::NextPage | Kind::Write, 176..200) => Fault::Delay(soon / 10),
            _ => Fault::None,
        }
    }
}
