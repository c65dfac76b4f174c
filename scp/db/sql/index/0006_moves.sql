-- Merges and splits that were begun: what goes from which visit to which, and how far that is.
CREATE TABLE move (
    source TEXT PRIMARY KEY,
    target TEXT NOT NULL,
    study TEXT NOT NULL,
    moves INTEGER NOT NULL,
    phase TEXT NOT NULL,
    why TEXT NOT NULL,
    begun_at DOUBLE PRECISION NOT NULL
);

CREATE INDEX move_target ON move (target);

-- How often studies of the visit went to another one: what was on its way with an older count is sent again.
ALTER TABLE visit ADD COLUMN moves INTEGER NOT NULL DEFAULT 0;
