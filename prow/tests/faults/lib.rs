//! Plank under faults: it reaches the API only through a proxy that loses, delays, refuses and cuts
//! off requests, while planks are killed. All jobs end as they should, none runs twice, and at no
//! version of the API are more pending than a limit allows.
//!
//! Sinker likewise: it deletes exactly the objects that are due, though one build cluster never
//! answers.
//!
//! Included by the short form (`it`) and the long one (`soak`).

mod hand;
mod jobs;
mod proxy;
mod record;
mod replica;
mod scene;
mod sinks;
mod watching;
mod weather;

pub(crate) use record::Limits;
pub(crate) use scene::{Scene, run};
pub(crate) use sinks::{Sinks, sink};
