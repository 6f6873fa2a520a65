-- What many calls have in common stands once: a call's row was three times as long, and each of six indexes repeated a
-- part of it. A group is never changed; two of the same content may exist, made by two nodes at once.
CREATE TABLE usage_groups (
    id              BIGINT PRIMARY KEY,
    account_id      TEXT NOT NULL,
    workspace_id    TEXT NOT NULL,
    api_key_id      TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    wire_format     TEXT NOT NULL,
    operation       TEXT NOT NULL,
    model_requested TEXT NOT NULL,
    provider        TEXT,
    model           TEXT,
    key_source      TEXT,
    provider_key_id TEXT,
    key_label       TEXT,
    pricing         TEXT,
    catalog_version TEXT
);

INSERT INTO usage_groups (id, account_id, workspace_id, api_key_id, user_id, wire_format, operation, model_requested,
                          provider, model, key_source, provider_key_id, key_label, pricing, catalog_version)
SELECT row_number() OVER (), account_id, workspace_id, api_key_id, user_id, wire_format, operation, model_requested,
       provider, model, key_source, provider_key_id, key_label, pricing, catalog_version
FROM (SELECT DISTINCT account_id, workspace_id, api_key_id, user_id, wire_format, operation, model_requested, provider,
                      model, key_source, provider_key_id, key_label, pricing, catalog_version
      FROM usage) AS found;

-- Whoever calls chooses the model's name, and may choose a new one for each call: a group is found all the same.
CREATE INDEX usage_groups_by_model ON usage_groups (workspace_id, api_key_id, model_requested);

-- Members see their own calls alone.
CREATE INDEX usage_groups_by_user ON usage_groups (workspace_id, user_id);

CREATE TABLE usage_calls (
    request_id          TEXT   PRIMARY KEY,
    at                  BIGINT NOT NULL,
    workspace_id        TEXT   NOT NULL,
    group_id            BIGINT NOT NULL,
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
    upstream_status     BIGINT,
    cost                BIGINT,
    charge              BIGINT NOT NULL,
    attempts            TEXT   NOT NULL,
    fallback            BIGINT NOT NULL
);

INSERT INTO usage_calls (request_id, at, workspace_id, group_id, status, error_code, streamed, input_tokens,
                         cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, latency_ms,
                         first_byte_ms, request_bytes, response_bytes, upstream_status, cost, charge, attempts, fallback)
SELECT u.request_id, u.at, u.workspace_id, g.id, u.status, u.error_code, u.streamed, u.input_tokens,
       u.cached_input_tokens, u.cache_write_tokens, u.output_tokens, u.reasoning_tokens, u.latency_ms,
       u.first_byte_ms, u.request_bytes, u.response_bytes, u.upstream_status, u.cost, u.charge, u.attempts, u.fallback
FROM usage u JOIN usage_groups g
  ON g.workspace_id = u.workspace_id AND g.api_key_id = u.api_key_id AND g.account_id = u.account_id
 AND g.user_id = u.user_id AND g.wire_format = u.wire_format AND g.operation = u.operation
 AND g.model_requested = u.model_requested
 AND g.provider IS NOT DISTINCT FROM u.provider AND g.model IS NOT DISTINCT FROM u.model
 AND g.key_source IS NOT DISTINCT FROM u.key_source
 AND g.provider_key_id IS NOT DISTINCT FROM u.provider_key_id
 AND g.key_label IS NOT DISTINCT FROM u.key_label AND g.pricing IS NOT DISTINCT FROM u.pricing
 AND g.catalog_version IS NOT DISTINCT FROM u.catalog_version;

DROP TABLE usage;

ALTER TABLE usage_calls RENAME TO usage;

CREATE INDEX usage_by_workspace ON usage (workspace_id, at, request_id);

-- The list of calls, narrowed down by what a group tells: the newest of each group.
CREATE INDEX usage_by_group ON usage (group_id, at, request_id);

CREATE INDEX usage_of_failures ON usage (workspace_id, at, request_id) WHERE status >= 400;
