-- The linkage joins the hospital's identities to pseudonyms; every value that came from a patient is sealed.
CREATE TABLE node (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE subject (
    pseudonym TEXT PRIMARY KEY,
    blind BYTEA NOT NULL UNIQUE,
    secret BYTEA NOT NULL,
    identity BYTEA NOT NULL,
    created_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE visit (
    scan_research_id TEXT PRIMARY KEY,
    pseudonym TEXT NOT NULL REFERENCES subject (pseudonym),
    blind BYTEA NOT NULL UNIQUE,
    identity BYTEA NOT NULL,
    created_at DOUBLE PRECISION NOT NULL
);
