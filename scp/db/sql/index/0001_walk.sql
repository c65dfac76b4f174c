-- The index knows pseudonyms, places and digests; nothing in it came from a patient in the clear.
CREATE TABLE node (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE visit (
    scan_research_id TEXT PRIMARY KEY,
    pseudonym TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL
);

-- A visit is handed over in one or more deliveries: what arrives after one was published opens the next.
CREATE TABLE delivery (
    scan_research_id TEXT NOT NULL REFERENCES visit (scan_research_id),
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    path TEXT,
    first_arrival DOUBLE PRECISION NOT NULL,
    last_arrival DOUBLE PRECISION NOT NULL,
    published_at DOUBLE PRECISION,
    PRIMARY KEY (scan_research_id, number)
);

CREATE INDEX delivery_state ON delivery (state, last_arrival);

CREATE TABLE instance (
    sop_instance_uid TEXT PRIMARY KEY,
    source_uid BYTEA UNIQUE,
    source_digest BYTEA,
    digest BYTEA NOT NULL,
    size BIGINT NOT NULL,
    scan_research_id TEXT NOT NULL,
    delivery INTEGER NOT NULL,
    series_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    file_name TEXT NOT NULL,
    recipe TEXT NOT NULL,
    stored_at DOUBLE PRECISION NOT NULL,
    FOREIGN KEY (scan_research_id, delivery) REFERENCES delivery (scan_research_id, number)
);

CREATE INDEX instance_delivery ON instance (scan_research_id, delivery);

CREATE TABLE quarantine (
    id TEXT PRIMARY KEY,
    outcome TEXT NOT NULL,
    why TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    size BIGINT NOT NULL,
    received_at DOUBLE PRECISION NOT NULL,
    UNIQUE (outcome, fingerprint)
);
