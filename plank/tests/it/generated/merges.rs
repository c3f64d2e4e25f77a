//! Defaults and the jobs' values over them: decoration and `prowjob_defaults`, for all, by
//! repository and by cluster, central and in a repository.

use serde_json::json;

use super::{Input, Node, Seed, base_config, fields};

const COUNT: usize = 1_900;
/// Fields of one input.
const FIELDS: usize = 3;

/// A field of a merge: its place below the merged object, and its type.
struct Merged {
    section: &'static str,
    place: Vec<&'static str>,
    go_type: &'static str,
}

fn merged() -> Vec<Merged> {
    let of = |field: fields::Field| {
        let at = field.place.iter().position(|it| SECTIONS.contains(it))?;
        let jobs = field.place.starts_with(&["presubmits"]) && at == 3;
        jobs.then(|| Merged {
            section: field.place[at],
            place: field.place[at + 1..].to_vec(),
            go_type: field.go_type,
        })
    };
    fields::fields().filter_map(of).collect()
}

const SECTIONS: [&str; 2] = ["decoration_config", "prowjob_defaults"];

/// Which jobs an entry of the defaults is for.
const ENTRIES: [&str; 4] = ["{}", "{repo: o}", "{repo: o/r}", "{cluster: k}"];

pub(super) fn inputs(seed: &mut Seed) -> Vec<Input> {
    let merged = merged();
    (0..COUNT)
        .map(|index| {
            // Each field has its turn; the others are random.
            let mut chosen = vec![&merged[index % merged.len()]];
            chosen.extend((1..FIELDS).map(|_| seed.pick(&merged)));
            input(&chosen, seed)
        })
        .collect()
}

fn value(field: &Merged, seed: &mut Seed) -> String {
    let values = fields::values(field.go_type);
    match seed.below(8) {
        0 => "null".to_owned(),
        1 if field.go_type == "string" => "''".to_owned(),
        _ => (*seed.pick(values)).to_owned(),
    }
}

/// Writes the chosen field, or its parent, which may be empty.
fn write(node: &mut Node, root: &[&str], field: &Merged, seed: &mut Seed) {
    let place = [root, &field.place].concat();
    match seed.below(12) {
        0 if field.place.len() > 1 => {
            let parent = *seed.pick(&["{}", "null"]);
            let parent = if field.place.contains(&"-") {
                "[]"
            } else {
                parent
            };
            node.put(&[root, &field.place[..1]].concat(), parent);
        }
        _ => node.put(&place, &value(field, seed)),
    }
}

fn input(chosen: &[&Merged], seed: &mut Seed) -> Input {
    let mut config = base_config();
    let entries: Vec<&str> = (0..seed.below(3)).map(|_| *seed.pick(&ENTRIES)).collect();
    let (mut decorations, mut defaults) = (Vec::new(), Vec::new());
    for entry in &entries {
        let mut own = [Node::Map(Vec::new()), Node::Map(Vec::new())];
        for field in chosen.iter().filter(|_| true) {
            if seed.once_in(2) {
                let at = usize::from(field.section == "prowjob_defaults");
                write(&mut own[at], &[], field, seed);
            }
        }
        let [decoration, default] = own;
        let entry = &entry[1..entry.len() - 1];
        let comma = if entry.is_empty() { "" } else { ", " };
        decorations.push(format!("{{{entry}{comma}config: {decoration}}}"));
        defaults.push(format!("{{{entry}{comma}config: {default}}}"));
    }
    // The entry for all jobs, which has what decoration needs, gets some of the fields.
    for field in chosen {
        if field.section == "decoration_config" && seed.once_in(2) {
            let root = ["plank", "default_decoration_config_entries", "-", "config"];
            write(&mut config, &root, field, seed);
        }
    }
    if !decorations.is_empty() {
        append(&mut config, &decorations);
    }
    if !defaults.is_empty() {
        let list = format!("[{{config: {{tenant_id: t}}}}, {}]", defaults.join(", "));
        config.put(&["prowjob_default_entries"], &list);
    }
    let mut job = Node::of(&json!({
        "name": "j",
        "decorate": true,
        "spec": {"containers": [{"image": "i", "command": ["sh"]}]},
    }));
    if seed.once_in(3) {
        job.put(&["cluster"], "k");
    }
    for field in chosen {
        if seed.below(3) > 0 {
            write(&mut job, &[field.section], field, seed);
        }
    }
    place(config, job, seed)
}

/// Adds entries after the first.
fn append(config: &mut Node, entries: &[String]) {
    let Node::Map(sections) = config else { return };
    let Node::Map(plank) = &mut sections[0].1 else {
        return;
    };
    let Node::List(list) = &mut plank[0].1 else {
        return;
    };
    list.extend(entries.iter().cloned().map(Node::Scalar));
}

fn place(mut config: Node, job: Node, seed: &mut Seed) -> Input {
    let mut input = Input {
        kind: "a merge",
        ..Input::default()
    };
    match seed.below(4) {
        0 => config.put(&["presubmits", "o/r", "-"], &job.to_string()),
        1 => {
            let mut job = job;
            job.put(&["interval"], "1h");
            if seed.once_in(2) {
                job.put(&["extra_refs"], "[{org: o, repo: r, base_ref: main}]");
            }
            config.put(&["periodics", "-"], &job.to_string());
        }
        2 => input.jobs = format!("{{postsubmits: {{o/r: [{job}]}}}}"),
        _ => {
            input.kind = "a merge in a repository";
            config.put(
                &["in_repo_config"],
                "{allowed_clusters: {'*': [default, k]}}",
            );
            input.in_repo = format!("{{presubmits: [{job}]}}");
        }
    }
    input.config = config.to_string();
    input
}
