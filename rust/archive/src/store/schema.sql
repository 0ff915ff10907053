CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE import(
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, fingerprint BLOB NOT NULL,
    state TEXT NOT NULL, source TEXT, account TEXT, inputs TEXT NOT NULL, started INTEGER NOT NULL,
    finished INTEGER, summary TEXT);

-- What people see of a record; follows from its revisions.
CREATE TABLE record(
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, provider TEXT NOT NULL, kind TEXT NOT NULL,
    native TEXT NOT NULL, title TEXT, account TEXT, created INTEGER, updated INTEGER, newest INTEGER,
    revision INTEGER NOT NULL, branches INTEGER NOT NULL);

CREATE TABLE revision(
    id INTEGER PRIMARY KEY AUTOINCREMENT, record INTEGER NOT NULL, digest BLOB NOT NULL, format TEXT NOT NULL,
    updated INTEGER, newest INTEGER, messages INTEGER NOT NULL, size INTEGER NOT NULL, seen INTEGER NOT NULL);
CREATE INDEX revision_digest ON revision(digest);
CREATE INDEX revision_record ON revision(record);

-- A revision's bytes in chunks: id = revision << 20 | number.
CREATE TABLE chunk(id INTEGER PRIMARY KEY, data BLOB NOT NULL);

CREATE TABLE brought(import INTEGER NOT NULL, revision INTEGER NOT NULL, file TEXT NOT NULL,
    PRIMARY KEY (import, revision)) WITHOUT ROWID;
CREATE INDEX brought_revision ON brought(revision);

CREATE TABLE message(
    id INTEGER PRIMARY KEY, record INTEGER NOT NULL, key INTEGER NOT NULL, part INTEGER NOT NULL,
    revision INTEGER NOT NULL, parent INTEGER, role INTEGER NOT NULL, trust INTEGER NOT NULL, time INTEGER,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, flags INTEGER NOT NULL, digest INTEGER NOT NULL);
CREATE INDEX message_record ON message(record);

CREATE VIRTUAL TABLE search USING fts5(
    text, content='', contentless_delete=1, tokenize='porter unicode61 remove_diacritics 2');

CREATE TABLE statement(
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, provider TEXT NOT NULL, scope TEXT NOT NULL,
    kind TEXT NOT NULL, trust INTEGER NOT NULL, text TEXT NOT NULL, tag TEXT, planted INTEGER NOT NULL,
    secret INTEGER NOT NULL);
CREATE TABLE sighting(
    revision INTEGER NOT NULL, statement INTEGER NOT NULL, message INTEGER NOT NULL, time INTEGER, since INTEGER,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, PRIMARY KEY (revision, statement, message)) WITHOUT ROWID;
CREATE INDEX sighting_statement ON sighting(statement);
CREATE TABLE snapshot(
    revision INTEGER NOT NULL, provider TEXT NOT NULL, scope TEXT NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (revision, provider, scope, time)) WITHOUT ROWID;
CREATE VIRTUAL TABLE statement_search USING fts5(
    text, content='', contentless_delete=1, tokenize='porter unicode61 remove_diacritics 2');

-- Files of exports that are no conversations; their bytes lie in files/ under their digest.
CREATE TABLE carried(import INTEGER NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (import, name, digest)) WITHOUT ROWID;
CREATE INDEX carried_digest ON carried(digest);

-- Indexing appends: postings gather in memory and are merged in large steps.
INSERT INTO search(search, rank) VALUES ('hashsize', 8388608);
INSERT INTO search(search, rank) VALUES ('automerge', 0);
