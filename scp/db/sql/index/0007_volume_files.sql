-- The files of each volume with what they hold, so that one that is changed or missing is found.
CREATE TABLE volume_file (
    name TEXT NOT NULL REFERENCES volume (name),
    file_name TEXT NOT NULL,
    digest BYTEA NOT NULL,
    PRIMARY KEY (name, file_name)
);
