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
) STRICT;
--
INSERT INTO "campaigns" VALUES (1, 'first', 'asked', 'open', 'collect', 2, '["polite"]', '', '', '', 'never', 600, 900, NULL, NULL, 1, NULL, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "campaigns" VALUES (2, 'check', 'heldout', 'closed', 'evaluate', 1, '[]', '', '', '', 'never', 600, 900, NULL, NULL, 2, NULL, NULL, '2025-06-01T10:00:00.000Z');
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
) STRICT;
--
INSERT INTO "seats" VALUES (1, 1, 1, 1, 0, 'hash 1', 1, 1, NULL, '2025-06-01T10:00:00.000Z', NULL, NULL);
--
INSERT INTO "seats" VALUES (2, 2, 1, 1, 0, 'hash 2', 1, 2, NULL, '2025-06-01T10:00:00.000Z', NULL, NULL);
--
INSERT INTO "seats" VALUES (3, 3, 1, 1, 0, 'hash 3', 1, 3, NULL, '2025-06-01T10:00:00.000Z', NULL, NULL);
--
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE,
  seat INTEGER REFERENCES seats(id),
  link TEXT,
  role TEXT NOT NULL CHECK (role IN ('rater', 'owner')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  expires_at TEXT NOT NULL, ended_at TEXT,
  CHECK ((role = 'rater') = (seat IS NOT NULL))
) STRICT;
--
INSERT INTO "sessions" VALUES (1, 'session 1', 1, NULL, 'rater', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', NULL);
--
INSERT INTO "sessions" VALUES (2, 'session 2', 2, NULL, 'rater', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', NULL);
--
INSERT INTO "sessions" VALUES (3, 'session 3', 3, NULL, 'rater', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', NULL);
--
CREATE TABLE owner_tokens (
  token_hash TEXT PRIMARY KEY, created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  expires_at TEXT NOT NULL, used_at TEXT
) STRICT, WITHOUT ROWID;
--
INSERT INTO "owner_tokens" VALUES ('token', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z', NULL);
--
CREATE TABLE assignments (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE CHECK (length(id) >= 22),
  battle INTEGER NOT NULL REFERENCES battles(id),
  rater INTEGER NOT NULL REFERENCES raters(id),
  left_is TEXT NOT NULL CHECK (left_is IN ('a', 'b')),
  lent_at TEXT NOT NULL, expires_at TEXT NOT NULL
) STRICT;
--
INSERT INTO "assignments" VALUES (1, 'assignment-number-0000', 1, 1, 'a', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z');
--
INSERT INTO "assignments" VALUES (2, 'assignment-number-0001', 2, 1, 'b', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z');
--
INSERT INTO "assignments" VALUES (3, 'assignment-number-0002', 3, 1, 'a', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z');
--
INSERT INTO "assignments" VALUES (4, 'assignment-number-0003', 1, 2, 'b', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z');
--
INSERT INTO "assignments" VALUES (5, 'assignment-number-0004', 2, 2, 'a', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z');
--
INSERT INTO "assignments" VALUES (6, 'assignment-number-0005', 1, 3, 'b', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z');
--
INSERT INTO "assignments" VALUES (7, 'assignment-number-0006', 3, 2, 'a', '2025-06-01T10:00:00.000Z', '2999-01-01T00:00:00.000Z');
--
CREATE TABLE campaign_sizes (
  campaign INTEGER PRIMARY KEY, battles INTEGER NOT NULL, votes INTEGER NOT NULL
) STRICT;
--
INSERT INTO "campaign_sizes" VALUES (1, 3, 4);
--
INSERT INTO "campaign_sizes" VALUES (2, 1, 1);
--
CREATE TABLE battle_cover (
  battle INTEGER PRIMARY KEY, campaign INTEGER NOT NULL,
  votes INTEGER NOT NULL, leases INTEGER NOT NULL, lot INTEGER NOT NULL
) STRICT;
--
INSERT INTO "battle_cover" VALUES (1, 1, 3, 0, 1571119888861552367);
--
INSERT INTO "battle_cover" VALUES (2, 1, 1, 0, 1480673319032632202);
--
INSERT INTO "battle_cover" VALUES (3, 1, 0, 1, 3240612566618210042);
--
INSERT INTO "battle_cover" VALUES (4, 2, 1, 0, 2272728648252881581);
--
CREATE TABLE open_leases (
  rater INTEGER NOT NULL, battle INTEGER NOT NULL, assignment TEXT NOT NULL, expires_at TEXT NOT NULL,
  live INTEGER NOT NULL DEFAULT 1 CHECK (live IN (0, 1)),
  PRIMARY KEY (rater, battle)
) STRICT, WITHOUT ROWID;
--
INSERT INTO "open_leases" VALUES (2, 3, 'assignment-number-0006', '2999-01-01T00:00:00.000Z', 1);
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
INSERT INTO "votes" VALUES (6, 'receipt 5', 'assignment-number-0005', 1, 1, 3, 'a', 'key 5', '{}', 'clear', NULL, NULL, '{}', '["kind"]', '[]', 'as it is', NULL, NULL, NULL, 4200, NULL, 0, NULL, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "votes" VALUES (7, 'imported', NULL, 2, 4, 1, 'a', NULL, NULL, NULL, NULL, NULL, '{}', '[]', '[]', NULL, NULL, NULL, NULL, NULL, NULL, 0, 2, '2025-06-01T10:00:00.000Z');
--
INSERT INTO "votes" VALUES (8, 'cut off', NULL, 2, 4, 2, 'a', NULL, NULL, NULL, NULL, NULL, '{}', '[]', '[]', NULL, NULL, NULL, NULL, NULL, NULL, 0, 3, '2025-06-01T10:00:00.000Z');
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
CREATE INDEX battle_cover_order ON battle_cover(campaign, votes + leases, lot);
--
CREATE INDEX open_leases_by_end ON open_leases(live, expires_at);
--
CREATE INDEX votes_by_campaign ON votes(campaign, id);
--
CREATE INDEX votes_by_rater ON votes(rater, campaign);
--
CREATE INDEX votes_by_battle ON votes(battle);
--
CREATE VIEW excluded_raters AS
SELECT rater, reason, at FROM rater_decisions d
WHERE counted = 0 AND id = (SELECT max(id) FROM rater_decisions WHERE rater = d.rater);
--
CREATE VIEW vote_states AS
SELECT v.id AS vote, v.campaign, v.rater, v.battle, v.outcome,
  CASE WHEN r.vote IS NOT NULL THEN 'retracted'
       WHEN v.import IS NOT NULL AND i.finished_at IS NULL THEN 'import unfinished'
       WHEN x.rater IS NOT NULL THEN 'rater excluded'
       WHEN v.outcome = 'skip' THEN 'skipped'
       ELSE 'counted' END AS state
FROM votes v
LEFT JOIN retractions r ON r.vote = v.id
LEFT JOIN imports i ON i.id = v.import
LEFT JOIN excluded_raters x ON x.rater = v.rater;
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
CREATE TRIGGER battles_covered AFTER INSERT ON battles
BEGIN
  INSERT INTO battle_cover VALUES (new.id, new.campaign, 0, 0, abs(random() / 2));
  INSERT INTO campaign_sizes VALUES (new.campaign, 1, 0) ON CONFLICT DO UPDATE SET battles = battles + 1;
END;
--
CREATE TRIGGER open_leases_begun AFTER INSERT ON open_leases
BEGIN UPDATE battle_cover SET leases = leases + 1 WHERE battle = new.battle; END;
--
CREATE TRIGGER open_leases_expired AFTER UPDATE OF live ON open_leases WHEN old.live = 1 AND new.live = 0
BEGIN UPDATE battle_cover SET leases = leases - 1 WHERE battle = new.battle; END;
--
CREATE TRIGGER open_leases_ended AFTER DELETE ON open_leases WHEN old.live = 1
BEGIN UPDATE battle_cover SET leases = leases - 1 WHERE battle = old.battle; END;
--
CREATE TRIGGER assignments_lent AFTER INSERT ON assignments
BEGIN
  DELETE FROM open_leases WHERE rater = new.rater AND battle = new.battle;
  INSERT INTO open_leases(rater, battle, assignment, expires_at)
  VALUES (new.rater, new.battle, new.id, new.expires_at);
END;
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
CREATE TRIGGER votes_once BEFORE INSERT ON votes WHEN new.assignment IS NOT NULL
 AND EXISTS (SELECT 1 FROM votes v WHERE v.rater = new.rater AND v.battle = new.battle
             AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id))
BEGIN SELECT raise(ABORT, 'this rater has a standing vote on this battle'); END;
--
CREATE TRIGGER votes_counted AFTER INSERT ON votes WHEN new.import IS NULL
BEGIN
  DELETE FROM open_leases WHERE rater = new.rater AND battle = new.battle;
  UPDATE battle_cover SET votes = votes + 1 WHERE battle = new.battle AND new.outcome <> 'skip';
  UPDATE campaign_sizes SET votes = votes + 1 WHERE campaign = new.campaign AND new.outcome <> 'skip';
  INSERT INTO vote_counts SELECT new.campaign, model_a, model_b, new.rater, new.outcome, 1
    FROM battles WHERE id = new.battle
  ON CONFLICT DO UPDATE SET n = n + 1;
END;
--
CREATE TRIGGER retractions_counted AFTER INSERT ON retractions
BEGIN
  UPDATE battle_cover SET votes = votes - 1
  WHERE battle = (SELECT battle FROM votes WHERE id = new.vote AND outcome <> 'skip');
  UPDATE campaign_sizes SET votes = votes - 1
  WHERE campaign = (SELECT campaign FROM votes WHERE id = new.vote AND outcome <> 'skip');
  UPDATE vote_counts SET n = n - 1
  WHERE (campaign, model_a, model_b, rater, outcome) = (
    SELECT v.campaign, b.model_a, b.model_b, v.rater, v.outcome
    FROM votes v JOIN battles b ON b.id = v.battle WHERE v.id = new.vote);
END;
--
CREATE TRIGGER votes_no_update BEFORE UPDATE ON votes BEGIN SELECT raise(ABORT, 'votes is append-only'); END;
--
CREATE TRIGGER votes_no_delete BEFORE DELETE ON votes BEGIN SELECT raise(ABORT, 'votes is append-only'); END;
--
CREATE TRIGGER retractions_no_update BEFORE UPDATE ON retractions BEGIN SELECT raise(ABORT, 'retractions is append-only'); END;
--
CREATE TRIGGER retractions_no_delete BEFORE DELETE ON retractions BEGIN SELECT raise(ABORT, 'retractions is append-only'); END;
--
PRAGMA application_id=1415672692;
