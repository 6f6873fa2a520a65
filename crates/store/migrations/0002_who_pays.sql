-- Who pays: platform keys, what workspaces and the instance decide, plans and subscriptions.

-- The instance joins workspaces and accounts as an owner of keys. SQLite changes no CHECK in place, so there the
-- two tables are made anew; the child goes first, because dropping its parent would empty it.
-- @sqlite
CREATE TABLE data_keys_new (
    id           TEXT    PRIMARY KEY,
    owner_id     TEXT    NOT NULL,
    workspace_id TEXT    REFERENCES workspaces (id) ON DELETE CASCADE,
    account_id   TEXT    REFERENCES accounts (id),
    instance_id  TEXT,
    kms_key      TEXT    NOT NULL,
    wrapped      BLOB    NOT NULL,
    active       INTEGER NOT NULL CHECK (active IN (0, 1)),
    created_at   INTEGER NOT NULL,
    UNIQUE (owner_id, id),
    CONSTRAINT data_keys_owner CHECK (owner_id = COALESCE(workspace_id, account_id, instance_id)),
    CONSTRAINT data_keys_one_owner CHECK (
        CASE WHEN workspace_id IS NULL THEN 0 ELSE 1 END
        + CASE WHEN account_id IS NULL THEN 0 ELSE 1 END
        + CASE WHEN instance_id IS NULL THEN 0 ELSE 1 END = 1)
) STRICT;

INSERT INTO data_keys_new (id, owner_id, workspace_id, account_id, kms_key, wrapped, active, created_at)
SELECT id, owner_id, workspace_id, account_id, kms_key, wrapped, active, created_at FROM data_keys;

CREATE TABLE provider_keys_new (
    id                TEXT    PRIMARY KEY,
    owner_id          TEXT    NOT NULL,
    workspace_id      TEXT    REFERENCES workspaces (id) ON DELETE CASCADE,
    account_id        TEXT    REFERENCES accounts (id),
    instance_id       TEXT,
    provider          TEXT    NOT NULL,
    label             TEXT    NOT NULL,
    base_url          TEXT    NOT NULL,
    auth_header       TEXT    NOT NULL,
    version           INTEGER NOT NULL CHECK (version >= 1),
    data_key_id       TEXT    NOT NULL,
    envelope          BLOB    NOT NULL,
    mask              TEXT    NOT NULL,
    kek_id            TEXT,
    position          INTEGER NOT NULL,
    level             INTEGER CHECK (level BETWEEN 0 AND 9999),
    fallback          INTEGER NOT NULL DEFAULT 0 CHECK (fallback IN (0, 1)),
    template          INTEGER NOT NULL DEFAULT 0 CHECK (template IN (0, 1)),
    prices            TEXT    NOT NULL DEFAULT '[]',
    enabled           INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    last_used_at      INTEGER,
    last_failure_at   INTEGER,
    last_failure_kind TEXT,
    FOREIGN KEY (owner_id, data_key_id) REFERENCES data_keys_new (owner_id, id) ON DELETE CASCADE,
    CONSTRAINT provider_keys_owner CHECK (owner_id = COALESCE(workspace_id, account_id, instance_id)),
    CONSTRAINT provider_keys_account CHECK ((account_id IS NULL) <> (instance_id IS NULL)),
    CONSTRAINT provider_keys_template CHECK (template = 0 OR (workspace_id IS NULL AND instance_id IS NULL)),
    CHECK ((last_failure_at IS NULL) = (last_failure_kind IS NULL))
) STRICT;

INSERT INTO provider_keys_new (id, owner_id, workspace_id, account_id, provider, label, base_url, auth_header,
                               version, data_key_id, envelope, mask, kek_id, position, enabled, created_at,
                               updated_at, last_used_at, last_failure_at, last_failure_kind)
SELECT id, owner_id, workspace_id, account_id, provider, label, base_url, auth_header,
       version, data_key_id, envelope, mask, kek_id, position, enabled, created_at,
       updated_at, last_used_at, last_failure_at, last_failure_kind
FROM provider_keys;

DROP TABLE provider_keys;
DROP TABLE data_keys;
ALTER TABLE data_keys_new RENAME TO data_keys;
ALTER TABLE provider_keys_new RENAME TO provider_keys;

