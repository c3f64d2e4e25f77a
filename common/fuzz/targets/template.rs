//! Any text as a template is parsed or refused with a line, and rendered within its limits.

#![no_main]

use common::template::GoTemplate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match GoTemplate::parse_template(text) {
        Ok(template) => {
            let _ = template.render_data(&serde_json::json!({"Spec": {"Refs": {"Org": "org"}}}));
        }
        Err(error) => assert!(error.line > 0),
    }
});
