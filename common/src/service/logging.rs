//! Logs as JSON lines with Prow's keys: `component`, `level`, `msg`, `severity`, `time`, and the
//! fields of the event and of its spans.

use std::{
    fmt,
    fs::File,
    io::Write,
    sync::{Mutex, OnceLock},
};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    EnvFilter, Registry,
    layer::{Context, Layer, SubscriberExt},
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

use crate::untrusted_text;

static FILTER_HANDLE: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging to standard error for this process. A second call changes nothing.
///
/// `RUST_LOG` decides what is logged; without it, `info`, and later [`set_log_level`].
pub fn init_logging(component: &str) {
    start_logging(component, None);
}

/// As [`init_logging`], with every line written to `copy` too.
pub fn init_logging_with_copy(component: &str, copy: File) {
    start_logging(component, Some(copy));
}

fn start_logging(component: &str, copy: Option<File>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| env_filter("info"));
    let (filter, handle) = reload::Layer::new(filter);
    let copy = copy.map(Mutex::new);
    let json = JsonLayer {
        component: component.to_owned(),
        write: move |line: &str| write_line(line, copy.as_ref()),
    };
    if tracing_subscriber::registry()
        .with(filter)
        .with(json)
        .try_init()
        .is_ok()
    {
        let _ = FILTER_HANDLE.set(handle);
    }
}

/// Applies the configuration's `log_level`. `RUST_LOG` takes precedence if it is set.
pub fn set_log_level(level: &str) {
    if std::env::var_os("RUST_LOG").is_some() {
        return;
    }
    if let Some(handle) = FILTER_HANDLE.get() {
        let directive = match level {
            "warning" => "warn",
            "fatal" | "panic" => "error",
            level => level,
        };
        // It fails only if the subscriber is gone, which lives as long as the process.
        let _ = handle.reload(env_filter(directive));
    }
}

/// The crates to which `debug` and `trace` apply.
const OWN_CRATES: [&str; 8] = [
    "common", "deck", "hook", "local", "plank", "podutils", "prow", "sinker",
];

/// Leaves out kube's span for each reconciled object: our own lines name the job. For levels
/// without spans there is nothing to leave out, and the directive would admit more lines. `debug`
/// and `trace` are for our crates only: other crates log every connection and request.
fn env_filter(level: &str) -> EnvFilter {
    const WITHOUT_SPANS: &str = "info,kube_runtime::controller=warn";
    EnvFilter::new(match level {
        "info" => WITHOUT_SPANS.to_owned(),
        "debug" | "trace" => {
            let own = OWN_CRATES.map(|name| format!("{name}={level}")).join(",");
            format!("{WITHOUT_SPANS},{own}")
        }
        level => level.to_owned(),
    })
}

struct JsonLayer<W> {
    component: String,
    /// Writes one whole line.
    write: W,
}

/// If the log cannot be written, the error cannot be reported anywhere.
fn write_line(line: &str, copy: Option<&Mutex<File>>) {
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
    if let Some(Ok(mut copy)) = copy.map(Mutex::lock) {
        let _ = copy.write_all(line.as_bytes());
    }
}

/// The fields that a span adds to its events.
struct SpanFields(Map<String, Value>);

impl<S, W> Layer<S> for JsonLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        let mut fields = Map::new();
        attributes.record(&mut FieldCollector(&mut fields));
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            values.record(&mut FieldCollector(&mut fields.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut line = Map::new();
        for span in ctx
            .event_scope(event)
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .iter()
            .rev()
        {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                line.extend(fields.0.clone());
            }
        }
        event.record(&mut FieldCollector(&mut line));
        let level = level_name(*event.metadata().level());
        let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        for (key, value) in [
            ("component", self.component.as_str()),
            ("level", level),
            ("severity", level),
            ("time", &time),
        ] {
            line.insert(key.into(), value.into());
        }
        let mut text = untrusted_text::escape_json(&Value::Object(line).to_string());
        text.push('\n');
        (self.write)(&text);
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

struct FieldCollector<'a>(&'a mut Map<String, Value>);

impl FieldCollector<'_> {
    fn insert(&mut self, field: &Field, value: Value) {
        let name = match field.name() {
            "message" => "msg",
            name => name,
        };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for FieldCollector<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn debug_is_for_our_own_lines() {
        let filter = env_filter("debug").to_string();
        assert!(filter.split(',').any(|it| it == "plank=debug"), "{filter}");
        assert!(filter.split(',').any(|it| it == "info"), "{filter}");
    }

    #[test]
    fn a_jobs_name_does_nothing_in_a_terminal() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let layer = JsonLayer {
            component: "hook".to_owned(),
            write: move |line: &str| sink.lock().unwrap().push(line.to_owned()),
        };
        let name = "\u{1b}]0;t\u{7}\u{9b}2J\u{202e}\n{\"level\":\"error\"}";
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(job = name, "{name} runs");
        });
        let lines = lines.lock().unwrap();
        let line = lines[0].strip_suffix('\n').unwrap();
        assert!(!line.chars().any(untrusted_text::is_hidden), "{line:?}");
        let read: Value = serde_json::from_str(line).unwrap();
        assert_eq!(read["job"], name, "who reads JSON reads the name");
    }

    #[test]
    fn a_line_has_prows_keys_and_the_fields_of_event_and_spans() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let layer = JsonLayer {
            component: "hook".to_owned(),
            write: move |line: &str| sink.lock().unwrap().push(line.to_owned()),
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span =
                tracing::info_span!("delivery", delivery = "d-1", pr = tracing::field::Empty);
            let _entered = span.enter();
            span.record("pr", 7);
            tracing::warn!(job = "unit", "cannot start {}", "it");
        });
        let lines = lines.lock().unwrap();
        let [line] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        let mut line: Map<String, Value> = serde_json::from_str(line).unwrap();
        let time = line.remove("time").unwrap();
        time.as_str().unwrap().parse::<Timestamp>().unwrap();
        assert_eq!(
            Value::Object(line),
            serde_json::json!({
                "component": "hook", "level": "warning", "severity": "warning",
                "msg": "cannot start it", "job": "unit", "delivery": "d-1", "pr": 7,
            })
        );
    }
}
