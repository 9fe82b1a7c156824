CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
--
INSERT INTO "_sqlite_migrations" VALUES (1, 'tastebench', 'm001_catalog', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "_sqlite_migrations" VALUES (2, 'tastebench', 'm002_campaigns', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "_sqlite_migrations" VALUES (3, 'tastebench', 'm003_votes', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "_sqlite_migrations" VALUES (4, 'tastebench', 'm004_runs', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "_sqlite_migrations" VALUES (5, 'tastebench', 'm005_items', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "_sqlite_migrations" VALUES (6, 'tastebench', 'm006_sessions', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "_sqlite_migrations" VALUES (7, 'tastebench', 'm007_following', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "_sqlite_migrations" VALUES (8, 'tastebench', 'm008_promotions', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "_sqlite_migrations" VALUES (9, 'tastebench', 'm009_queue', '2025-06-01T10:00:00.000Z');
--
CREATE TABLE imports (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL, source TEXT NOT NULL, campaign INTEGER,
  read INTEGER NOT NULL DEFAULT 0, added INTEGER NOT NULL DEFAULT 0,
  already_there INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0,
  started_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), finished_at TEXT
) STRICT;
--
INSERT INTO "imports" VALUES (1, 'prompts', 'a.jsonl', NULL, 4, 4, 0, 0, '2025-06-01T10:00:00.000Z', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "imports" VALUES (2, 'votes', 'v.jsonl', 2, 1, 1, 0, 0, '2025-06-01T10:00:00.000Z', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "imports" VALUES (3, 'votes', 'cut off.jsonl', 2, 0, 0, 0, 0, '2025-06-01T10:00:00.000Z', NULL);
--
CREATE TABLE prompts (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
  messages TEXT NOT NULL CHECK (json_valid(messages)),
  text TEXT NOT NULL,
  split TEXT NOT NULL CHECK (split IN ('train', 'heldout')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
--
INSERT INTO "prompts" VALUES (1, 'f294dc3801db80fd586885eb7526b089', '[{"role": "user", "content": "Why is the sky blue?"}]', 'Why is the sky blue?', 'train', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "prompts" VALUES (2, 'ce40aebfa388a09aecf0182c55a9976b', '[{"role": "user", "content": "Name a river."}]', 'Name a river.', 'train', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "prompts" VALUES (3, '7ce5ca59e20740e7d1e887450e7d43a9', '[{"role": "user", "content": "How long is a day?"}]', 'How long is a day?', 'train', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "prompts" VALUES (4, '8c2219dc50ca67def0131b936a305b21', '[{"role": "user", "content": "What is held out?"}]', 'What is held out?', 'heldout', '2025-06-01T10:00:00.000Z');
--
INSERT INTO "prompts" VALUES (5, '11b83f37c9f961576f5329207ff9124e', '[{"role": "user", "content": "Two and two?"}]', 'Two and two?', 'train', '2025-06-01T10:00:00.000Z');
--
CREATE TABLE prompt_tags (
  prompt TEXT NOT NULL REFERENCES prompts(id), tag TEXT NOT NULL CHECK (tag <> ''),
  PRIMARY KEY (prompt, tag)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "prompt_tags" VALUES ('7ce5ca59e20740e7d1e887450e7d43a9', 'geography');
--
INSERT INTO "prompt_tags" VALUES ('8c2219dc50ca67def0131b936a305b21', 'geography');
--
INSERT INTO "prompt_tags" VALUES ('ce40aebfa388a09aecf0182c55a9976b', 'geography');
--
INSERT INTO "prompt_tags" VALUES ('f294dc3801db80fd586885eb7526b089', 'geography');
--
CREATE TABLE prompt_refs (
  ref TEXT NOT NULL, prompt TEXT NOT NULL REFERENCES prompts(id),
  PRIMARY KEY (ref, prompt)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "prompt_refs" VALUES ('How l', '7ce5ca59e20740e7d1e887450e7d43a9');
--
INSERT INTO "prompt_refs" VALUES ('Name ', 'ce40aebfa388a09aecf0182c55a9976b');
--
INSERT INTO "prompt_refs" VALUES ('What ', '8c2219dc50ca67def0131b936a305b21');
--
INSERT INTO "prompt_refs" VALUES ('Why i', 'f294dc3801db80fd586885eb7526b089');
--
CREATE TABLE prompt_sets (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
--
INSERT INTO "prompt_sets" VALUES (1, 'asked', '2025-06-01T10:00:00.000Z');
--
CREATE TABLE prompt_set_members (
  prompt_set INTEGER NOT NULL REFERENCES prompt_sets(id), prompt TEXT NOT NULL REFERENCES prompts(id),
  PRIMARY KEY (prompt_set, prompt)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "prompt_set_members" VALUES (1, '7ce5ca59e20740e7d1e887450e7d43a9');
--
INSERT INTO "prompt_set_members" VALUES (1, '8c2219dc50ca67def0131b936a305b21');
--
INSERT INTO "prompt_set_members" VALUES (1, 'ce40aebfa388a09aecf0182c55a9976b');
--
INSERT INTO "prompt_set_members" VALUES (1, 'f294dc3801db80fd586885eb7526b089');
--
CREATE TABLE models (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  kind TEXT NOT NULL CHECK (kind IN ('checkpoint', 'adapter', 'endpoint', 'recorded')),
  source TEXT, adapter TEXT,
  quantize TEXT CHECK (quantize IN ('4bit', '8bit')),
  endpoint TEXT, remote_name TEXT,
  parent INTEGER REFERENCES models(id), run INTEGER REFERENCES runs(id),
  note TEXT NOT NULL DEFAULT '',
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  removed_at TEXT,
  CHECK ((kind IN ('checkpoint', 'adapter')) = (source IS NOT NULL)),
  CHECK ((kind = 'adapter') = (adapter IS NOT NULL)),
  CHECK ((kind = 'endpoint') = (endpoint IS NOT NULL)),
  CHECK (run IS NULL OR parent IS NOT NULL)
) STRICT;
--
INSERT INTO "models" VALUES (1, 'north', 'recorded', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', '2025-06-01T10:00:00.000Z', NULL);
--
INSERT INTO "models" VALUES (2, 'south', 'recorded', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', '2025-06-01T10:00:00.000Z', NULL);
--
INSERT INTO "models" VALUES (3, 'first-r1', 'recorded', NULL, NULL, NULL, NULL, NULL, 1, 1, '', '2025-06-01T10:00:00.000Z', NULL);
--
CREATE TABLE responses (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
  prompt TEXT NOT NULL REFERENCES prompts(id),
  model INTEGER REFERENCES models(id),
  text TEXT,
  sample INTEGER NOT NULL DEFAULT 0 CHECK (sample >= 0),
  finish_reason TEXT, settings TEXT CHECK (settings IS NULL OR json_valid(settings)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  UNIQUE (prompt, id)
) STRICT;
--
INSERT INTO "responses" VALUES (1, '700688bf84e5d74aa2886093dbbff71b', 'f294dc3801db80fd586885eb7526b089', 1, 'A long answer to Why is the sky blue?', 0, NULL, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "responses" VALUES (2, 'd191f853ed721d9311b4297a6cd4ad9d', 'f294dc3801db80fd586885eb7526b089', 2, 'No. Why is the sky blue?', 0, NULL, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "responses" VALUES (3, 'a08181f8a43d5cd72363d8f18cb89683', 'ce40aebfa388a09aecf0182c55a9976b', 1, 'A long answer to Name a river.', 0, NULL, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "responses" VALUES (4, 'af4c0cd5e35df48770dc60a549647032', 'ce40aebfa388a09aecf0182c55a9976b', 2, 'No. Name a river.', 0, NULL, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "responses" VALUES (5, 'be1500bfd0a9276dd0d2e413acad8058', '7ce5ca59e20740e7d1e887450e7d43a9', 1, 'A long answer to How long is a day?', 0, NULL, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "responses" VALUES (6, 'db890a7306be3341eb29b46807fcef73', '7ce5ca59e20740e7d1e887450e7d43a9', 2, 'No. How long is a day?', 0, NULL, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "responses" VALUES (7, 'babdd11e6ac9b8c92fdf33e52aeeaec3', '8c2219dc50ca67def0131b936a305b21', 1, 'A long answer to What is held out?', 0, NULL, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "responses" VALUES (8, '34e5fd503160c02cafcb7d0ca9f7fc72', '8c2219dc50ca67def0131b936a305b21', 2, 'No. What is held out?', 0, NULL, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "responses" VALUES (9, '8668d46399e2501f14357214a2f138c4', '11b83f37c9f961576f5329207ff9124e', 1, 'Four.', 0, NULL, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "responses" VALUES (10, '0181a67601f2b7a095bfcf58329c83a1', '11b83f37c9f961576f5329207ff9124e', 2, 'Five.', 0, NULL, NULL, '2025-06-01T10:00:00.000Z');
--
CREATE TABLE scores (
  response TEXT NOT NULL REFERENCES responses(id), scorer TEXT NOT NULL CHECK (scorer <> ''),
  score REAL NOT NULL, truncated INTEGER NOT NULL DEFAULT 0 CHECK (truncated IN (0, 1)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  PRIMARY KEY (response, scorer)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "scores" VALUES ('34e5fd503160c02cafcb7d0ca9f7fc72', 'judge of length', 21.0, 0, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "scores" VALUES ('700688bf84e5d74aa2886093dbbff71b', 'judge of length', 37.0, 0, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "scores" VALUES ('a08181f8a43d5cd72363d8f18cb89683', 'judge of length', 30.0, 0, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "scores" VALUES ('af4c0cd5e35df48770dc60a549647032', 'judge of length', 17.0, 0, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "scores" VALUES ('babdd11e6ac9b8c92fdf33e52aeeaec3', 'judge of length', 34.0, 0, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "scores" VALUES ('be1500bfd0a9276dd0d2e413acad8058', 'judge of length', 35.0, 0, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "scores" VALUES ('d191f853ed721d9311b4297a6cd4ad9d', 'judge of length', 24.0, 0, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "scores" VALUES ('db890a7306be3341eb29b46807fcef73', 'judge of length', 22.0, 0, '2025-06-01T10:00:00.000Z');
--
CREATE TABLE settings (
  name TEXT PRIMARY KEY, value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
--
INSERT INTO "settings" VALUES ('reward_model', 'someone/model');
--
CREATE TABLE audit (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), who TEXT NOT NULL, what TEXT NOT NULL
) STRICT;
--
INSERT INTO "audit" VALUES (1, '2025-06-01T10:00:00.000Z', 'owner', 'began');
--
CREATE VIRTUAL TABLE "prompts_fts" USING FTS5 (
    "text",
    content="prompts"
);
--
CREATE TABLE campaigns (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  prompts TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('draft', 'open', 'paused', 'closed')),
  purpose TEXT NOT NULL CHECK (purpose IN ('collect', 'evaluate')),
  overlap INTEGER NOT NULL DEFAULT 1 CHECK (overlap >= 1),
  criteria TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(criteria)),
  guidelines TEXT NOT NULL DEFAULT '',
  consent_text TEXT NOT NULL DEFAULT '', consent_version TEXT NOT NULL DEFAULT '',
  reveal TEXT NOT NULL DEFAULT 'never' CHECK (reveal IN ('never', 'each', 'end')),
  undo_seconds INTEGER NOT NULL DEFAULT 600 CHECK (undo_seconds >= 0),
  lease_seconds INTEGER NOT NULL DEFAULT 900 CHECK (lease_seconds > 0),
  target INTEGER CHECK (target > 0),
  rater_cap INTEGER CHECK (rater_cap > 0),
  lineage INTEGER REFERENCES campaigns(id),
  parent_run INTEGER REFERENCES runs(id),
  demo TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
, version INTEGER NOT NULL DEFAULT 1 CHECK (version >= 1), previous INTEGER REFERENCES campaigns(id), starts_at TEXT, ends_at TEXT, scanned_at TEXT, ask_strength INTEGER NOT NULL DEFAULT 0 CHECK (ask_strength IN (0, 1)), ask_acceptable INTEGER NOT NULL DEFAULT 0 CHECK (ask_acceptable IN (0, 1)), ask_comment INTEGER NOT NULL DEFAULT 0 CHECK (ask_comment IN (0, 1)), ask_better INTEGER NOT NULL DEFAULT 0 CHECK (ask_better IN (0, 1)), reason_tags TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(reason_tags)), follow_turns INTEGER NOT NULL DEFAULT 0 CHECK (follow_turns IN (0, 1)), time_floor REAL NOT NULL DEFAULT 0 CHECK (time_floor >= 0), gold_rate REAL NOT NULL DEFAULT 0 CHECK (gold_rate BETWEEN 0 AND 0.5), repeat_rate REAL NOT NULL DEFAULT 0 CHECK (repeat_rate BETWEEN 0 AND 0.5), practice INTEGER NOT NULL DEFAULT 0 CHECK (practice >= 0), quiz TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(quiz)), sampling TEXT NOT NULL DEFAULT 'least_covered' CHECK (sampling IN ('least_covered', 'uniform', 'most_uncertain', 'judge_disagreement')), random_share REAL NOT NULL DEFAULT 0.2 CHECK (random_share > 0 AND random_share <= 1), guard TEXT NOT NULL DEFAULT 'hold' CHECK (guard IN ('hold', 'redact', 'allow')), count_leaked INTEGER NOT NULL DEFAULT 0 CHECK (count_leaked IN (0, 1)), warn_below REAL NOT NULL DEFAULT 0.7 CHECK (warn_below BETWEEN 0 AND 1), block_below REAL NOT NULL DEFAULT 0 CHECK (block_below BETWEEN 0 AND 1), recruit TEXT NOT NULL DEFAULT 'link' CHECK (recruit IN ('link', 'prolific', 'mturk')), completion_code TEXT NOT NULL DEFAULT '', screenout_code TEXT NOT NULL DEFAULT '', completion_url TEXT NOT NULL DEFAULT '', screenout_url TEXT NOT NULL DEFAULT '', share_results INTEGER NOT NULL DEFAULT 0 CHECK (share_results IN (0, 1)), recruited TEXT NOT NULL DEFAULT '', license TEXT NOT NULL DEFAULT '') STRICT;
--
INSERT INTO "campaigns" VALUES (1, 'first', 'asked', 'open', 'collect', 2, '["polite"]', '', '', '', 'never', 600, 900, NULL, NULL, 1, NULL, NULL, '2025-06-01T10:00:00.000Z', 1, NULL, NULL, NULL, '2025-06-01T10:00:00.000Z', 0, 0, 0, 0, '[]', 0, 0.0, 0.0, 0.0, 0, '[]', 'least_covered', 0.2, 'hold', 0, 0.7, 0.0, 'link', '', '', '', '', 0, '', '');
--
INSERT INTO "campaigns" VALUES (2, 'check', 'heldout', 'closed', 'evaluate', 1, '[]', '', '', '', 'never', 600, 900, NULL, NULL, 2, NULL, NULL, '2025-06-01T10:00:00.000Z', 1, NULL, NULL, NULL, '2025-06-01T10:00:00.000Z', 0, 0, 0, 0, '[]', 0, 0.0, 0.0, 0.0, 0, '[]', 'least_covered', 0.2, 'hold', 0, 0.7, 0.0, 'link', '', '', '', '', 0, '', '');
--
CREATE TABLE campaign_models (
  campaign INTEGER NOT NULL REFERENCES campaigns(id), position INTEGER NOT NULL,
  model INTEGER NOT NULL REFERENCES models(id),
  PRIMARY KEY (campaign, position), UNIQUE (campaign, model)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "campaign_models" VALUES (1, 0, 1);
--
INSERT INTO "campaign_models" VALUES (1, 1, 2);
--
INSERT INTO "campaign_models" VALUES (2, 0, 1);
--
INSERT INTO "campaign_models" VALUES (2, 1, 2);
--
CREATE TABLE battles (
  id INTEGER PRIMARY KEY,
  campaign INTEGER NOT NULL REFERENCES campaigns(id),
  prompt TEXT NOT NULL REFERENCES prompts(id),
  response_a TEXT NOT NULL, response_b TEXT NOT NULL,
  model_a INTEGER NOT NULL REFERENCES models(id), model_b INTEGER NOT NULL REFERENCES models(id),
  turn INTEGER,
  chance REAL NOT NULL DEFAULT 1.0 CHECK (chance > 0 AND chance <= 1),
  CHECK (response_a <> response_b),
  FOREIGN KEY (prompt, response_a) REFERENCES responses(prompt, id),
  FOREIGN KEY (prompt, response_b) REFERENCES responses(prompt, id),
  UNIQUE (campaign, response_a, response_b)
) STRICT;
--
INSERT INTO "battles" VALUES (1, 1, 'f294dc3801db80fd586885eb7526b089', '700688bf84e5d74aa2886093dbbff71b', 'd191f853ed721d9311b4297a6cd4ad9d', 1, 2, NULL, 1.0);
--
INSERT INTO "battles" VALUES (2, 1, 'ce40aebfa388a09aecf0182c55a9976b', 'a08181f8a43d5cd72363d8f18cb89683', 'af4c0cd5e35df48770dc60a549647032', 1, 2, NULL, 1.0);
--
INSERT INTO "battles" VALUES (3, 1, '7ce5ca59e20740e7d1e887450e7d43a9', 'be1500bfd0a9276dd0d2e413acad8058', 'db890a7306be3341eb29b46807fcef73', 1, 2, NULL, 1.0);
--
INSERT INTO "battles" VALUES (4, 2, '8c2219dc50ca67def0131b936a305b21', 'babdd11e6ac9b8c92fdf33e52aeeaec3', '34e5fd503160c02cafcb7d0ca9f7fc72', 1, 2, NULL, 1.0);
--
INSERT INTO "battles" VALUES (5, 1, '11b83f37c9f961576f5329207ff9124e', '8668d46399e2501f14357214a2f138c4', '0181a67601f2b7a095bfcf58329c83a1', 1, 2, NULL, 1.0);
--
CREATE TABLE raters (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  kind TEXT NOT NULL CHECK (kind IN ('person', 'simulated', 'judge')),
  external TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
--
INSERT INTO "raters" VALUES (1, 'owl', 'person', NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "raters" VALUES (2, 'fox', 'simulated', NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "raters" VALUES (3, 'elk', 'person', 'P-1', '2025-06-01T10:00:00.000Z');
--
CREATE TABLE rater_decisions (
  id INTEGER PRIMARY KEY, rater INTEGER NOT NULL REFERENCES raters(id),
  counted INTEGER NOT NULL CHECK (counted IN (0, 1)), reason TEXT NOT NULL CHECK (reason <> ''),
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
--
INSERT INTO "rater_decisions" VALUES (1, 3, 0, 'answered blindly', '2025-06-01T10:00:00.000Z');
--
CREATE TABLE seats (
  id INTEGER PRIMARY KEY,
  rater INTEGER NOT NULL REFERENCES raters(id),
  campaign INTEGER NOT NULL REFERENCES campaigns(id),
  lineage INTEGER NOT NULL REFERENCES campaigns(id),
  owner INTEGER NOT NULL DEFAULT 0 CHECK (owner IN (0, 1)),
  token_hash TEXT UNIQUE,
  token_used INTEGER NOT NULL DEFAULT 0 CHECK (token_used IN (0, 1)),
  session INTEGER REFERENCES sessions(id),
  consent_version TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  expires_at TEXT, revoked_at TEXT
, open_link INTEGER REFERENCES open_links(id), external TEXT, quiz_tries INTEGER NOT NULL DEFAULT 0, quiz_passed TEXT, screened_out_at TEXT) STRICT;
--
INSERT INTO "seats" VALUES (1, 1, 1, 1, 0, 'hash 1', 1, 1, NULL, '2025-06-01T10:00:00.000Z', NULL, NULL, NULL, NULL, 0, NULL, NULL);
--
INSERT INTO "seats" VALUES (2, 2, 1, 1, 0, 'hash 2', 1, 2, NULL, '2025-06-01T10:00:00.000Z', NULL, NULL, NULL, NULL, 0, NULL, NULL);
--
INSERT INTO "seats" VALUES (3, 3, 1, 1, 0, 'hash 3', 1, 3, NULL, '2025-06-01T10:00:00.000Z', NULL, NULL, NULL, NULL, 0, NULL, NULL);
--
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE,
  seat INTEGER REFERENCES seats(id),
  link TEXT,
  role TEXT NOT NULL CHECK (role IN ('rater', 'owner')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  expires_at TEXT NOT NULL, ended_at TEXT, owner INTEGER REFERENCES owners(id),
  CHECK ((role = 'rater') = (seat IS NOT NULL))
) STRICT;
--
INSERT INTO "sessions" VALUES (1, 'session 1', 1, NULL, 'rater', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', NULL, NULL);
--
INSERT INTO "sessions" VALUES (2, 'session 2', 2, NULL, 'rater', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', NULL, NULL);
--
INSERT INTO "sessions" VALUES (3, 'session 3', 3, NULL, 'rater', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', NULL, NULL);
--
CREATE TABLE owner_tokens (
  token_hash TEXT PRIMARY KEY, created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  expires_at TEXT NOT NULL, used_at TEXT
, owner INTEGER REFERENCES owners(id)) STRICT, WITHOUT ROWID;
--
INSERT INTO "owner_tokens" VALUES ('token', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', NULL, NULL);
--
CREATE TABLE assignments (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE CHECK (length(id) >= 22),
  battle INTEGER NOT NULL REFERENCES battles(id),
  rater INTEGER NOT NULL REFERENCES raters(id),
  left_is TEXT NOT NULL CHECK (left_is IN ('a', 'b')),
  lent_at TEXT NOT NULL, expires_at TEXT NOT NULL
, kind TEXT NOT NULL DEFAULT 'battle' CHECK (kind IN ('battle', 'gold', 'repeat', 'practice')), chance REAL CHECK (chance > 0 AND chance <= 1), among INTEGER CHECK (among > 0)) STRICT;
--
INSERT INTO "assignments" VALUES (1, 'assignment-number-0000', 1, 1, 'a', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', 'battle', NULL, NULL);
--
INSERT INTO "assignments" VALUES (2, 'assignment-number-0001', 2, 1, 'b', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', 'battle', NULL, NULL);
--
INSERT INTO "assignments" VALUES (3, 'assignment-number-0002', 3, 1, 'a', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', 'battle', NULL, NULL);
--
INSERT INTO "assignments" VALUES (4, 'assignment-number-0003', 1, 2, 'b', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', 'battle', NULL, NULL);
--
INSERT INTO "assignments" VALUES (5, 'assignment-number-0004', 2, 2, 'a', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', 'battle', NULL, NULL);
--
INSERT INTO "assignments" VALUES (6, 'assignment-number-0005', 1, 3, 'b', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', 'battle', NULL, NULL);
--
INSERT INTO "assignments" VALUES (7, 'assignment-number-0006', 3, 2, 'a', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', 'battle', NULL, NULL);
--
INSERT INTO "assignments" VALUES (8, 'assignment-that-checks', 5, 1, 'a', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', 'gold', NULL, NULL);
--
CREATE TABLE campaign_sizes (
  campaign INTEGER PRIMARY KEY, battles INTEGER NOT NULL, votes INTEGER NOT NULL
, held INTEGER NOT NULL DEFAULT 0) STRICT;
--
INSERT INTO "campaign_sizes" VALUES (1, 3, 3, 1);
--
INSERT INTO "campaign_sizes" VALUES (2, 1, 1, 0);
--
CREATE TABLE battle_cover (
  battle INTEGER PRIMARY KEY, campaign INTEGER NOT NULL,
  votes INTEGER NOT NULL, leases INTEGER NOT NULL, lot INTEGER NOT NULL
, held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)), leaked INTEGER NOT NULL DEFAULT 0 CHECK (leaked IN (0, 1)), reported INTEGER NOT NULL DEFAULT 0 CHECK (reported IN (0, 1))) STRICT;
--
INSERT INTO "battle_cover" VALUES (1, 1, 2, 0, 1498901037348913433, 0, 0, 0);
--
INSERT INTO "battle_cover" VALUES (2, 1, 1, 0, 3585624926864887206, 0, 0, 0);
--
INSERT INTO "battle_cover" VALUES (3, 1, 0, 1, 521018864706334782, 1, 1, 0);
--
INSERT INTO "battle_cover" VALUES (4, 2, 1, 0, 1798267914778900067, 0, 0, 0);
--
CREATE TABLE open_leases (
  rater INTEGER NOT NULL, battle INTEGER NOT NULL, assignment TEXT NOT NULL, expires_at TEXT NOT NULL,
  live INTEGER NOT NULL DEFAULT 1 CHECK (live IN (0, 1)), covers INTEGER NOT NULL DEFAULT 1 CHECK (covers IN (0, 1)),
  PRIMARY KEY (rater, battle)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "open_leases" VALUES (2, 3, 'assignment-number-0006', '2999-01-01T00:00:00.000Z', 1, 1);
--
CREATE TABLE votes (
  id INTEGER PRIMARY KEY,
  receipt TEXT NOT NULL UNIQUE,
  assignment TEXT UNIQUE REFERENCES assignments(id),
  campaign INTEGER NOT NULL REFERENCES campaigns(id),
  battle INTEGER NOT NULL REFERENCES battles(id),
  rater INTEGER NOT NULL REFERENCES raters(id),
  outcome TEXT NOT NULL CHECK (outcome IN ('a', 'b', 'tie', 'both_good', 'both_bad', 'skip')),
  key TEXT, body TEXT,
  strength TEXT CHECK (strength IN ('slight', 'clear')),
  acceptable_a INTEGER CHECK (acceptable_a IN (0, 1)),
  acceptable_b INTEGER CHECK (acceptable_b IN (0, 1)),
  criteria TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(criteria)),
  tags_a TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(tags_a)),
  tags_b TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(tags_b)),
  comment TEXT, better TEXT, reason TEXT, report TEXT,
  elapsed_ms INTEGER CHECK (elapsed_ms >= 0),
  consent_version TEXT,
  revealed INTEGER NOT NULL DEFAULT 0 CHECK (revealed IN (0, 1)),
  import INTEGER REFERENCES imports(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  UNIQUE (rater, key),
  CHECK ((assignment IS NULL) = (import IS NOT NULL))
) STRICT;
--
INSERT INTO "votes" VALUES (1, 'receipt 0', 'assignment-number-0000', 1, 1, 1, 'a', 'key 0', '{}', 'clear', NULL, NULL, '{}', '["kind"]', '[]', 'as it is', NULL, NULL, NULL, 4200, NULL, 0, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "votes" VALUES (2, 'receipt 1', 'assignment-number-0001', 1, 2, 1, 'b', 'key 1', '{}', 'clear', NULL, NULL, '{}', '["kind"]', '[]', 'as it is', NULL, NULL, NULL, 4200, NULL, 0, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "votes" VALUES (3, 'receipt 2', 'assignment-number-0002', 1, 3, 1, 'skip', 'key 2', '{}', 'clear', NULL, NULL, '{}', '["kind"]', '[]', 'as it is', NULL, NULL, NULL, 4200, NULL, 0, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "votes" VALUES (4, 'receipt 3', 'assignment-number-0003', 1, 1, 2, 'tie', 'key 3', '{}', 'clear', NULL, NULL, '{}', '["kind"]', '[]', 'as it is', NULL, NULL, NULL, 4200, NULL, 0, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "votes" VALUES (5, 'receipt 4', 'assignment-number-0004', 1, 2, 2, 'b', 'key 4', '{}', 'clear', NULL, NULL, '{}', '["kind"]', '[]', 'as it is', NULL, NULL, NULL, 4200, NULL, 0, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "votes" VALUES (6, 'receipt 5', 'assignment-number-0005', 1, 1, 3, 'a', 'key 5', '{}', 'clear', NULL, NULL, '{}', '["kind"]', '[]', NULL, NULL, NULL, NULL, 4200, NULL, 0, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "votes" VALUES (7, 'imported', NULL, 2, 4, 1, 'a', NULL, NULL, NULL, NULL, NULL, '{}', '[]', '[]', NULL, NULL, NULL, NULL, NULL, NULL, 0, 2, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "votes" VALUES (8, 'cut off', NULL, 2, 4, 2, 'a', NULL, NULL, NULL, NULL, NULL, '{}', '[]', '[]', NULL, NULL, NULL, NULL, NULL, NULL, 0, 3, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "votes" VALUES (9, 'checked', 'assignment-that-checks', 1, 5, 1, 'a', NULL, NULL, NULL, NULL, NULL, '{}', '[]', '[]', NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, '2025-06-01T10:00:00.000Z');
--
CREATE TABLE retractions (
  id INTEGER PRIMARY KEY, vote INTEGER NOT NULL UNIQUE REFERENCES votes(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
--
INSERT INTO "retractions" VALUES (1, 2, '2025-06-01T10:00:00.000Z');
--
CREATE TABLE vote_counts (
  campaign INTEGER NOT NULL, model_a INTEGER NOT NULL, model_b INTEGER NOT NULL,
  rater INTEGER NOT NULL, outcome TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (campaign, model_a, model_b, rater, outcome)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "vote_counts" VALUES (1, 1, 2, 1, 'a', 1);
--
INSERT INTO "vote_counts" VALUES (1, 1, 2, 1, 'b', 0);
--
INSERT INTO "vote_counts" VALUES (1, 1, 2, 1, 'skip', 1);
--
INSERT INTO "vote_counts" VALUES (1, 1, 2, 2, 'b', 1);
--
INSERT INTO "vote_counts" VALUES (1, 1, 2, 2, 'tie', 1);
--
INSERT INTO "vote_counts" VALUES (1, 1, 2, 3, 'a', 1);
--
INSERT INTO "vote_counts" VALUES (2, 1, 2, 1, 'a', 1);
--
CREATE TABLE pair_sets (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE CHECK (name <> ''), source TEXT NOT NULL,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
--
INSERT INTO "pair_sets" VALUES (1, 'ranked', 'by length', '2025-06-01T10:00:00.000Z');
--
CREATE TABLE pairs (
  id INTEGER PRIMARY KEY,
  pair_set INTEGER NOT NULL REFERENCES pair_sets(id),
  prompt TEXT NOT NULL REFERENCES prompts(id),
  chosen TEXT NOT NULL, rejected TEXT NOT NULL,
  CHECK (chosen <> rejected),
  FOREIGN KEY (prompt, chosen) REFERENCES responses(prompt, id),
  FOREIGN KEY (prompt, rejected) REFERENCES responses(prompt, id),
  UNIQUE (pair_set, chosen, rejected)
) STRICT;
--
INSERT INTO "pairs" VALUES (1, 1, 'f294dc3801db80fd586885eb7526b089', '700688bf84e5d74aa2886093dbbff71b', 'd191f853ed721d9311b4297a6cd4ad9d');
--
CREATE TABLE snapshots (
  id TEXT PRIMARY KEY CHECK (length(id) = 32),
  source TEXT NOT NULL, policy TEXT NOT NULL CHECK (json_valid(policy)),
  train INTEGER NOT NULL, heldout INTEGER NOT NULL,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT, WITHOUT ROWID;
--
INSERT INTO "snapshots" VALUES ('8a263919e41ec1904a5105ad032e337f', 'votes:first', '{"kind": "vote"}', 1, 0, '2025-06-01T10:00:00.000Z');
--
CREATE TABLE snapshot_pairs (
  snapshot TEXT NOT NULL REFERENCES snapshots(id), position INTEGER NOT NULL,
  part TEXT NOT NULL CHECK (part IN ('train', 'heldout')),
  prompt TEXT NOT NULL REFERENCES prompts(id),
  chosen TEXT NOT NULL, rejected TEXT NOT NULL,
  votes TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(votes)),
  agreement REAL, margin REAL,
  CHECK (chosen <> rejected),
  FOREIGN KEY (prompt, chosen) REFERENCES responses(prompt, id),
  FOREIGN KEY (prompt, rejected) REFERENCES responses(prompt, id),
  PRIMARY KEY (snapshot, position)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "snapshot_pairs" VALUES ('8a263919e41ec1904a5105ad032e337f', 0, 'train', 'f294dc3801db80fd586885eb7526b089', '700688bf84e5d74aa2886093dbbff71b', 'd191f853ed721d9311b4297a6cd4ad9d', '[1]', 1.0, NULL);
--
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  kind TEXT NOT NULL CHECK (kind IN ('sft', 'dpo', 'kto', 'reward')),
  parent INTEGER NOT NULL REFERENCES models(id),
  snapshot TEXT NOT NULL REFERENCES snapshots(id),
  campaign INTEGER REFERENCES campaigns(id),
  job INTEGER REFERENCES jobs(id),
  status TEXT NOT NULL CHECK (status IN ('running', 'succeeded', 'failed', 'cancelled')),
  folder TEXT NOT NULL,
  settings TEXT NOT NULL CHECK (json_valid(settings)),
  reference_proof TEXT CHECK (reference_proof IS NULL OR json_valid(reference_proof)),
  metrics TEXT CHECK (metrics IS NULL OR json_valid(metrics)),
  versions TEXT CHECK (versions IS NULL OR json_valid(versions)),
  error TEXT, seconds REAL, rematch TEXT,
  pid INTEGER, pid_started REAL,
  started_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), finished_at TEXT, slot INTEGER NOT NULL DEFAULT 0,
  CHECK ((status = 'running') = (finished_at IS NULL))
) STRICT;
--
INSERT INTO "runs" VALUES (1, 'first-r1', 'dpo', 1, '8a263919e41ec1904a5105ad032e337f', 1, 1, 'succeeded', 'runs/first-r1', '{}', NULL, '{"loss": 0.6}', NULL, NULL, NULL, NULL, NULL, NULL, '2025-06-01T10:00:00.000Z', '2025-06-01T10:00:00.000Z', 0);
--
CREATE TABLE run_metrics (
  run INTEGER NOT NULL REFERENCES runs(id), step INTEGER NOT NULL, total INTEGER NOT NULL,
  name TEXT NOT NULL, value REAL NOT NULL,
  PRIMARY KEY (run, name, step)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "run_metrics" VALUES (1, 1, 3, 'loss', 0.69);
--
CREATE TABLE promotions (
  id INTEGER PRIMARY KEY, model INTEGER NOT NULL REFERENCES models(id),
  reason TEXT NOT NULL CHECK (reason <> ''), at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
, way TEXT NOT NULL DEFAULT 'hand' CHECK (way IN ('rule', 'hand')), who TEXT NOT NULL DEFAULT '', simulated INTEGER NOT NULL DEFAULT 0 CHECK (simulated IN (0, 1)), evidence TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(evidence))) STRICT;
--
INSERT INTO "promotions" VALUES (1, 3, 'better', '2025-06-01T10:00:00.000Z', 'hand', '', 0, '{}');
--
INSERT INTO "promotions" VALUES (2, 1, 'again', '2025-06-01T10:00:00.000Z', 'hand', 'owner', 0, '{}');
--
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  command TEXT NOT NULL CHECK (json_valid(command)),
  status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  progress REAL CHECK (progress BETWEEN 0 AND 1), message TEXT NOT NULL DEFAULT '',
  log TEXT, pid INTEGER, pid_started REAL, exit_code INTEGER,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), started_at TEXT, finished_at TEXT
, turn INTEGER, slot INTEGER) STRICT;
--
INSERT INTO "jobs" VALUES (1, '["train", "dpo"]', 'succeeded', NULL, '', NULL, NULL, NULL, 0, '2025-06-01T10:00:00.000Z', '2025-06-01T10:00:00.000Z', '2025-06-01T10:00:00.000Z', NULL, NULL);
--
CREATE TABLE item_refs (
  ref TEXT NOT NULL CHECK (ref <> ''),
  response_a TEXT NOT NULL REFERENCES responses(id), response_b TEXT NOT NULL REFERENCES responses(id),
  CHECK (response_a <> response_b),
  PRIMARY KEY (ref, response_a, response_b)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "item_refs" VALUES ('item-1', 'a08181f8a43d5cd72363d8f18cb89683', 'af4c0cd5e35df48770dc60a549647032');
--
CREATE TABLE snapshot_answers (
  snapshot TEXT NOT NULL REFERENCES snapshots(id), position INTEGER NOT NULL,
  part TEXT NOT NULL CHECK (part IN ('train', 'heldout')),
  prompt TEXT NOT NULL REFERENCES prompts(id),
  response TEXT NOT NULL, good INTEGER NOT NULL CHECK (good IN (0, 1)),
  votes TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(votes)),
  FOREIGN KEY (prompt, response) REFERENCES responses(prompt, id),
  PRIMARY KEY (snapshot, position)
) STRICT, WITHOUT ROWID;
--
CREATE TABLE gold_pairs (
  battle INTEGER PRIMARY KEY REFERENCES battles(id),
  better TEXT NOT NULL CHECK (better IN ('a', 'b')),
  source TEXT NOT NULL CHECK (source IN ('file', 'degraded')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
--
INSERT INTO "gold_pairs" VALUES (5, 'a', 'file', '2025-06-01T10:00:00.000Z');
--
CREATE TABLE open_links (
  id INTEGER PRIMARY KEY,
  campaign INTEGER NOT NULL REFERENCES campaigns(id),
  token_hash TEXT NOT NULL UNIQUE,
  seats INTEGER NOT NULL CHECK (seats > 0),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), expires_at TEXT, revoked_at TEXT
) STRICT;
--
INSERT INTO "open_links" VALUES (1, 1, 'open', 5, '2025-06-01T10:00:00.000Z', NULL, NULL);
--
CREATE TABLE withdrawals (
  rater INTEGER PRIMARY KEY REFERENCES raters(id), at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
--
INSERT INTO "withdrawals" VALUES (3, '2025-06-01T10:00:00.000Z');
--
CREATE TABLE reveals (
  rater INTEGER NOT NULL REFERENCES raters(id), campaign INTEGER NOT NULL REFERENCES campaigns(id),
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), PRIMARY KEY (rater, campaign)
) STRICT, WITHOUT ROWID;
--
CREATE TABLE battle_findings (
  battle INTEGER NOT NULL REFERENCES battles(id),
  slot TEXT NOT NULL CHECK (slot IN ('a', 'b', 'both')),
  kind TEXT NOT NULL CHECK (kind IN ('identity', 'template', 'near_identical', 'empty', 'reported', 'by_hand')),
  what TEXT NOT NULL,
  found_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  dismissed_at TEXT, dismissed_by TEXT,
  weighs INTEGER NOT NULL DEFAULT 1 CHECK (weighs IN (0, 1)),
  PRIMARY KEY (battle, slot, kind, what),
  CHECK ((dismissed_at IS NULL) = (dismissed_by IS NULL))
) STRICT, WITHOUT ROWID;
--
INSERT INTO "battle_findings" VALUES (3, 'a', 'identity', 'north', '2025-06-01T10:00:00.000Z', NULL, NULL, 1);
--
CREATE TABLE owners (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  role TEXT NOT NULL CHECK (role IN ('owner', 'viewer')),
  password_hash TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), removed_at TEXT
) STRICT;
--
INSERT INTO "owners" VALUES (1, 'owner', 'owner', NULL, '2026-11-21T14:52:05.007Z', NULL);
--
CREATE TABLE notices (
  id INTEGER PRIMARY KEY,
  subject TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('target_met', 'job_ended', 'alarm')),
  campaign INTEGER REFERENCES campaigns(id),
  text TEXT NOT NULL,
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  seen_at TEXT, sent_at TEXT, tries INTEGER NOT NULL DEFAULT 0, tried_at TEXT, problem TEXT
) STRICT;
--
INSERT INTO "notices" VALUES (1, 'job:1', 'job_ended', NULL, 'done', '2025-06-01T10:00:00.000Z', NULL, NULL, 0, NULL, NULL);
--
CREATE TABLE adjudications (
  id INTEGER PRIMARY KEY,
  battle INTEGER NOT NULL REFERENCES battles(id),
  outcome TEXT NOT NULL CHECK (outcome IN ('a', 'b', 'tie', 'both_good', 'both_bad')),
  reason TEXT NOT NULL DEFAULT '', who TEXT NOT NULL,
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
--
INSERT INTO "adjudications" VALUES (1, 1, 'a', '', 'owner', '2025-06-01T10:00:00.000Z');
--
CREATE TABLE check_counts (
  campaign INTEGER NOT NULL, rater INTEGER NOT NULL, kind TEXT NOT NULL, n INTEGER NOT NULL,
  skipped INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (campaign, rater, kind)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "check_counts" VALUES (1, 1, 'gold', 1, 0);
--
CREATE TABLE run_jobs (
  run INTEGER NOT NULL REFERENCES runs(id), job INTEGER NOT NULL REFERENCES jobs(id),
  PRIMARY KEY (run, job)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "run_jobs" VALUES (1, 1);
--
CREATE TABLE rollbacks (
  id INTEGER PRIMARY KEY, promotion INTEGER NOT NULL UNIQUE REFERENCES promotions(id),
  reason TEXT NOT NULL DEFAULT '', who TEXT NOT NULL, at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
--
INSERT INTO "rollbacks" VALUES (1, 2, '', 'owner', '2025-06-01T10:00:00.000Z');
--
CREATE TABLE sweeps (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  kind TEXT NOT NULL CHECK (kind IN ('sft', 'dpo', 'kto', 'reward')),
  parent INTEGER NOT NULL REFERENCES models(id),
  snapshot TEXT NOT NULL REFERENCES snapshots(id),
  command TEXT NOT NULL CHECK (json_valid(command)),
  job INTEGER REFERENCES jobs(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
--
INSERT INTO "sweeps" VALUES (1, 'rates', 'dpo', 1, '8a263919e41ec1904a5105ad032e337f', '[]', NULL, '2025-06-01T10:00:00.000Z');
--
CREATE TABLE sweep_runs (
  sweep INTEGER NOT NULL REFERENCES sweeps(id), position INTEGER NOT NULL,
  run TEXT NOT NULL UNIQUE, changes TEXT NOT NULL CHECK (json_valid(changes)),
  job INTEGER REFERENCES jobs(id),
  PRIMARY KEY (sweep, position)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "sweep_runs" VALUES (1, 0, 'first-r1', '{}', NULL);
--
INSERT INTO prompts_fts(prompts_fts) VALUES ('rebuild');
--
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
--
CREATE INDEX responses_by_model ON responses(model, prompt, sample);
--
CREATE INDEX campaigns_by_lineage ON campaigns(lineage);
--
CREATE INDEX rater_decisions_by_rater ON rater_decisions(rater, id);
--
CREATE INDEX assignments_by_rater ON assignments(rater, battle);
--
CREATE INDEX open_leases_by_end ON open_leases(live, expires_at);
--
CREATE INDEX votes_by_campaign ON votes(campaign, id);
--
CREATE INDEX votes_by_rater ON votes(rater, campaign);
--
CREATE INDEX votes_by_battle ON votes(battle);
--
CREATE INDEX snapshot_pairs_by_prompt ON snapshot_pairs(prompt, part);
--
CREATE INDEX snapshot_answers_by_prompt ON snapshot_answers(prompt, part);
--
CREATE INDEX seats_by_external ON seats(lineage, external) WHERE external IS NOT NULL;
--
CREATE INDEX battle_cover_leaked ON battle_cover(battle) WHERE leaked = 1;
--
CREATE INDEX battle_cover_reported ON battle_cover(campaign) WHERE reported = 1;
--
CREATE INDEX battle_findings_by_rater ON battle_findings(what) WHERE kind = 'reported';
--
CREATE INDEX adjudications_by_battle ON adjudications(battle, id);
--
CREATE INDEX battle_cover_order ON battle_cover(campaign, held, votes + leases, lot);
--
CREATE UNIQUE INDEX jobs_by_turn ON jobs(turn) WHERE turn IS NOT NULL;
--
CREATE UNIQUE INDEX runs_one_a_slot ON runs(slot) WHERE status = 'running';
--
CREATE VIEW excluded_raters AS
SELECT rater, reason, at FROM rater_decisions d
WHERE counted = 0 AND id = (SELECT max(id) FROM rater_decisions WHERE rater = d.rater);
--
CREATE VIEW snapshot_rows AS
SELECT snapshot, part, prompt, votes FROM snapshot_pairs
UNION ALL SELECT snapshot, part, prompt, votes FROM snapshot_answers;
--
CREATE VIEW report_weights AS
SELECT f.battle, f.slot, f.kind, f.what, r.id AS rater, f.weighs,
  NOT EXISTS (SELECT 1 FROM excluded_raters x WHERE x.rater = r.id)
  AND (SELECT count(*) FROM (
    SELECT 1 FROM campaigns l JOIN votes v ON v.campaign = l.id AND v.rater = r.id
    WHERE l.lineage = k.lineage AND v.outcome <> 'skip' AND v.import IS NULL
    AND NOT EXISTS (SELECT 1 FROM retractions t WHERE t.vote = v.id) LIMIT 5)) = 5 AS due
FROM battle_findings f JOIN raters r ON r.id = CAST(f.what AS INTEGER) JOIN battles b ON b.id = f.battle
JOIN campaigns k ON k.id = b.campaign WHERE f.kind = 'reported';
--
CREATE VIEW report_states AS
SELECT c.battle, (SELECT count(*) FROM battle_findings f
    WHERE f.battle = c.battle AND f.dismissed_at IS NULL AND f.kind = 'reported' AND f.weighs = 1) >= 2
  AND (c.reported = 1 OR 20 * (1 + (SELECT count(*) FROM battle_cover o WHERE o.campaign = c.campaign AND o.reported = 1))
    <= (SELECT battles FROM campaign_sizes z WHERE z.campaign = c.campaign)) AS reported
FROM battle_cover c;
--
CREATE VIEW guard_states AS
SELECT c.battle, c.campaign,
  c.reported = 1 OR EXISTS (SELECT 1 FROM battle_findings f
    WHERE f.battle = c.battle AND f.dismissed_at IS NULL AND (f.kind IN ('by_hand', 'empty')
    OR (f.kind = 'near_identical' AND k.guard <> 'allow')
    OR (f.kind IN ('identity', 'template') AND k.guard = 'hold'))) AS held,
  k.guard <> 'redact' AND EXISTS (SELECT 1 FROM battle_findings f
    WHERE f.battle = c.battle AND f.dismissed_at IS NULL AND f.kind IN ('identity', 'template')) AS leaked
FROM battle_cover c JOIN campaigns k ON k.id = c.campaign;
--
CREATE VIEW covering_votes AS
SELECT v.id AS vote, v.rater, v.battle, v.campaign FROM votes v
LEFT JOIN assignments s ON s.id = v.assignment LEFT JOIN imports i ON i.id = v.import
WHERE v.outcome <> 'skip' AND coalesce(s.kind, 'battle') = 'battle'
  AND (v.import IS NULL OR i.finished_at IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id);
--
CREATE VIEW campaign_responses AS
SELECT campaign, response_a AS response FROM battles WHERE id NOT IN (SELECT battle FROM gold_pairs)
UNION SELECT campaign, response_b FROM battles WHERE id NOT IN (SELECT battle FROM gold_pairs);
--
CREATE VIEW vote_states AS
SELECT v.id AS vote, v.campaign, v.rater, v.battle, v.outcome,
  CASE WHEN r.vote IS NOT NULL THEN 'retracted'
       WHEN v.import IS NOT NULL AND i.finished_at IS NULL THEN 'import unfinished'
       WHEN w.rater IS NOT NULL THEN 'withdrawn'
       WHEN x.rater IS NOT NULL THEN 'rater excluded'
       WHEN v.outcome = 'skip' THEN 'skipped'
       WHEN s.kind = 'practice' THEN 'practice'
       WHEN s.kind = 'gold' THEN 'known answer'
       WHEN s.kind = 'repeat' THEN 'repeat'
       WHEN c.leaked = 1 AND v.import IS NULL AND k.count_leaked = 0 THEN 'identity leak'
       ELSE 'counted' END AS state
FROM votes v
JOIN campaigns k ON k.id = v.campaign
LEFT JOIN retractions r ON r.vote = v.id
LEFT JOIN imports i ON i.id = v.import
LEFT JOIN withdrawals w ON w.rater = v.rater
LEFT JOIN excluded_raters x ON x.rater = v.rater
LEFT JOIN assignments s ON s.id = v.assignment
LEFT JOIN battle_cover c ON c.battle = v.battle;
--
CREATE VIEW vote_pairs AS
SELECT p.messages AS prompt,
       CASE v.outcome WHEN 'a' THEN a.text ELSE b.text END AS chosen,
       CASE v.outcome WHEN 'a' THEN b.text ELSE a.text END AS rejected,
       t.name AS rater, v.id AS vote, c.name AS campaign, p.id AS prompt_id, p.split,
       CASE v.outcome WHEN 'a' THEN ma.name ELSE mb.name END AS chosen_model,
       CASE v.outcome WHEN 'a' THEN mb.name ELSE ma.name END AS rejected_model,
       v.strength, v.created_at
FROM votes v
JOIN vote_states s ON s.vote = v.id AND s.state = 'counted'
JOIN battles w ON w.id = v.battle
JOIN prompts p ON p.id = w.prompt
JOIN responses a ON a.id = w.response_a
JOIN responses b ON b.id = w.response_b
JOIN models ma ON ma.id = w.model_a
JOIN models mb ON mb.id = w.model_b
JOIN campaigns c ON c.id = v.campaign
JOIN raters t ON t.id = v.rater AND t.kind <> 'judge'
WHERE v.outcome IN ('a', 'b')
  AND trim(a.text, ' ' || char(9, 10, 13)) <> '' AND trim(b.text, ' ' || char(9, 10, 13)) <> ''
  AND trim(a.text, ' ' || char(9, 10, 13)) <> trim(b.text, ' ' || char(9, 10, 13));
--
CREATE VIEW standing_promotions AS
SELECT * FROM promotions p WHERE NOT EXISTS (SELECT 1 FROM rollbacks r WHERE r.promotion = p.id);
--
CREATE TRIGGER prompts_no_update BEFORE UPDATE ON prompts BEGIN SELECT raise(ABORT, 'prompts is append-only'); END;
--
CREATE TRIGGER prompts_no_delete BEFORE DELETE ON prompts BEGIN SELECT raise(ABORT, 'prompts is append-only'); END;
--
CREATE TRIGGER responses_no_update BEFORE UPDATE ON responses BEGIN SELECT raise(ABORT, 'responses is append-only'); END;
--
CREATE TRIGGER responses_no_delete BEFORE DELETE ON responses BEGIN SELECT raise(ABORT, 'responses is append-only'); END;
--
CREATE TRIGGER scores_no_update BEFORE UPDATE ON scores BEGIN SELECT raise(ABORT, 'scores is append-only'); END;
--
CREATE TRIGGER scores_no_delete BEFORE DELETE ON scores BEGIN SELECT raise(ABORT, 'scores is append-only'); END;
--
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'audit is append-only'); END;
--
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'audit is append-only'); END;
--
CREATE TRIGGER "prompts_ai" AFTER INSERT ON "prompts" BEGIN
  INSERT INTO "prompts_fts" (rowid, "text") VALUES (new.rowid, new."text");
END;
--
CREATE TRIGGER "prompts_ad" AFTER DELETE ON "prompts" BEGIN
  INSERT INTO "prompts_fts" ("prompts_fts", rowid, "text") VALUES('delete', old.rowid, old."text");
END;
--
CREATE TRIGGER "prompts_au" AFTER UPDATE ON "prompts" BEGIN
  INSERT INTO "prompts_fts" ("prompts_fts", rowid, "text") VALUES('delete', old.rowid, old."text");
  INSERT INTO "prompts_fts" (rowid, "text") VALUES (new.rowid, new."text");
END;
--
CREATE TRIGGER battles_canonical BEFORE INSERT ON battles
WHEN EXISTS (SELECT 1 FROM battles WHERE campaign = new.campaign
             AND response_a = new.response_b AND response_b = new.response_a)
BEGIN SELECT raise(ABORT, 'this battle exists with its slots the other way round'); END;
--
CREATE TRIGGER battles_evaluate_heldout BEFORE INSERT ON battles
WHEN (SELECT purpose FROM campaigns WHERE id = new.campaign) = 'evaluate'
 AND (SELECT split FROM prompts WHERE id = new.prompt) <> 'heldout'
BEGIN SELECT raise(ABORT, 'an evaluate campaign takes held-out prompts only'); END;
--
CREATE TRIGGER battles_no_update BEFORE UPDATE ON battles BEGIN SELECT raise(ABORT, 'battles is append-only'); END;
--
CREATE TRIGGER battles_no_delete BEFORE DELETE ON battles BEGIN SELECT raise(ABORT, 'battles is append-only'); END;
--
CREATE TRIGGER assignments_no_update BEFORE UPDATE ON assignments BEGIN SELECT raise(ABORT, 'assignments is append-only'); END;
--
CREATE TRIGGER assignments_no_delete BEFORE DELETE ON assignments BEGIN SELECT raise(ABORT, 'assignments is append-only'); END;
--
CREATE TRIGGER rater_decisions_no_update BEFORE UPDATE ON rater_decisions BEGIN SELECT raise(ABORT, 'rater_decisions is append-only'); END;
--
CREATE TRIGGER rater_decisions_no_delete BEFORE DELETE ON rater_decisions BEGIN SELECT raise(ABORT, 'rater_decisions is append-only'); END;
--
CREATE TRIGGER votes_own_assignment BEFORE INSERT ON votes WHEN new.assignment IS NOT NULL
 AND NOT EXISTS (SELECT 1 FROM assignments s JOIN battles b ON b.id = s.battle WHERE s.id = new.assignment
                 AND s.rater = new.rater AND s.battle = new.battle AND b.campaign = new.campaign)
BEGIN SELECT raise(ABORT, 'the assignment belongs to another rater or battle'); END;
--
CREATE TRIGGER votes_no_delete BEFORE DELETE ON votes BEGIN SELECT raise(ABORT, 'votes is append-only'); END;
--
CREATE TRIGGER retractions_no_update BEFORE UPDATE ON retractions BEGIN SELECT raise(ABORT, 'retractions is append-only'); END;
--
CREATE TRIGGER retractions_no_delete BEFORE DELETE ON retractions BEGIN SELECT raise(ABORT, 'retractions is append-only'); END;
--
CREATE TRIGGER snapshot_pairs_wall BEFORE INSERT ON snapshot_pairs
WHEN new.part = 'train' AND (SELECT split FROM prompts WHERE id = new.prompt) = 'heldout'
BEGIN SELECT raise(ABORT, 'a held-out prompt must not be trained on'); END;
--
CREATE TRIGGER snapshot_pairs_purpose BEFORE INSERT ON snapshot_pairs
WHEN EXISTS (SELECT 1 FROM json_each(new.votes) j JOIN votes v ON v.id = j.value
             JOIN campaigns c ON c.id = v.campaign WHERE c.purpose = 'evaluate')
BEGIN SELECT raise(ABORT, 'votes of an evaluate campaign never train'); END;
--
CREATE TRIGGER snapshots_no_update BEFORE UPDATE ON snapshots BEGIN SELECT raise(ABORT, 'snapshots is append-only'); END;
--
CREATE TRIGGER snapshots_no_delete BEFORE DELETE ON snapshots BEGIN SELECT raise(ABORT, 'snapshots is append-only'); END;
--
CREATE TRIGGER snapshot_pairs_no_update BEFORE UPDATE ON snapshot_pairs BEGIN SELECT raise(ABORT, 'snapshot_pairs is append-only'); END;
--
CREATE TRIGGER snapshot_pairs_no_delete BEFORE DELETE ON snapshot_pairs BEGIN SELECT raise(ABORT, 'snapshot_pairs is append-only'); END;
--
CREATE TRIGGER promotions_no_update BEFORE UPDATE ON promotions BEGIN SELECT raise(ABORT, 'promotions is append-only'); END;
--
CREATE TRIGGER promotions_no_delete BEFORE DELETE ON promotions BEGIN SELECT raise(ABORT, 'promotions is append-only'); END;
--
CREATE TRIGGER campaigns_frozen BEFORE UPDATE ON campaigns
        WHEN (old.purpose IS NOT new.purpose OR old.overlap IS NOT new.overlap OR old.criteria IS NOT new.criteria OR old.guidelines IS NOT new.guidelines OR old.consent_text IS NOT new.consent_text OR old.consent_version IS NOT new.consent_version OR old.reveal IS NOT new.reveal OR old.ask_strength IS NOT new.ask_strength OR old.ask_acceptable IS NOT new.ask_acceptable OR old.ask_comment IS NOT new.ask_comment OR old.ask_better IS NOT new.ask_better OR old.reason_tags IS NOT new.reason_tags OR old.gold_rate IS NOT new.gold_rate OR old.repeat_rate IS NOT new.repeat_rate OR old.practice IS NOT new.practice OR old.quiz IS NOT new.quiz OR old.sampling IS NOT new.sampling OR old.random_share IS NOT new.random_share OR old.guard IS NOT new.guard) AND EXISTS (SELECT 1 FROM votes WHERE campaign = new.id)
        BEGIN SELECT raise(ABORT, 'a campaign with votes is frozen; a change makes a new version'); END;
--
CREATE TRIGGER snapshot_answers_wall BEFORE INSERT ON snapshot_answers
WHEN new.part = 'train' AND (SELECT split FROM prompts WHERE id = new.prompt) = 'heldout'
BEGIN SELECT raise(ABORT, 'a held-out prompt must not be trained on'); END;
--
CREATE TRIGGER snapshot_answers_purpose BEFORE INSERT ON snapshot_answers
WHEN EXISTS (SELECT 1 FROM json_each(new.votes) j JOIN votes v ON v.id = j.value
             JOIN campaigns c ON c.id = v.campaign WHERE c.purpose = 'evaluate')
BEGIN SELECT raise(ABORT, 'votes of an evaluate campaign never train'); END;
--
CREATE TRIGGER battle_findings_added AFTER INSERT ON battle_findings
BEGIN
  UPDATE battle_cover SET reported = (SELECT reported FROM report_states WHERE battle = new.battle)
  WHERE battle = new.battle AND new.kind = 'reported';
  UPDATE battle_cover SET (held, leaked) = (SELECT held, leaked FROM guard_states WHERE battle = new.battle)
  WHERE battle = new.battle;
END;
--
CREATE TRIGGER battle_findings_decided AFTER UPDATE ON battle_findings
BEGIN
  UPDATE battle_cover SET reported = (SELECT reported FROM report_states WHERE battle = new.battle)
  WHERE battle = new.battle AND new.kind = 'reported';
  UPDATE battle_cover SET (held, leaked) = (SELECT held, leaked FROM guard_states WHERE battle = new.battle)
  WHERE battle = new.battle;
END;
--
CREATE TRIGGER battle_findings_gone AFTER DELETE ON battle_findings
BEGIN
  UPDATE battle_cover SET reported = (SELECT reported FROM report_states WHERE battle = old.battle)
  WHERE battle = old.battle AND old.kind = 'reported';
  UPDATE battle_cover SET (held, leaked) = (SELECT held, leaked FROM guard_states WHERE battle = old.battle)
  WHERE battle = old.battle;
END;
--
CREATE TRIGGER campaigns_guard AFTER UPDATE OF guard ON campaigns WHEN old.guard <> new.guard
BEGIN
  UPDATE battle_cover SET (held, leaked) = (
    SELECT held, leaked FROM guard_states g WHERE g.battle = battle_cover.battle)
  WHERE campaign = new.id AND battle IN (SELECT battle FROM battle_findings);
END;
--
CREATE TRIGGER votes_reported AFTER INSERT ON votes WHEN trim(coalesce(new.report, '')) <> ''
BEGIN
  INSERT INTO battle_findings(battle, slot, kind, what, weighs)
  SELECT new.battle, 'both', 'reported', CAST(new.rater AS TEXT), 0 WHERE NOT EXISTS (
    SELECT 1 FROM battle_findings WHERE (battle, slot, kind, what)
      = (new.battle, 'both', 'reported', CAST(new.rater AS TEXT)));
  UPDATE battle_findings SET weighs = 1 WHERE (battle, slot, kind, what) IN (
    SELECT battle, slot, kind, what FROM report_weights
    WHERE what = CAST(new.rater AS TEXT) AND weighs = 0 AND due = 1);
END;
--
CREATE TRIGGER votes_weigh_reports AFTER INSERT ON votes
WHEN EXISTS (SELECT 1 FROM battle_findings WHERE kind = 'reported' AND what = CAST(new.rater AS TEXT) AND weighs = 0)
BEGIN
  UPDATE battle_findings SET weighs = 1 WHERE (battle, slot, kind, what) IN (
    SELECT battle, slot, kind, what FROM report_weights
    WHERE what = CAST(new.rater AS TEXT) AND weighs = 0 AND due = 1);
END;
--
CREATE TRIGGER retractions_weigh_reports AFTER INSERT ON retractions
BEGIN
  UPDATE battle_findings SET weighs = 0 WHERE (battle, slot, kind, what) IN (
    SELECT battle, slot, kind, what FROM report_weights
    WHERE what = (SELECT CAST(rater AS TEXT) FROM votes WHERE id = new.vote) AND weighs = 1 AND due = 0);
END;
--
CREATE TRIGGER rater_decisions_weigh_reports AFTER INSERT ON rater_decisions
BEGIN
  UPDATE battle_findings SET weighs = 1 - weighs WHERE (battle, slot, kind, what) IN (
    SELECT battle, slot, kind, what FROM report_weights
    WHERE what = CAST(new.rater AS TEXT) AND weighs <> due);
END;
--
CREATE TRIGGER retractions_reported AFTER INSERT ON retractions
BEGIN
  DELETE FROM battle_findings WHERE kind = 'reported' AND slot = 'both' AND dismissed_at IS NULL
  AND (battle, what) = (SELECT battle, CAST(rater AS TEXT) FROM votes WHERE id = new.vote);
END;
--
CREATE TRIGGER owners_one_stays BEFORE UPDATE ON owners
WHEN old.role = 'owner' AND old.removed_at IS NULL AND (new.role <> 'owner' OR new.removed_at IS NOT NULL)
 AND (SELECT count(*) FROM owners WHERE role = 'owner' AND removed_at IS NULL) = 1
BEGIN SELECT raise(ABORT, 'the last owner stays'); END;
--
CREATE TRIGGER owners_stay BEFORE DELETE ON owners
BEGIN SELECT raise(ABORT, 'an owner is marked as removed, never deleted'); END;
--
CREATE TRIGGER battles_covered AFTER INSERT ON battles
BEGIN
  INSERT INTO battle_cover(battle, campaign, votes, leases, lot)
  VALUES (new.id, new.campaign, 0, 0, abs(random() / 2));
  INSERT INTO campaign_sizes(campaign, battles, votes) VALUES (new.campaign, 1, 0)
  ON CONFLICT DO UPDATE SET battles = battles + 1;
END;
--
CREATE TRIGGER gold_pairs_apart AFTER INSERT ON gold_pairs
BEGIN
  UPDATE campaign_sizes SET battles = battles - 1 WHERE campaign = (SELECT campaign FROM battles WHERE id = new.battle);
  DELETE FROM battle_cover WHERE battle = new.battle;
END;
--
CREATE TRIGGER battle_cover_held AFTER UPDATE OF held ON battle_cover WHEN old.held <> new.held
BEGIN UPDATE campaign_sizes SET held = held + new.held - old.held WHERE campaign = new.campaign; END;
--
CREATE TRIGGER open_leases_begun AFTER INSERT ON open_leases WHEN new.covers = 1
BEGIN UPDATE battle_cover SET leases = leases + 1 WHERE battle = new.battle; END;
--
CREATE TRIGGER open_leases_expired AFTER UPDATE OF live ON open_leases
WHEN old.covers = 1 AND old.live = 1 AND new.live = 0
BEGIN UPDATE battle_cover SET leases = leases - 1 WHERE battle = new.battle; END;
--
CREATE TRIGGER open_leases_ended AFTER DELETE ON open_leases WHEN old.covers = 1 AND old.live = 1
BEGIN UPDATE battle_cover SET leases = leases - 1 WHERE battle = old.battle; END;
--
CREATE TRIGGER assignments_lent AFTER INSERT ON assignments
BEGIN
  DELETE FROM open_leases WHERE rater = new.rater AND battle = new.battle;
  INSERT INTO open_leases(rater, battle, assignment, expires_at, covers)
  VALUES (new.rater, new.battle, new.id, new.expires_at, new.kind = 'battle');
END;
--
CREATE TRIGGER votes_once BEFORE INSERT ON votes WHEN new.assignment IS NOT NULL
 AND EXISTS (SELECT 1 FROM votes v LEFT JOIN assignments s ON s.id = v.assignment
             WHERE v.rater = new.rater AND v.battle = new.battle
             AND (coalesce(s.kind, 'battle') = 'repeat')
               = ((SELECT kind FROM assignments WHERE id = new.assignment) = 'repeat')
             AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id))
BEGIN SELECT raise(ABORT, 'this rater has a standing vote on this battle'); END;
--
CREATE TRIGGER votes_counted AFTER INSERT ON votes WHEN new.import IS NULL
 AND (SELECT kind FROM assignments WHERE id = new.assignment) = 'battle'
BEGIN
  DELETE FROM open_leases WHERE rater = new.rater AND battle = new.battle;
  UPDATE battle_cover SET votes = votes + 1 WHERE battle = new.battle AND new.outcome <> 'skip'
    AND NOT EXISTS (SELECT 1 FROM excluded_raters WHERE rater = new.rater);
  UPDATE campaign_sizes SET votes = votes + 1 WHERE campaign = new.campaign AND new.outcome <> 'skip'
    AND NOT EXISTS (SELECT 1 FROM excluded_raters WHERE rater = new.rater);
  INSERT INTO vote_counts SELECT new.campaign, model_a, model_b, new.rater, new.outcome, 1
    FROM battles WHERE id = new.battle
  ON CONFLICT DO UPDATE SET n = n + 1;
END;
--
CREATE TRIGGER votes_checked AFTER INSERT ON votes WHEN new.import IS NULL
 AND (SELECT kind FROM assignments WHERE id = new.assignment) <> 'battle'
BEGIN
  DELETE FROM open_leases WHERE rater = new.rater AND battle = new.battle;
  INSERT INTO check_counts SELECT new.campaign, new.rater, kind, 1, new.outcome = 'skip' FROM assignments
  WHERE id = new.assignment ON CONFLICT DO UPDATE SET n = n + 1, skipped = skipped + excluded.skipped;
END;
--
CREATE TRIGGER retractions_counted AFTER INSERT ON retractions
WHEN (SELECT coalesce(s.kind, 'battle') FROM votes v LEFT JOIN assignments s ON s.id = v.assignment
      WHERE v.id = new.vote) = 'battle'
BEGIN
  UPDATE battle_cover SET votes = votes - 1
  WHERE battle = (SELECT battle FROM votes v WHERE id = new.vote AND outcome <> 'skip'
                  AND NOT EXISTS (SELECT 1 FROM excluded_raters x WHERE x.rater = v.rater));
  UPDATE campaign_sizes SET votes = votes - 1
  WHERE campaign = (SELECT campaign FROM votes v WHERE id = new.vote AND outcome <> 'skip'
                    AND NOT EXISTS (SELECT 1 FROM excluded_raters x WHERE x.rater = v.rater));
  UPDATE vote_counts SET n = n - 1
  WHERE (campaign, model_a, model_b, rater, outcome) = (
    SELECT v.campaign, b.model_a, b.model_b, v.rater, v.outcome
    FROM votes v JOIN battles b ON b.id = v.battle WHERE v.id = new.vote);
END;
--
CREATE TRIGGER retractions_checked AFTER INSERT ON retractions
BEGIN
  UPDATE check_counts SET n = n - 1, skipped = skipped - (SELECT outcome = 'skip' FROM votes WHERE id = new.vote)
  WHERE (campaign, rater, kind) = (
    SELECT v.campaign, v.rater, s.kind FROM votes v JOIN assignments s ON s.id = v.assignment
    WHERE v.id = new.vote AND s.kind <> 'battle');
END;
--
CREATE TRIGGER rater_decisions_cover AFTER INSERT ON rater_decisions
WHEN new.counted <> coalesce((SELECT counted FROM rater_decisions WHERE rater = new.rater AND id < new.id
                              ORDER BY id DESC LIMIT 1), 1)
BEGIN
  UPDATE battle_cover SET votes = votes + (2 * new.counted - 1)
    * (SELECT count(*) FROM covering_votes c WHERE c.rater = new.rater AND c.battle = battle_cover.battle)
  WHERE battle IN (SELECT battle FROM votes WHERE rater = new.rater);
  UPDATE campaign_sizes SET votes = votes + (2 * new.counted - 1)
    * (SELECT count(*) FROM covering_votes c WHERE c.rater = new.rater AND c.campaign = campaign_sizes.campaign)
  WHERE campaign IN (SELECT campaign FROM votes WHERE rater = new.rater);
END;
--
CREATE TRIGGER votes_no_update BEFORE UPDATE ON votes
WHEN NOT (EXISTS (SELECT 1 FROM withdrawals WHERE rater = old.rater)
  AND new.comment IS NULL AND new.better IS NULL AND new.reason IS NULL AND new.report IS NULL
  AND (new.id, new.receipt, new.assignment, new.campaign, new.battle, new.rater, new.outcome, new.key, new.body,
       new.strength, new.acceptable_a, new.acceptable_b, new.criteria, new.tags_a, new.tags_b, new.elapsed_ms,
       new.consent_version, new.revealed, new.import, new.created_at)
   IS (old.id, old.receipt, old.assignment, old.campaign, old.battle, old.rater, old.outcome, old.key, old.body,
       old.strength, old.acceptable_a, old.acceptable_b, old.criteria, old.tags_a, old.tags_b, old.elapsed_ms,
       old.consent_version, old.revealed, old.import, old.created_at))
BEGIN SELECT raise(ABORT, 'votes is append-only'); END;
--
CREATE TRIGGER gold_pairs_no_update BEFORE UPDATE ON gold_pairs BEGIN SELECT raise(ABORT, 'gold_pairs is append-only'); END;
--
CREATE TRIGGER gold_pairs_no_delete BEFORE DELETE ON gold_pairs BEGIN SELECT raise(ABORT, 'gold_pairs is append-only'); END;
--
CREATE TRIGGER withdrawals_no_update BEFORE UPDATE ON withdrawals BEGIN SELECT raise(ABORT, 'withdrawals is append-only'); END;
--
CREATE TRIGGER withdrawals_no_delete BEFORE DELETE ON withdrawals BEGIN SELECT raise(ABORT, 'withdrawals is append-only'); END;
--
CREATE TRIGGER reveals_no_update BEFORE UPDATE ON reveals BEGIN SELECT raise(ABORT, 'reveals is append-only'); END;
--
CREATE TRIGGER reveals_no_delete BEFORE DELETE ON reveals BEGIN SELECT raise(ABORT, 'reveals is append-only'); END;
--
CREATE TRIGGER adjudications_no_update BEFORE UPDATE ON adjudications BEGIN SELECT raise(ABORT, 'adjudications is append-only'); END;
--
CREATE TRIGGER adjudications_no_delete BEFORE DELETE ON adjudications BEGIN SELECT raise(ABORT, 'adjudications is append-only'); END;
--
CREATE TRIGGER snapshot_answers_no_update BEFORE UPDATE ON snapshot_answers BEGIN SELECT raise(ABORT, 'snapshot_answers is append-only'); END;
--
CREATE TRIGGER snapshot_answers_no_delete BEFORE DELETE ON snapshot_answers BEGIN SELECT raise(ABORT, 'snapshot_answers is append-only'); END;
--
CREATE TRIGGER rollbacks_newest BEFORE INSERT ON rollbacks
WHEN new.promotion IS NOT (SELECT max(id) FROM standing_promotions)
BEGIN SELECT raise(ABORT, 'only the newest promotion can be rolled back'); END;
--
CREATE TRIGGER models_champion_stays BEFORE UPDATE OF removed_at ON models
WHEN new.removed_at IS NOT NULL
 AND new.id IS (SELECT model FROM standing_promotions ORDER BY id DESC LIMIT 1)
BEGIN SELECT raise(ABORT, 'the champion stays on the lists'); END;
--
CREATE TRIGGER rollbacks_no_update BEFORE UPDATE ON rollbacks BEGIN SELECT raise(ABORT, 'rollbacks is append-only'); END;
--
CREATE TRIGGER rollbacks_no_delete BEFORE DELETE ON rollbacks BEGIN SELECT raise(ABORT, 'rollbacks is append-only'); END;
--
PRAGMA application_id=1415672692;
