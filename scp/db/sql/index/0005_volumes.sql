-- Volumes that came as files. `stored` is 0 from the moment their place is chosen until they stand there for sure.
CREATE TABLE volume (
    name TEXT PRIMARY KEY,
    source BYTEA UNIQUE,
    scan_research_id TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    path TEXT NOT NULL,
    size BIGINT NOT NULL,
    stored INTEGER NOT NULL,
    changed_at DOUBLE PRECISION NOT NULL
);

CREATE INDEX volume_visit ON volume (scan_research_id);
