//! The GitHub stand-in: REST, webhooks and smart HTTP on git repositories.
