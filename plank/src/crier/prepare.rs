//! What is worked out once about a job's state, before anyone is told of it.

use common::prowjob::ProwJob;

use super::Context;

/// What reporters may use, see [`super::News::prepared`].
#[derive(Debug, Default)]
pub(crate) struct Prepared {}

/// Never fails: what cannot be worked out is left out.
pub(super) async fn prepare(_ctx: &Context, _job: &ProwJob) -> Prepared {
    Prepared::default()
}
