-- Sealed originals whose time is over: without fingerprint or reason; until its file is removed, `removed` is 0.
CREATE TABLE expired_quarantine (
    id TEXT PRIMARY KEY,
    outcome TEXT NOT NULL,
    size BIGINT NOT NULL,
    received_at DOUBLE PRECISION NOT NULL,
    expired_at DOUBLE PRECISION NOT NULL,
    removed INTEGER NOT NULL
);

CREATE INDEX expired_quarantine_removed ON expired_quarantine (removed);
