"""People's counted votes by what they share: the rater who gave them, the prompt they are on. As numbers, never a row a vote."""

from typing import NamedTuple

from sqlite_utils import Database


class Cluster(NamedTuple):
    """Votes on two models that share their rater (or their prompt): how many the first model won, lost and tied.

    The models are the numbers of their rows, the lower one first; both are one where its own answers met.
    """

    first: int
    second: int
    won: int
    lost: int
    tied: int


# won and lost as the lower model has it, whichever slot it stood in
_PAIR = "min(b.model_a, b.model_b), max(b.model_a, b.model_b)"
_PEOPLE = """SELECT id FROM raters WHERE kind = 'person'
  EXCEPT SELECT rater FROM excluded_raters EXCEPT SELECT rater FROM withdrawals"""
_LEAKED = """SELECT c.battle FROM battle_cover c JOIN campaigns k ON k.id = c.campaign AND k.count_leaked = 0
  WHERE c.campaign = ?1 AND c.leaked = 1"""

# the kept counts, less the votes on battles that give a model away: there are few, so that they are found first (CROSS JOIN)
_BY_RATER = f"""SELECT {_PAIR}, sum(n * (outcome = CASE WHEN model_a < model_b THEN 'a' ELSE 'b' END)),
  sum(n * (outcome = CASE WHEN model_a < model_b THEN 'b' ELSE 'a' END)), sum(n * (outcome NOT IN ('a', 'b')))
FROM (
  SELECT model_a, model_b, rater, outcome, n FROM vote_counts WHERE campaign = ?1
  UNION ALL SELECT w.model_a, w.model_b, v.rater, v.outcome, -1 FROM ({_LEAKED}) l CROSS JOIN battles w ON w.id = l.battle
  CROSS JOIN votes v ON v.battle = l.battle AND v.import IS NULL
  CROSS JOIN assignments s ON s.id = v.assignment AND s.kind = 'battle'
  WHERE NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)) b
WHERE outcome <> 'skip' AND rater IN ({_PEOPLE}) GROUP BY 1, 2, rater HAVING sum(n) > 0"""

# `counted` of vote_states set by set: what is rare is gathered once instead of asked for at each of a million votes
_BY_PROMPT = f"""SELECT {_PAIR}, sum(CASE WHEN b.model_a < b.model_b THEN c.a ELSE c.b END),
  sum(CASE WHEN b.model_a < b.model_b THEN c.b ELSE c.a END), sum(c.n - c.a - c.b)
FROM (
  SELECT v.battle, sum(v.outcome = 'a') AS a, sum(v.outcome = 'b') AS b, count(*) AS n
  FROM votes v INDEXED BY votes_by_campaign
  WHERE v.campaign = ?1 AND v.outcome <> 'skip' AND v.rater IN ({_PEOPLE})
  AND v.id NOT IN (SELECT vote FROM retractions)
  AND (v.import IS NULL OR v.import IN (SELECT id FROM imports WHERE finished_at IS NOT NULL))
  AND (v.import IS NOT NULL OR v.battle NOT IN ({_LEAKED}))
  AND (v.assignment IS NULL OR v.assignment NOT IN (SELECT id FROM assignments WHERE kind <> 'battle'))
  GROUP BY v.battle) c JOIN battles b ON b.id = c.battle GROUP BY 1, 2, b.prompt"""


def by_rater(db: Database, campaign: int) -> list[Cluster]:
    """The votes of each person on each two models, from the counts kept up, which `check` holds against the votes."""
    return [Cluster(*r) for r in db.conn.execute(_BY_RATER, (campaign,))]


def by_prompt(db: Database, campaign: int) -> list[Cluster]:
    """People's votes on each prompt and each two models; reads every vote of the campaign once."""
    return [Cluster(*r) for r in db.conn.execute(_BY_PROMPT, (campaign,))]
