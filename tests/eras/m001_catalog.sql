CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
--
INSERT INTO "_sqlite_migrations" VALUES (1, 'tastebench', 'm001_catalog', '2025-06-01T10:00:00.000Z');
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
INSERT INTO prompts_fts(prompts_fts) VALUES ('rebuild');
--
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
--
CREATE INDEX responses_by_model ON responses(model, prompt, sample);
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
PRAGMA application_id=1415672692;
