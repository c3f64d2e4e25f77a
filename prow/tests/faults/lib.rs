//! Plank between faults: jobs on an API that plank reaches only through a proxy that loses, delays,
//! refuses and cuts off, while planks are killed. All jobs end as they should, none runs twice, and
//! at no version of the API are more pending than a limit allows.
//!
//! Sinker likewise: of what is in the API exactly that goes which is due, though one build cluster
//! is away all the time.
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
