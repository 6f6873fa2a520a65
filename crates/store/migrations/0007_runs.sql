-- Generation runs. Prompts and results are content: they go with the run, and the run with its workspace.
-- `api_key_id` is the API key that made the run, or the one that stands for its maker's log-in; its calls are made for it.
-- `plan` is the JSON of domain::run::RunPlan. `lease_owner` is the worker that has the run; a lease whose beat stands
-- still has ended.
CREATE TABLE runs (
    id           TEXT   PRIMARY KEY,
    workspace_id TEXT   NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id      TEXT   NOT NULL REFERENCES users (id),
    api_key_id   TEXT   NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    status       TEXT   NOT NULL CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'cancelled')),
    visibility   TEXT   NOT NULL CHECK (visibility IN ('private', 'workspace', 'link')),
    link_hash    BYTEA  UNIQUE,
    version      BIGINT NOT NULL,
    prompt       TEXT   NOT NULL,
    plan         TEXT   NOT NULL,
    lease_owner  TEXT,
    lease_beat   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    started_at   BIGINT,
    ended_at     BIGINT,
    CHECK ((status = 'running') = (lease_owner IS NOT NULL)),
    CHECK ((link_hash IS NULL) = (visibility <> 'link'))
);

CREATE INDEX runs_by_workspace ON runs (workspace_id, id);

CREATE INDEX runs_by_status ON runs (status, id);

CREATE INDEX runs_by_end ON runs (ended_at);

CREATE INDEX runs_by_api_key ON runs (api_key_id);

-- What the steps made, by their place in the plan.
CREATE TABLE run_results (
    run_id     TEXT   NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step       BIGINT NOT NULL,
    media_type TEXT   NOT NULL,
    bytes      BIGINT NOT NULL,
    content    BYTEA  NOT NULL,
    PRIMARY KEY (run_id, step)
);

-- The API key that stands for a member's log-in where runs are made with it.
CREATE TABLE run_callers (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id      TEXT NOT NULL REFERENCES users (id),
    api_key_id   TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    PRIMARY KEY (workspace_id, user_id)
);

CREATE INDEX run_callers_by_api_key ON run_callers (api_key_id);
