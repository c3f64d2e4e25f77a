//! Any text as a template: parsed or refused with a place; rendered within its bounds.

#![no_main]

use common::template::Template;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Template::parse(text) {
        Ok(template) => {
            let _ = template.render(&serde_json::json!({"Spec": {"Refs": {"Org": "org"}}}));
        }
        Err(error) => assert!(error.line > 0),
    }
});
