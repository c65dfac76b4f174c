-- name: source
SELECT stored FROM volume WHERE source = :source

-- name: unclaim
UPDATE volume SET source = NULL WHERE source = :source AND name <> :name

-- name: claim
INSERT INTO volume (name, source, scan_research_id, pseudonym, path, size, stored, changed_at)
VALUES (:name, :source, :scan_research_id, :pseudonym, :path, 0, 0, :now)
ON CONFLICT DO NOTHING

-- name: place
SELECT path, stored FROM volume WHERE name = :name

-- name: placed
UPDATE volume SET stored = 1, size = :size, changed_at = :now WHERE name = :name

-- name: add_file
INSERT INTO volume_file (name, file_name, digest) VALUES (:name, :file_name, :digest)
ON CONFLICT (name, file_name) DO UPDATE SET digest = excluded.digest

-- name: count
SELECT COUNT(*) AS volumes FROM volume WHERE stored = 1
