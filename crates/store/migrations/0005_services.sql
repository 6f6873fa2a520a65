-- What a workspace has its machines run. Whoever writes here decides what code runs on them, so the audit log keeps the
-- hash of each text that was written.
CREATE TABLE scripts (
    id             TEXT   PRIMARY KEY,
    workspace_id   TEXT   NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name           TEXT   NOT NULL,
    run_on         TEXT   NOT NULL CHECK (run_on IN ('first_boot', 'every_start')),
    position       BIGINT NOT NULL CHECK (position BETWEEN 0 AND 9999),
    content        TEXT   NOT NULL,
    content_sha256 TEXT   NOT NULL,
    version        BIGINT NOT NULL CHECK (version >= 1),
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (workspace_id, name)
);

CREATE TABLE services (
    id             TEXT   PRIMARY KEY,
    workspace_id   TEXT   NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name           TEXT   NOT NULL,
    command        TEXT   NOT NULL,
    variables      TEXT   NOT NULL,
    restart        TEXT   NOT NULL CHECK (restart IN ('always', 'on-failure', 'no')),
    auto_enable    BIGINT NOT NULL CHECK (auto_enable IN (0, 1)),
    content_sha256 TEXT   NOT NULL,
    version        BIGINT NOT NULL CHECK (version >= 1),
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (workspace_id, name)
);

ALTER TABLE audit ADD COLUMN content_sha256 TEXT;
