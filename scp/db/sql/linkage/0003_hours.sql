-- Which visit a study of a visit by hours is in; `begins` is sealed, and there for the study that the visit goes by.
CREATE TABLE member (
    blind BYTEA PRIMARY KEY,
    scan_research_id TEXT NOT NULL REFERENCES visit (scan_research_id),
    identity BYTEA NOT NULL,
    begins BYTEA
);

CREATE INDEX member_visit ON member (scan_research_id);

CREATE INDEX visit_pseudonym ON visit (pseudonym);
