-- Whom a study is of, as keyed digests: the same again is recognised, another is refused, nothing can be read.
CREATE TABLE study (
    blind BYTEA PRIMARY KEY,
    subject BYTEA NOT NULL,
    sex BYTEA,
    birth_date BYTEA
);
