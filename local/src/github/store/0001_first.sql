CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    login TEXT NOT NULL UNIQUE COLLATE NOCASE,
    kind TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE members (
    org INTEGER NOT NULL REFERENCES accounts (id),
    member INTEGER NOT NULL REFERENCES accounts (id),
    PRIMARY KEY (org, member)
);
CREATE TABLE apps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slug TEXT NOT NULL UNIQUE COLLATE NOCASE,
    bot INTEGER NOT NULL REFERENCES accounts (id),
    webhook_url TEXT NOT NULL,
    secret TEXT NOT NULL,
    private_key TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE installations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL REFERENCES apps (id),
    account INTEGER NOT NULL REFERENCES accounts (id),
    permissions TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (app, account)
);
-- A token is kept as its SHA-256 only. `permissions` and `repositories` (JSON) narrow an installation's.
CREATE TABLE tokens (
    hash TEXT PRIMARY KEY,
    account INTEGER REFERENCES accounts (id),
    installation INTEGER REFERENCES installations (id),
    permissions TEXT,
    repositories TEXT,
    expires_at INTEGER
);
CREATE TABLE repos (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL COLLATE NOCASE,
    private INTEGER NOT NULL,
    fork_of INTEGER REFERENCES repos (id),
    created_at TEXT NOT NULL,
    pushed_at TEXT NOT NULL,
    UNIQUE (owner, name)
);
CREATE TABLE collaborators (
    repo INTEGER NOT NULL REFERENCES repos (id),
    account INTEGER NOT NULL REFERENCES accounts (id),
    permission TEXT NOT NULL,
    PRIMARY KEY (repo, account)
);
CREATE TABLE pulls (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo INTEGER NOT NULL REFERENCES repos (id),
    number INTEGER NOT NULL,
    author INTEGER NOT NULL REFERENCES accounts (id),
    title TEXT NOT NULL,
    body TEXT,
    state TEXT NOT NULL,
    draft INTEGER NOT NULL,
    base_ref TEXT NOT NULL,
    base_sha TEXT NOT NULL,
    head_repo INTEGER NOT NULL REFERENCES repos (id),
    head_ref TEXT NOT NULL,
    head_sha TEXT NOT NULL,
    merge_sha TEXT,
    mergeable INTEGER,
    commits INTEGER NOT NULL,
    additions INTEGER NOT NULL,
    deletions INTEGER NOT NULL,
    changed_files INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    closed_at TEXT,
    merged_at TEXT,
    merged_by INTEGER REFERENCES accounts (id),
    UNIQUE (repo, number)
);
CREATE INDEX pulls_head ON pulls (head_repo, head_ref) WHERE state = 'open';
CREATE TABLE comments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo INTEGER NOT NULL REFERENCES repos (id),
    number INTEGER NOT NULL,
    author INTEGER NOT NULL REFERENCES accounts (id),
    body TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX comments_of ON comments (repo, number);
CREATE TABLE labels (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo INTEGER NOT NULL REFERENCES repos (id),
    name TEXT NOT NULL COLLATE NOCASE,
    color TEXT NOT NULL,
    description TEXT,
    UNIQUE (repo, name)
);
CREATE TABLE pull_labels (
    pull INTEGER NOT NULL REFERENCES pulls (id),
    label INTEGER NOT NULL REFERENCES labels (id),
    PRIMARY KEY (pull, label)
);
CREATE TABLE statuses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo INTEGER NOT NULL REFERENCES repos (id),
    sha TEXT NOT NULL,
    context TEXT NOT NULL,
    state TEXT NOT NULL,
    description TEXT,
    target_url TEXT,
    creator INTEGER NOT NULL REFERENCES accounts (id),
    created_at TEXT NOT NULL
);
CREATE INDEX statuses_of ON statuses (repo, sha);
CREATE TABLE check_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo INTEGER NOT NULL REFERENCES repos (id),
    app INTEGER NOT NULL REFERENCES apps (id),
    head_sha TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    conclusion TEXT,
    details_url TEXT,
    external_id TEXT NOT NULL,
    title TEXT,
    summary TEXT,
    text TEXT,
    started_at TEXT NOT NULL,
    completed_at TEXT
);
CREATE INDEX check_runs_of ON check_runs (repo, head_sha);
-- `status` is null until the receiver has answered or was given up on.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    guid TEXT NOT NULL,
    app INTEGER NOT NULL REFERENCES apps (id),
    installation INTEGER,
    repo INTEGER,
    event TEXT NOT NULL,
    action TEXT,
    payload TEXT NOT NULL,
    redelivery INTEGER NOT NULL,
    delivered_at TEXT NOT NULL,
    request_headers TEXT,
    status TEXT,
    status_code INTEGER,
    duration_ms INTEGER,
    response_headers TEXT,
    response TEXT
);
CREATE INDEX deliveries_waiting ON deliveries (repo, id) WHERE status IS NULL;
