-- name: movable
SELECT d.number, d.state, v.pseudonym, v.moves,
       (SELECT COUNT(*) FROM instance AS i WHERE i.scan_research_id = d.scan_research_id) AS instances,
       (SELECT COUNT(*) FROM volume AS o WHERE o.scan_research_id = d.scan_research_id) AS volumes,
       (SELECT COUNT(*) FROM move AS m WHERE :scan_research_id IN (m.source, m.target)) AS moving
FROM delivery AS d JOIN visit AS v ON v.scan_research_id = d.scan_research_id
WHERE d.scan_research_id = :scan_research_id ORDER BY d.number DESC

-- name: unfinished_moves
SELECT source, target, study, moves, phase, why FROM move ORDER BY begun_at, source

-- name: add_move
INSERT INTO move (source, target, study, moves, phase, why, begun_at)
VALUES (:source, :target, :study, :moves, 'begun', :why, :now)

-- name: set_visit_moves
UPDATE visit SET moves = :moves WHERE scan_research_id = :source

-- name: set_moving
UPDATE delivery SET state = 'moving'
WHERE scan_research_id = :scan_research_id AND number = :number
  AND state IN ('receiving', 'quiet', 'checked', 'held', 'quarantined', 'rejected')

-- name: pseudonym
SELECT pseudonym FROM visit WHERE scan_research_id = :scan_research_id

-- name: calling
SELECT COALESCE(calling, '') AS calling FROM delivery WHERE scan_research_id = :scan_research_id AND number = :number

-- name: move_instance
UPDATE instance SET scan_research_id = :target, delivery = :number, digest = :digest, file_name = :file_name
WHERE scan_research_id = :source AND delivery = :source_number AND file_name = :before

-- name: set_moved
UPDATE move SET phase = 'moved' WHERE source = :source

-- name: was_rejected
INSERT INTO delivery_entered (scan_research_id, number, state, why, entered_at)
SELECT :target, :number, 'rejected', :why, :now
WHERE EXISTS (
    SELECT 1 FROM delivery_entered AS e
    WHERE e.scan_research_id = :source AND e.number = :source_number AND e.state = 'rejected'
)

-- name: end_moving
UPDATE delivery SET state = :state, last_arrival = CASE WHEN :state = 'merged' THEN last_arrival ELSE :now END
WHERE scan_research_id = :scan_research_id AND number = :number AND state = 'moving'

-- name: forget_move
DELETE FROM move WHERE source = :source
