-- name: node
SELECT value FROM node WHERE name = :name

-- name: set_node
INSERT INTO node (name, value) VALUES (:name, :value)

-- name: put_node
INSERT INTO node (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: subjects
SELECT pseudonym, secret, identity FROM subject

-- name: visits_of
SELECT scan_research_id, identity FROM visit WHERE pseudonym = :pseudonym

-- name: reseal_subject
UPDATE subject SET blind = :blind, secret = :secret, identity = :identity WHERE pseudonym = :pseudonym

-- name: reseal_visit
UPDATE visit SET blind = :blind, identity = :identity WHERE scan_research_id = :scan_research_id

-- name: visit
SELECT s.pseudonym, s.secret, r.scan_research_id, r.moves
FROM visit AS v
JOIN visit AS r ON r.scan_research_id = COALESCE(v.moved_to, v.scan_research_id)
JOIN subject AS s ON s.pseudonym = v.pseudonym
JOIN study AS t ON t.blind = :study AND t.subject = s.blind
WHERE v.scan_research_id = COALESCE(
    (SELECT p.scan_research_id FROM placed AS p WHERE p.blind = :member AND p.moved = 1),
    (SELECT m.scan_research_id FROM member AS m WHERE m.blind = :member AND :hours > 0),
    (SELECT f.scan_research_id FROM visit AS f WHERE f.blind = :visit AND :hours = 0)
) AND s.blind = :subject
  AND (:sex IS NULL OR t.sex = :sex) AND (:birth_date IS NULL OR t.birth_date = :birth_date)

-- name: members_of
SELECT m.blind, m.scan_research_id, m.identity, m.begins
FROM member AS m JOIN visit AS v ON v.scan_research_id = m.scan_research_id
WHERE v.pseudonym = :pseudonym

-- name: add_member
INSERT INTO member (blind, scan_research_id, identity, begins) VALUES (:member, :scan_research_id, :identity, :begins)

-- name: reseal_member
UPDATE member SET blind = :member, identity = :identity, begins = :begins WHERE blind = :before

-- name: add_study
INSERT INTO study (blind, subject) VALUES (:study, :subject)
ON CONFLICT DO NOTHING

-- name: forget_studies
DELETE FROM study

-- name: know_study
UPDATE study SET sex = COALESCE(sex, :sex), birth_date = COALESCE(birth_date, :birth_date)
WHERE blind = :study AND subject = :subject
  AND (sex IS NULL OR :sex IS NULL OR sex = :sex)
  AND (birth_date IS NULL OR :birth_date IS NULL OR birth_date = :birth_date)

-- name: subject
SELECT pseudonym, secret FROM subject WHERE blind = :subject

-- name: add_subject
INSERT INTO subject (pseudonym, blind, secret, identity, created_at)
VALUES (:pseudonym, :subject, :secret, :identity, :now)

-- name: add_visit
INSERT INTO visit (scan_research_id, pseudonym, blind, identity, created_at)
VALUES (:scan_research_id, :pseudonym, :visit, :identity, :now)
ON CONFLICT DO NOTHING

-- name: count
SELECT (SELECT COUNT(*) FROM subject) AS subjects, (SELECT COUNT(*) FROM visit) AS visits

-- name: add_placed
INSERT INTO placed (blind, scan_research_id, identity, moved) VALUES (:member, :scan_research_id, :identity, 0)
ON CONFLICT (blind) DO UPDATE SET scan_research_id = excluded.scan_research_id, identity = excluded.identity
WHERE placed.moved = 0

-- name: placed_of
SELECT p.blind, p.scan_research_id, p.identity
FROM placed AS p JOIN visit AS v ON v.scan_research_id = p.scan_research_id
WHERE v.pseudonym = :pseudonym

-- name: reseal_placed
UPDATE placed SET blind = :member, identity = :identity WHERE blind = :before

-- name: studies_of
SELECT v.scan_research_id, v.identity, 'visit.identity' AS sealed FROM visit AS v
WHERE v.scan_research_id = :scan_research_id OR v.moved_to = :scan_research_id
UNION ALL
SELECT m.scan_research_id, m.identity, 'member.identity' FROM member AS m
JOIN visit AS v ON v.scan_research_id = m.scan_research_id
WHERE v.scan_research_id = :scan_research_id OR v.moved_to = :scan_research_id
UNION ALL
SELECT p.scan_research_id, p.identity, 'placed.identity' FROM placed AS p
JOIN visit AS v ON v.scan_research_id = p.scan_research_id
WHERE v.scan_research_id = :scan_research_id OR v.moved_to = :scan_research_id

-- name: subject_of
SELECT s.pseudonym, s.secret, s.identity FROM subject AS s JOIN visit AS v ON v.pseudonym = s.pseudonym
WHERE v.scan_research_id = :scan_research_id

-- name: redirect
UPDATE visit SET moved_to = :target
WHERE (scan_research_id = :source OR moved_to = :source)
  AND pseudonym = (SELECT t.pseudonym FROM visit AS t WHERE t.scan_research_id = :target)

-- name: move_study
INSERT INTO placed (blind, scan_research_id, identity, moved) VALUES (:member, :scan_research_id, :identity, 1)
ON CONFLICT (blind) DO UPDATE SET scan_research_id = excluded.scan_research_id, identity = excluded.identity, moved = 1

-- name: set_moves
UPDATE visit SET moves = :moves WHERE scan_research_id = :scan_research_id AND moves < :moves
