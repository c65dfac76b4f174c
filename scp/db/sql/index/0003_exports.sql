-- What is to be made of published deliveries besides: one row for each export and delivery.
CREATE TABLE export (
    name TEXT NOT NULL,
    scan_research_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    why TEXT NOT NULL,
    changed_at DOUBLE PRECISION NOT NULL,
    next_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (name, scan_research_id, number),
    FOREIGN KEY (scan_research_id, number) REFERENCES delivery (scan_research_id, number)
);

CREATE INDEX export_state ON export (state, next_at);

CREATE INDEX delivery_published ON delivery (published_at);
