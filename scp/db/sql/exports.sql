-- name: offer
INSERT INTO export (name, scan_research_id, number, state, tries, why, changed_at, next_at)
SELECT :name, scan_research_id, number, 'waiting', 0, '', :now, :now FROM delivery
WHERE state = 'published' AND published_at >= :since
ON CONFLICT DO NOTHING

-- name: due
SELECT e.name, e.scan_research_id, e.number, e.tries, d.path
FROM export AS e
JOIN delivery AS d ON d.scan_research_id = e.scan_research_id AND d.number = e.number
WHERE e.state = 'waiting' AND e.next_at <= :now AND d.state = 'published'
ORDER BY e.next_at, e.scan_research_id, e.number, e.name

-- name: places
SELECT DISTINCT path FROM delivery WHERE scan_research_id = :scan_research_id AND state = 'published' ORDER BY path

-- name: change
UPDATE export SET state = :state, tries = :tries, why = :why, changed_at = :now, next_at = :next
WHERE name = :name AND scan_research_id = :scan_research_id AND number = :number

-- name: again
UPDATE export SET state = 'waiting', tries = 0, changed_at = :now, next_at = :now
WHERE scan_research_id = :scan_research_id AND name = :name

-- name: exports
SELECT name, scan_research_id, number, state, tries, why, changed_at FROM export
ORDER BY changed_at DESC, scan_research_id, number, name

-- name: exports_by_state
SELECT name, state, COUNT(*) AS deliveries FROM export GROUP BY name, state ORDER BY name, state
