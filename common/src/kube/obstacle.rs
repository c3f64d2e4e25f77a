//! The reasons why a build cluster is not usable.

use std::fmt;

use super::MissingPermission;

/// Why a build cluster is not usable. The text follows the name of the service, and is for
/// operators; [`ClusterObstacle::public_text`] is for everyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterObstacle {
    /// The first attempt to connect is still running.
    NotAsked,
    /// No client can be made of its context.
    NoClient(String),
    /// It does not answer.
    NoAnswer(String),
    /// It answers, and does not accept the credentials.
    Unauthorized(String),
    /// It answers, and does not grant these permissions.
    Forbidden(Vec<MissingPermission>),
}

impl fmt::Display for ClusterObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => write!(f, "has no answer from it yet"),
            Self::NoClient(why) => write!(f, "has no client of it: {why}"),
            Self::NoAnswer(why) => write!(f, "has no answer from it: {why}"),
            Self::Unauthorized(why) => write!(f, "has credentials that it refuses: {why}"),
            Self::Forbidden(missing) => {
                let all: Vec<_> = missing.iter().map(ToString::to_string).collect();
                write!(f, "{}", all.join(" and "))
            }
        }
    }
}

impl From<kube::Error> for ClusterObstacle {
    /// The obstacle that a failed `SelfSubjectAccessReview` shows.
    fn from(error: kube::Error) -> Self {
        let unauthorized = matches!(&error, kube::Error::Api(status) if status.code == 401);
        let why = format!("{:#}", anyhow::Error::from(error));
        if unauthorized {
            Self::Unauthorized(why)
        } else {
            Self::NoAnswer(why)
        }
    }
}

impl ClusterObstacle {
    /// A text for everyone that continues a sentence after the cluster's name. It has no address,
    /// no path and no error text of a library. `service` is the service that needs the cluster.
    #[must_use]
    pub fn public_text(&self, service: &str) -> String {
        match self {
            Self::NotAsked | Self::NoAnswer(_) => "does not answer".to_owned(),
            Self::NoClient(_) => {
                format!(
                    "cannot be reached: its kubeconfig context is of no use, {service}'s log says why"
                )
            }
            Self::Unauthorized(_) => format!("refuses the credentials of {service}"),
            Self::Forbidden(missing) => {
                let essential = missing.iter().filter(|it| it.right.only_for.is_none());
                let all: Vec<_> = essential.map(ToString::to_string).collect();
                format!("cannot be used: {service} {}", all.join(" and "))
            }
        }
    }

    /// Whether `other` tells users nothing new. The texts of errors are not compared: they vary.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Forbidden(one), Self::Forbidden(other)) => one == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;
    use crate::kube::ClusterPermission;

    fn answered(code: u16) -> ClusterObstacle {
        let status = Status::failure("https://10.0.0.1: token abc", "No").with_code(code);
        kube::Error::Api(status.boxed()).into()
    }

    #[test]
    fn everyone_may_read_which_obstacle_it_is_and_nothing_of_the_operators() {
        let of = |right| MissingPermission {
            right,
            verbs: right.verbs.to_vec(),
            namespace: "test-pods".into(),
        };
        let pods = of(ClusterPermission::essential(
            "",
            "pods",
            &["create", "delete"],
        ));
        let events = of(ClusterPermission::only_for("words", "events", &["list"]));
        let secret = "open /etc/kubeconfig: https://10.0.0.1: token abc";
        for (obstacle, expected) in [
            (ClusterObstacle::NotAsked, "does not answer"),
            (ClusterObstacle::NoAnswer(secret.into()), "does not answer"),
            (answered(500), "does not answer"),
            (
                ClusterObstacle::NoClient(secret.into()),
                "cannot be reached: its kubeconfig context is of no use, plank's log says why",
            ),
            (answered(401), "refuses the credentials of plank"),
            (
                ClusterObstacle::Forbidden(vec![pods, events]),
                "cannot be used: plank may not create, delete pods in namespace test-pods",
            ),
        ] {
            assert_eq!(obstacle.public_text("plank"), expected, "{obstacle}");
        }
    }
}
