-- A webhook delivery and how far it is.
--   queued   waits for its turn, or for its next attempt
--   running  claimed by the dispatcher; queued again when hook starts
--   done     acted on
--   failed   cannot be acted on, however often; sent again by GitHub, it is queued again
--   dead     given up after too many attempts; sent again by GitHub, it is queued again
-- Times are milliseconds since 1970.
CREATE TABLE deliveries (
    id              INTEGER PRIMARY KEY,
    guid            TEXT    NOT NULL UNIQUE,
    event           TEXT    NOT NULL,
    org             TEXT    NOT NULL,
    repo            TEXT    NOT NULL,
    lane            TEXT    NOT NULL,
    body            BLOB,
    received_at     INTEGER NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'dead')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL,
    finished_at     INTEGER,
    error           TEXT
);
CREATE INDEX deliveries_queued ON deliveries (id) WHERE state = 'queued';
CREATE INDEX deliveries_lane ON deliveries (lane, id) WHERE state IN ('queued', 'running');
CREATE INDEX deliveries_bodies ON deliveries (finished_at) WHERE state = 'done' AND body IS NOT NULL;

-- Why something was done, or not done, about a delivery.
CREATE TABLE decisions (
    id       INTEGER PRIMARY KEY,
    delivery INTEGER NOT NULL REFERENCES deliveries (id),
    attempt  INTEGER NOT NULL,
    plugin   TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    made_at  INTEGER NOT NULL
);
CREATE INDEX decisions_delivery ON decisions (delivery);
