//! clonerefs: the merged tree of a job's references, checked out below `src_root`.

mod options;
mod record;

pub use options::Options;
pub use record::{Command, Record};
