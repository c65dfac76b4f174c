-- Who sent to a delivery: calling AE titles, a backslash between two, which no title holds (PS3.5 6.2).
ALTER TABLE delivery ADD COLUMN calling TEXT;

-- When a delivery came into each state after its first, and in whose words.
CREATE TABLE delivery_entered (
    scan_research_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    entered_at DOUBLE PRECISION NOT NULL,
    FOREIGN KEY (scan_research_id, number) REFERENCES delivery (scan_research_id, number)
);

CREATE INDEX delivery_entered_delivery ON delivery_entered (scan_research_id, number);
