//! GitHub as Prow's services use it: a client that finds its own token, and the few objects
//! they look at.
