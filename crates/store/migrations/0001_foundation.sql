-- One text for both engines. The renderer in src/migrate.rs writes BIGINT and BYTEA the way SQLite wants
-- them, makes SQLite's tables STRICT, and gives PostgreSQL's texts the collation "C", so that both sort by
-- bytes. A table's text ends with a line that holds `);` and nothing else. What one engine alone needs
-- stands between `-- @sqlite` or `-- @postgres` and `-- @both`.
--
-- Ids are texts, times are milliseconds since 1970, booleans are 0 or 1.

CREATE TABLE deployment (
    singleton   BIGINT PRIMARY KEY CHECK (singleton = 1),
    id          TEXT   NOT NULL,
    kms_key     TEXT   NOT NULL,
    wrapped_key BYTEA  NOT NULL,
    created_at  BIGINT NOT NULL
);

-- Every change begins by updating this row, so changes commit one after the other, in the order of their numbers.
CREATE TABLE revision (
    singleton      BIGINT PRIMARY KEY CHECK (singleton = 1),
    revision       BIGINT NOT NULL,
    audit_sequence BIGINT NOT NULL
);

INSERT INTO revision (singleton, revision, audit_sequence) VALUES (1, 0, 0);

-- What each revision touched: one account, or (NULL) possibly all.
CREATE TABLE changes (
    revision   BIGINT PRIMARY KEY,
    account_id TEXT
);

-- Only the active pair keeps its private half.
CREATE TABLE sealing_keys (
    kek_id          TEXT   PRIMARY KEY,
    public_key      BYTEA  NOT NULL,
    wrapped_private BYTEA,
    active          BIGINT NOT NULL CHECK (active IN (0, 1)),
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    destroyed_at    BIGINT,
    CHECK ((active = 1) = (wrapped_private IS NOT NULL))
);

CREATE UNIQUE INDEX sealing_keys_one_active ON sealing_keys (active) WHERE active = 1;

CREATE TABLE users (
    id             TEXT   PRIMARY KEY,
    email          TEXT   NOT NULL UNIQUE,
    password_hash  TEXT   NOT NULL,
    instance_admin BIGINT NOT NULL CHECK (instance_admin IN (0, 1)),
    suspended      BIGINT NOT NULL CHECK (suspended IN (0, 1)),
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);

