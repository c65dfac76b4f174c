-- name: old_published
SELECT d.scan_research_id AS name, MAX(d.published_at) AS since,
       (SELECT COUNT(*) FROM instance AS i JOIN delivery AS p
        ON p.scan_research_id = i.scan_research_id AND p.number = i.delivery
        WHERE i.scan_research_id = d.scan_research_id AND p.state = 'published') AS instances,
       (SELECT COALESCE(SUM(i.size), 0) FROM instance AS i JOIN delivery AS p
        ON p.scan_research_id = i.scan_research_id AND p.number = i.delivery
        WHERE i.scan_research_id = d.scan_research_id AND p.state = 'published') AS bytes
FROM delivery AS d
WHERE d.state = 'published'
GROUP BY d.scan_research_id
HAVING MAX(d.published_at) <= :before
ORDER BY since, name

-- name: old_staged
SELECT d.scan_research_id, d.number,
       (SELECT MAX(e.entered_at) FROM delivery_entered AS e
        WHERE e.scan_research_id = d.scan_research_id AND e.number = d.number) AS since,
       (SELECT COUNT(*) FROM instance AS i
        WHERE i.scan_research_id = d.scan_research_id AND i.delivery = d.number) AS instances,
       (SELECT COALESCE(SUM(i.size), 0) FROM instance AS i
        WHERE i.scan_research_id = d.scan_research_id AND i.delivery = d.number) AS bytes
FROM delivery AS d
WHERE d.state IN ('held', 'quarantined', 'rejected') AND d.last_arrival <= :before
  AND NOT EXISTS (
      SELECT 1 FROM delivery_entered AS e
      WHERE e.scan_research_id = d.scan_research_id AND e.number = d.number AND e.entered_at > :before
  )
ORDER BY since, d.scan_research_id, d.number

-- name: old_quarantine
SELECT id AS name, outcome, received_at AS since, size AS bytes FROM quarantine
WHERE received_at <= :before ORDER BY received_at, id

-- name: in_publishing
SELECT 1 FROM delivery WHERE scan_research_id = :scan_research_id AND state = 'publishing'

-- name: youngest
SELECT 1 FROM delivery
WHERE scan_research_id = :scan_research_id AND state = 'published' AND published_at > :before

-- name: published_of_visit
SELECT scan_research_id, number, state, path FROM delivery
WHERE scan_research_id = :scan_research_id AND state = 'published' ORDER BY number

-- name: expiring
SELECT scan_research_id, number, state, path FROM delivery WHERE state = 'expiring'
ORDER BY scan_research_id, number

-- name: set_expiring
UPDATE delivery SET state = 'expiring'
WHERE scan_research_id = :scan_research_id AND number = :number AND state = 'published'

-- name: set_staged_expiring
UPDATE delivery SET state = 'expiring'
WHERE scan_research_id = :scan_research_id AND number = :number
  AND state IN ('held', 'quarantined', 'rejected') AND last_arrival <= :before
  AND NOT EXISTS (
      SELECT 1 FROM delivery_entered AS e
      WHERE e.scan_research_id = :scan_research_id AND e.number = :number AND e.entered_at > :before
  )

-- name: set_expired
UPDATE delivery SET state = 'expired'
WHERE scan_research_id = :scan_research_id AND number = :number AND state = 'expiring'

-- name: add_entered
INSERT INTO delivery_entered (scan_research_id, number, state, why, entered_at)
VALUES (:scan_research_id, :number, :state, :why, :now)

-- name: held_by
SELECT COUNT(*) AS instances, COALESCE(SUM(size), 0) AS bytes FROM instance
WHERE scan_research_id = :scan_research_id AND delivery = :number

-- name: forget_instances
DELETE FROM instance WHERE scan_research_id = :scan_research_id AND delivery = :number

-- name: forget_exports
DELETE FROM export WHERE scan_research_id = :scan_research_id AND number = :number

-- name: exported
SELECT DISTINCT name FROM export WHERE scan_research_id = :scan_research_id ORDER BY name

-- name: bury_sealed
INSERT INTO expired_quarantine (id, outcome, size, received_at, expired_at, removed)
SELECT id, outcome, size, received_at, :now, 0 FROM quarantine WHERE id = :id
ON CONFLICT DO NOTHING

-- name: forget_sealed
DELETE FROM quarantine WHERE id = :id

-- name: unremoved
SELECT id, outcome FROM expired_quarantine WHERE removed = 0 ORDER BY id

-- name: removed
UPDATE expired_quarantine SET removed = 1 WHERE id = :id

-- name: node
SELECT value FROM node WHERE name = :name

-- name: put_node
INSERT INTO node (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value
