-- name: node
SELECT value FROM node WHERE name = :name

-- name: set_node
INSERT INTO node (name, value) VALUES (:name, :value)

-- name: put_node
INSERT INTO node (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: deliveries
SELECT scan_research_id, number, state, path FROM delivery ORDER BY scan_research_id, number

-- name: visit_file
SELECT delivery FROM instance WHERE scan_research_id = :scan_research_id AND file_name = :file_name

-- name: known_source
SELECT source_digest, digest, recipe FROM instance WHERE source_uid = :source_uid

-- name: instance
SELECT sop_instance_uid, source_uid, source_digest, digest, scan_research_id, delivery, file_name
FROM instance WHERE sop_instance_uid = :sop_instance_uid

-- name: instance_or_source
SELECT sop_instance_uid, source_uid, source_digest, digest, scan_research_id, delivery, stored_at
FROM instance WHERE sop_instance_uid = :sop_instance_uid OR source_uid = :source_uid

-- name: add_instance
INSERT INTO instance (
    sop_instance_uid, source_uid, source_digest, digest, size, scan_research_id, delivery, series_uid,
    sop_class_uid, transfer_syntax, file_name, recipe, stored_at
) VALUES (
    :sop_instance_uid, :source_uid, :source_digest, :digest, :size, :scan_research_id, :delivery, :series_uid,
    :sop_class_uid, :transfer_syntax, :file_name, :recipe, :now
) ON CONFLICT DO NOTHING

-- name: put_instance
UPDATE instance SET
    scan_research_id = :scan_research_id, delivery = :delivery, file_name = :file_name, stored_at = :now
WHERE sop_instance_uid = :sop_instance_uid
  AND scan_research_id = :lost_visit AND delivery = :lost_delivery AND stored_at = :lost_since

-- name: places
SELECT i.file_name, i.scan_research_id, i.delivery AS number, i.stored_at, d.state, d.path
FROM instance AS i JOIN delivery AS d ON d.scan_research_id = i.scan_research_id AND d.number = i.delivery
WHERE i.source_uid = :source_uid OR i.sop_instance_uid = :sop_instance_uid

-- name: name_source
UPDATE instance SET source_uid = :source_uid, source_digest = :source_digest
WHERE sop_instance_uid = :sop_instance_uid AND source_uid IS NULL

-- name: forget_sources
UPDATE instance SET source_uid = NULL, source_digest = NULL WHERE source_uid IS NOT NULL

-- name: forget_volume_sources
UPDATE volume SET source = NULL WHERE source IS NOT NULL

-- name: add_visit
INSERT INTO visit (scan_research_id, pseudonym, created_at) VALUES (:scan_research_id, :pseudonym, :now)
ON CONFLICT DO NOTHING

-- name: open_delivery
SELECT scan_research_id, number FROM delivery
WHERE scan_research_id = :scan_research_id
  AND state IN ('receiving', 'reopened', 'quiet', 'checked', 'held', 'quarantined', 'rejected', 'approved')

-- name: last_delivery
SELECT COALESCE(MAX(number), 0) AS number FROM delivery WHERE scan_research_id = :scan_research_id

-- name: add_delivery
INSERT INTO delivery (scan_research_id, number, state, first_arrival, last_arrival)
VALUES (:scan_research_id, :number, CASE WHEN :number > 1 THEN 'reopened' ELSE 'receiving' END, :now, :now)

-- name: delivery_state
SELECT d.state, v.moves FROM delivery AS d JOIN visit AS v ON v.scan_research_id = d.scan_research_id
WHERE d.scan_research_id = :scan_research_id AND d.number = :number

-- name: has_moved
SELECT 1 FROM visit AS v
WHERE v.scan_research_id IN (:scan_research_id, :other)
  AND (
      (v.scan_research_id = :scan_research_id AND :moves IS NOT NULL AND v.moves > :moves)
      OR EXISTS (
          SELECT 1 FROM delivery AS d WHERE d.scan_research_id = v.scan_research_id AND d.state IN ('moving', 'merged')
      )
  )

-- name: touch_delivery
UPDATE delivery SET
    last_arrival = :now,
    calling = CASE
        WHEN :calling = '' THEN calling
        WHEN calling IS NULL THEN :calling
        WHEN REPLACE('\' || calling || '\', '\' || :calling || '\', '') <> '\' || calling || '\' THEN calling
        ELSE calling || '\' || :calling
    END
WHERE scan_research_id = :scan_research_id AND number = :number AND state IN ('receiving', 'reopened')
  AND (:moves IS NULL OR :moves >= (SELECT v.moves FROM visit AS v WHERE v.scan_research_id = :scan_research_id))

-- name: reopen_delivery
UPDATE delivery SET
    last_arrival = :now,
    state = CASE WHEN number > 1 THEN 'reopened' ELSE 'receiving' END,
    calling = CASE
        WHEN :calling = '' THEN calling
        WHEN calling IS NULL THEN :calling
        WHEN REPLACE('\' || calling || '\', '\' || :calling || '\', '') <> '\' || calling || '\' THEN calling
        ELSE calling || '\' || :calling
    END
WHERE scan_research_id = :scan_research_id AND number = :number
  AND state IN ('quiet', 'checked', 'held', 'quarantined', 'rejected', 'approved')
  AND (:moves IS NULL OR :moves >= (SELECT v.moves FROM visit AS v WHERE v.scan_research_id = :scan_research_id))

-- name: add_entered
INSERT INTO delivery_entered (scan_research_id, number, state, why, entered_at)
SELECT scan_research_id, number, state, :why, :now FROM delivery
WHERE scan_research_id = :scan_research_id AND number = :number

-- name: enter_state
UPDATE delivery SET state = :state
WHERE scan_research_id = :scan_research_id AND number = :number AND state = :before AND last_arrival = :last_arrival

-- name: was_in_state
SELECT 1 FROM delivery_entered WHERE scan_research_id = :scan_research_id AND number = :number AND state = :state

-- name: quiet_deliveries
SELECT d.scan_research_id, d.number, d.state, d.path, d.last_arrival, d.calling
FROM delivery AS d
WHERE d.state IN ('receiving', 'reopened') AND d.last_arrival <= :before
  AND EXISTS (
      SELECT 1 FROM instance AS i WHERE i.scan_research_id = d.scan_research_id AND i.delivery = d.number
  )
ORDER BY d.last_arrival

-- name: of_the_future
SELECT 1 FROM delivery WHERE state IN ('receiving', 'reopened') AND last_arrival > :after LIMIT 1

-- name: bring_back
UPDATE delivery SET last_arrival = :now WHERE state IN ('receiving', 'reopened') AND last_arrival > :after

-- name: deliveries_in_state
SELECT scan_research_id, number, state, path, last_arrival, calling FROM delivery WHERE state = :state
ORDER BY scan_research_id, number

-- name: deliveries_of_visit
SELECT scan_research_id, number, state, path, last_arrival, calling FROM delivery
WHERE scan_research_id = :scan_research_id ORDER BY number

-- name: delivery_files
SELECT file_name, digest, size FROM instance
WHERE scan_research_id = :scan_research_id AND delivery = :number ORDER BY file_name

-- name: delivery_names
SELECT file_name FROM instance WHERE scan_research_id = :scan_research_id AND delivery = :number

-- name: begin_publishing
UPDATE delivery SET state = 'publishing', path = :path
WHERE scan_research_id = :scan_research_id AND number = :number AND state IN ('approved', 'publishing')
  AND NOT EXISTS (
      SELECT 1 FROM delivery AS e WHERE e.scan_research_id = :scan_research_id AND e.state = 'expiring'
  )
  AND NOT EXISTS (SELECT 1 FROM move AS m WHERE m.target = :scan_research_id)

-- name: finish_publishing
UPDATE delivery SET state = 'published', published_at = :now
WHERE scan_research_id = :scan_research_id AND number = :number AND state = 'publishing'

-- name: visits
SELECT v.scan_research_id, v.pseudonym, d.number AS deliveries, d.state, d.path, d.last_arrival, d.published_at,
       (SELECT COUNT(*) FROM instance AS i WHERE i.scan_research_id = v.scan_research_id) AS instances,
       (SELECT COUNT(DISTINCT i.series_uid) FROM instance AS i WHERE i.scan_research_id = v.scan_research_id) AS series
FROM visit AS v
JOIN delivery AS d ON d.scan_research_id = v.scan_research_id
WHERE d.number = (SELECT MAX(l.number) FROM delivery AS l WHERE l.scan_research_id = v.scan_research_id)
ORDER BY d.last_arrival DESC, v.scan_research_id

-- name: visit_deliveries
SELECT d.number, d.state, d.path, d.calling, d.first_arrival, d.last_arrival, d.published_at,
       COUNT(i.sop_instance_uid) AS instances
FROM delivery AS d
LEFT JOIN instance AS i ON i.scan_research_id = d.scan_research_id AND i.delivery = d.number
WHERE d.scan_research_id = :scan_research_id
GROUP BY d.number, d.state, d.path, d.calling, d.first_arrival, d.last_arrival, d.published_at
ORDER BY d.number

-- name: visit_states
SELECT number, state, entered_at, why FROM (
    SELECT number, CASE WHEN number > 1 THEN 'reopened' ELSE 'receiving' END AS state, first_arrival AS entered_at,
           'first arrival' AS why, 0 AS later
    FROM delivery WHERE scan_research_id = :scan_research_id
    UNION ALL
    SELECT number, state, entered_at, why, 1 AS later FROM delivery_entered WHERE scan_research_id = :scan_research_id
) AS entered ORDER BY number, entered_at, later

-- name: visit_series
SELECT series_uid, sop_class_uid, transfer_syntax, recipe, COUNT(*) AS instances, SUM(size) AS bytes
FROM instance WHERE scan_research_id = :scan_research_id
GROUP BY series_uid, sop_class_uid, transfer_syntax, recipe ORDER BY series_uid, transfer_syntax, recipe

-- name: visits_by_state
SELECT d.state, COUNT(*) AS visits FROM delivery AS d
WHERE d.number = (SELECT MAX(l.number) FROM delivery AS l WHERE l.scan_research_id = d.scan_research_id)
GROUP BY d.state

-- name: totals
SELECT COUNT(*) AS instances, COALESCE(SUM(size), 0) AS bytes, MAX(stored_at) AS last_stored FROM instance

-- name: quarantined
SELECT id FROM quarantine WHERE outcome = :outcome AND fingerprint = :fingerprint

-- name: add_quarantine
INSERT INTO quarantine (id, outcome, why, fingerprint, size, received_at)
VALUES (:id, :outcome, :why, :fingerprint, :size, :now)
ON CONFLICT DO NOTHING

-- name: forget_quarantine
DELETE FROM quarantine WHERE id = :id

-- name: quarantine
SELECT id, outcome, why, size, received_at FROM quarantine ORDER BY received_at, id

-- name: quarantine_entry
SELECT id, outcome, why, size, received_at FROM quarantine WHERE id = :id

-- name: quarantine_by_outcome
SELECT outcome, COUNT(*) AS instances, SUM(size) AS bytes FROM quarantine GROUP BY outcome ORDER BY outcome

-- name: recent_visits
SELECT d.scan_research_id, d.state, d.last_arrival,
       (SELECT COUNT(*) FROM instance AS i WHERE i.scan_research_id = d.scan_research_id) AS instances
FROM (
    SELECT scan_research_id, state, MAX(last_arrival) AS last_arrival FROM delivery
    GROUP BY scan_research_id ORDER BY 3 DESC, scan_research_id LIMIT :most
) AS d ORDER BY d.last_arrival DESC, d.scan_research_id

-- name: unremoved_quarantine
SELECT id, outcome FROM expired_quarantine WHERE removed = 0

-- name: volume_files
SELECT v.path, v.name, v.stored, f.file_name, f.digest
FROM volume AS v LEFT JOIN volume_file AS f ON f.name = v.name ORDER BY v.path, v.name, f.file_name

-- name: nifti_exports
SELECT DISTINCT scan_research_id FROM export WHERE name = 'nifti'