CREATE TABLE accounts (
    id         TEXT   PRIMARY KEY,
    owner_user TEXT   NOT NULL UNIQUE REFERENCES users (id),
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE workspaces (
    id         TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL REFERENCES accounts (id),
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX workspaces_by_account ON workspaces (account_id, id);

CREATE TABLE members (
    workspace_id TEXT   NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id      TEXT   NOT NULL REFERENCES users (id),
    role         TEXT   NOT NULL CHECK (role IN ('member', 'admin', 'owner')),
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);

CREATE INDEX members_by_user ON members (user_id, workspace_id);

CREATE UNIQUE INDEX members_one_owner ON members (workspace_id) WHERE role = 'owner';

-- `parent_id` is the API key that minted it, with which it is revoked.
CREATE TABLE api_keys (
    id           TEXT   PRIMARY KEY,
    workspace_id TEXT   NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id      TEXT   NOT NULL REFERENCES users (id),
    parent_id    TEXT   REFERENCES api_keys (id) ON DELETE CASCADE,
    name         TEXT   NOT NULL,
    prefix       TEXT   NOT NULL,
    hash         BYTEA  NOT NULL UNIQUE,
    scopes       TEXT   NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT,
    created_at   BIGINT NOT NULL
);

CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, id);

CREATE INDEX api_keys_by_member ON api_keys (workspace_id, user_id, id);

CREATE INDEX api_keys_by_parent ON api_keys (parent_id);

-- `api_key_id` is the API key with which `invited_by` made it; an invitation ends with what made it.
CREATE TABLE invitations (
    id           TEXT   PRIMARY KEY,
    workspace_id TEXT   NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    email        TEXT   NOT NULL,
    role         TEXT   NOT NULL CHECK (role IN ('member', 'admin')),
    hash         BYTEA  NOT NULL UNIQUE,
    invited_by   TEXT   NOT NULL REFERENCES users (id),
    api_key_id   TEXT   REFERENCES api_keys (id) ON DELETE CASCADE,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    accepted_at  BIGINT
);

CREATE INDEX invitations_by_workspace ON invitations (workspace_id, id);

CREATE INDEX invitations_by_api_key ON invitations (api_key_id);

CREATE UNIQUE INDEX invitations_one_pending ON invitations (workspace_id, email) WHERE accepted_at IS NULL;

CREATE TABLE sessions (
    id           TEXT   PRIMARY KEY,
    user_id      TEXT   NOT NULL REFERENCES users (id),
    hash         BYTEA  NOT NULL UNIQUE,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    user_agent   TEXT   NOT NULL
);

CREATE INDEX sessions_by_user ON sessions (user_id, id);

CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- The owner is a workspace or an account. `workspace_id` repeats a workspace owner so that the row goes with it.
-- Keys are encrypted under the owner's active data key; earlier ones still open what was encrypted under them.
CREATE TABLE data_keys (
    id           TEXT   PRIMARY KEY,
    owner_id     TEXT   NOT NULL,
    workspace_id TEXT   REFERENCES workspaces (id) ON DELETE CASCADE,
    account_id   TEXT   REFERENCES accounts (id),
    kms_key      TEXT   NOT NULL,
    wrapped      BYTEA  NOT NULL,
    active       BIGINT NOT NULL CHECK (active IN (0, 1)),
    created_at   BIGINT NOT NULL,
    UNIQUE (owner_id, id),
    CHECK (owner_id = COALESCE(workspace_id, account_id)),
    CHECK ((workspace_id IS NULL) <> (account_id IS NULL))
);

CREATE UNIQUE INDEX data_keys_one_active ON data_keys (owner_id) WHERE active = 1;

CREATE INDEX data_keys_by_workspace ON data_keys (workspace_id);

-- `account_id` is the account that owns the key or the key's workspace.
CREATE TABLE provider_keys (
    id                TEXT   PRIMARY KEY,
    owner_id          TEXT   NOT NULL,
    workspace_id      TEXT   REFERENCES workspaces (id) ON DELETE CASCADE,
    account_id        TEXT   NOT NULL REFERENCES accounts (id),
    provider          TEXT   NOT NULL,
    label             TEXT   NOT NULL,
    base_url          TEXT   NOT NULL,
    auth_header       TEXT   NOT NULL,
    version           BIGINT NOT NULL CHECK (version >= 1),
    data_key_id       TEXT   NOT NULL,
    envelope          BYTEA  NOT NULL,
    mask              TEXT   NOT NULL,
    kek_id            TEXT,
    position          BIGINT NOT NULL,
    enabled           BIGINT NOT NULL CHECK (enabled IN (0, 1)),
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    last_used_at      BIGINT,
    last_failure_at   BIGINT,
    last_failure_kind TEXT,
    UNIQUE (owner_id, provider, label),
    FOREIGN KEY (owner_id, data_key_id) REFERENCES data_keys (owner_id, id) ON DELETE CASCADE,
    CHECK (owner_id = COALESCE(workspace_id, account_id)),
    CHECK ((last_failure_at IS NULL) = (last_failure_kind IS NULL))
);

CREATE INDEX provider_keys_by_workspace ON provider_keys (workspace_id);

-- Keyed hashes of the sealed boxes that were taken, so that none is taken twice.
CREATE TABLE seen_boxes (
    hash    BYTEA  PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- Usage and audit name what they describe without foreign keys: they outlive it.
CREATE TABLE usage (
    request_id          TEXT   PRIMARY KEY,
    at                  BIGINT NOT NULL,
    account_id          TEXT   NOT NULL,
    workspace_id        TEXT   NOT NULL,
    api_key_id          TEXT   NOT NULL,
    user_id             TEXT   NOT NULL,
    wire_format         TEXT   NOT NULL,
    operation           TEXT   NOT NULL,
    model_requested     TEXT   NOT NULL,
    provider            TEXT,
    model               TEXT,
    key_source          TEXT,
    provider_key_id     TEXT,
    key_label           TEXT,
    status              BIGINT NOT NULL,
    error_code          TEXT,
    streamed            BIGINT NOT NULL CHECK (streamed IN (0, 1)),
    input_tokens        BIGINT,
    cached_input_tokens BIGINT,
    cache_write_tokens  BIGINT,
    output_tokens       BIGINT,
    reasoning_tokens    BIGINT,
    latency_ms          BIGINT NOT NULL,
    first_byte_ms       BIGINT,
    request_bytes       BIGINT NOT NULL,
    response_bytes      BIGINT NOT NULL,
    upstream_status     BIGINT
);

CREATE INDEX usage_by_workspace ON usage (workspace_id, at, request_id);

CREATE TABLE audit (
    sequence     BIGINT PRIMARY KEY,
    at           BIGINT NOT NULL,
    account_id   TEXT,
    workspace_id TEXT,
    actor        TEXT   NOT NULL,
    action       TEXT   NOT NULL,
    provider     TEXT,
    label        TEXT,
    kek_id       TEXT,
    subject      TEXT,
    outcome      TEXT   NOT NULL,
    request_id   TEXT   NOT NULL
);

CREATE INDEX audit_by_workspace ON audit (workspace_id, sequence);

CREATE INDEX audit_by_account ON audit (account_id, sequence);

-- @sqlite
CREATE TRIGGER audit_refuses_update BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit rows are never changed');
END;

CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit rows are never removed');
END;

CREATE TRIGGER audit_refuses_replace BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE sequence = NEW.sequence)
BEGIN
    SELECT RAISE(ABORT, 'audit rows are never replaced');
END;
-- @postgres
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit rows are never changed or removed';
END
$$;

CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
-- @both