CREATE UNIQUE INDEX data_keys_one_active ON data_keys (owner_id) WHERE active = 1;
CREATE INDEX data_keys_by_workspace ON data_keys (workspace_id);
CREATE INDEX provider_keys_by_workspace ON provider_keys (workspace_id);
-- @postgres
ALTER TABLE data_keys
    ADD COLUMN instance_id TEXT COLLATE "C",
    DROP CONSTRAINT data_keys_check,
    DROP CONSTRAINT data_keys_check1,
    ADD CONSTRAINT data_keys_owner CHECK (owner_id = COALESCE(workspace_id, account_id, instance_id)),
    ADD CONSTRAINT data_keys_one_owner CHECK (
        CASE WHEN workspace_id IS NULL THEN 0 ELSE 1 END
        + CASE WHEN account_id IS NULL THEN 0 ELSE 1 END
        + CASE WHEN instance_id IS NULL THEN 0 ELSE 1 END = 1);

ALTER TABLE provider_keys
    ALTER COLUMN account_id DROP NOT NULL,
    ADD COLUMN instance_id TEXT COLLATE "C",
    ADD COLUMN level BIGINT CHECK (level BETWEEN 0 AND 9999),
    ADD COLUMN fallback BIGINT NOT NULL DEFAULT 0 CHECK (fallback IN (0, 1)),
    ADD COLUMN template BIGINT NOT NULL DEFAULT 0 CHECK (template IN (0, 1)),
    ADD COLUMN prices TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    DROP CONSTRAINT provider_keys_owner_id_provider_label_key,
    DROP CONSTRAINT provider_keys_check,
    ADD CONSTRAINT provider_keys_owner CHECK (owner_id = COALESCE(workspace_id, account_id, instance_id)),
    ADD CONSTRAINT provider_keys_account CHECK ((account_id IS NULL) <> (instance_id IS NULL)),
    ADD CONSTRAINT provider_keys_template CHECK (template = 0 OR (workspace_id IS NULL AND instance_id IS NULL));
-- @both

-- A template has a label of its own kind: it never takes one away from a key that serves.
CREATE UNIQUE INDEX provider_keys_labels ON provider_keys (owner_id, provider, template, label);

CREATE UNIQUE INDEX provider_keys_one_template ON provider_keys (owner_id, provider) WHERE template = 1;

CREATE INDEX provider_keys_of_instance ON provider_keys (instance_id) WHERE instance_id IS NOT NULL;

CREATE INDEX data_keys_of_instance ON data_keys (instance_id) WHERE instance_id IS NOT NULL;

-- A workspace's policy as JSON; what it leaves out is as by default, so that nobody's bill changes by an upgrade.
ALTER TABLE workspaces ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';

ALTER TABLE workspaces ADD COLUMN policy_updated_at BIGINT NOT NULL DEFAULT 0;

ALTER TABLE api_keys ADD COLUMN default_model TEXT;

-- The instance's settings as JSON; what they leave out is as by default.
CREATE TABLE settings (
    singleton BIGINT PRIMARY KEY CHECK (singleton = 1),
    body      TEXT   NOT NULL
);

CREATE TABLE plans (
    id    TEXT   PRIMARY KEY,
    name  TEXT   NOT NULL,
    rank  BIGINT NOT NULL,
    terms TEXT   NOT NULL
);

-- `terms` is a copy: editing a plan changes nobody's subscription. `plan_id` has no reference for the same reason,
-- and because a plan that is in use is not removed anyway.
CREATE TABLE subscriptions (
    account_id TEXT   PRIMARY KEY REFERENCES accounts (id),
    plan_id    TEXT   NOT NULL,
    terms      TEXT   NOT NULL,
    started_at BIGINT NOT NULL
);

CREATE INDEX subscriptions_by_plan ON subscriptions (plan_id);

-- What was removed and not replaced, so that a refusal can say so. `workspace_id` repeats a workspace owner.
CREATE TABLE removed_provider_keys (
    owner_id     TEXT   NOT NULL,
    workspace_id TEXT   REFERENCES workspaces (id) ON DELETE CASCADE,
    provider     TEXT   NOT NULL,
    label        TEXT   NOT NULL,
    removed_at   BIGINT NOT NULL,
    PRIMARY KEY (owner_id, provider)
);

CREATE INDEX removed_provider_keys_by_workspace ON removed_provider_keys (workspace_id);

-- What new workspaces of an account start with; the key among it is a template in provider_keys.
CREATE TABLE account_defaults (
    account_id TEXT   PRIMARY KEY REFERENCES accounts (id),
    mode       TEXT,
    provider   TEXT,
    model      TEXT,
    updated_at BIGINT NOT NULL
);
