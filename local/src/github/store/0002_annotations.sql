-- A JSON list of annotations as they were sent.
ALTER TABLE check_runs ADD COLUMN annotations TEXT NOT NULL DEFAULT '[]';
