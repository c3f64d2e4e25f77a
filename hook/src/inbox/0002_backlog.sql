-- A backlog costs nothing but its work: what a claim looks at is narrow and found by an index.
--
-- Of a lane's waiting deliveries only the first has `due_at`. It loses it while it is worked on;
-- when it ends, the next of the lane gets it.
--
-- deliveries, as the table is from here on:
--   state        queued, running, done, failed, dead, as before
--   due_at       when its turn comes; NULL while another of its lane is before it, while it is
--                worked on, and at the end
--   finished_at  NULL while it waits or is worked on
--   body_until   when its payload may go; NULL while it is needed, and once it is gone
-- Times are milliseconds since 1970.
DROP INDEX deliveries_queued;
DROP INDEX deliveries_lane;
DROP INDEX deliveries_bodies;

-- Payloads, apart from what is known of a delivery: a claim reads those it hands out.
CREATE TABLE bodies (
    delivery INTEGER PRIMARY KEY REFERENCES deliveries (id),
    body     BLOB NOT NULL
);

-- Nobody looks at these again. Their pages take the others' copies.
UPDATE deliveries SET body = NULL WHERE state = 'done';
INSERT INTO bodies (delivery, body) SELECT id, body FROM deliveries WHERE body IS NOT NULL;

ALTER TABLE deliveries DROP COLUMN body;
ALTER TABLE deliveries DROP COLUMN next_attempt_at;
ALTER TABLE deliveries ADD COLUMN due_at INTEGER;
ALTER TABLE deliveries ADD COLUMN body_until INTEGER;
UPDATE deliveries SET body_until = finished_at + 7 * 24 * 3600 * 1000 WHERE state IN ('failed', 'dead');

CREATE INDEX deliveries_lane ON deliveries (lane, id) WHERE finished_at IS NULL;
CREATE INDEX deliveries_due ON deliveries (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_bodies ON deliveries (body_until) WHERE body_until IS NOT NULL;
CREATE INDEX deliveries_finished ON deliveries (finished_at) WHERE finished_at IS NOT NULL;
