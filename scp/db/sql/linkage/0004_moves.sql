-- Visits that were merged or split: where a visit's studies go now, and how often some of them went elsewhere.
ALTER TABLE visit ADD COLUMN moved_to TEXT;
ALTER TABLE visit ADD COLUMN moves INTEGER NOT NULL DEFAULT 0;

-- Which visit a study of a visit by rule came to; with `moved` 1 it goes there, whatever any rule says.
CREATE TABLE placed (
    blind BYTEA PRIMARY KEY,
    scan_research_id TEXT NOT NULL REFERENCES visit (scan_research_id),
    identity BYTEA NOT NULL,
    moved INTEGER NOT NULL
);

CREATE INDEX placed_visit ON placed (scan_research_id);

CREATE INDEX visit_moved_to ON visit (moved_to);
