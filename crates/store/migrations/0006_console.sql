-- What the console reads of usage without reading every call, and keys that last no longer than a log-in.

-- What the calls of one UTC day came to, one row for each combination that occurred: written in the transaction that
-- writes the calls, so the sums are always theirs. `day` counts days since 1970. An empty text stands for none: these
-- columns are the key. Counts of tokens, costs and charges are cut at a trillion tokens and a million dollars a call, so
-- that no single call can make a sum overflow.
CREATE TABLE usage_days (
    workspace_id        TEXT   NOT NULL,
    day                 BIGINT NOT NULL,
    provider            TEXT   NOT NULL,
    model               TEXT   NOT NULL,
    key_source          TEXT   NOT NULL,
    provider_key_id     TEXT   NOT NULL,
    api_key_id          TEXT   NOT NULL,
    user_id             TEXT   NOT NULL,
    account_id          TEXT   NOT NULL,
    calls               BIGINT NOT NULL,
    failed              BIGINT NOT NULL,
    input_tokens        BIGINT NOT NULL,
    cached_input_tokens BIGINT NOT NULL,
    cache_write_tokens  BIGINT NOT NULL,
    output_tokens       BIGINT NOT NULL,
    reasoning_tokens    BIGINT NOT NULL,
    cost                BIGINT NOT NULL,
    unpriced            BIGINT NOT NULL,
    charge              BIGINT NOT NULL,
    latency_ms          BIGINT NOT NULL,
    first_byte_ms       BIGINT NOT NULL,
    first_bytes         BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, day, provider, model, key_source, provider_key_id, api_key_id, user_id, account_id)
);

INSERT INTO usage_days (workspace_id, day, provider, model, key_source, provider_key_id, api_key_id, user_id,
                        account_id, calls, failed, input_tokens, cached_input_tokens, cache_write_tokens,
                        output_tokens, reasoning_tokens, cost, unpriced, charge, latency_ms, first_byte_ms, first_bytes)
SELECT workspace_id, at / 86400000, COALESCE(provider, ''), COALESCE(model, ''), COALESCE(key_source, ''),
       COALESCE(provider_key_id, ''), api_key_id, user_id, account_id,
       count(*),
       sum(CASE WHEN status >= 400 THEN 1 ELSE 0 END),
       sum(CASE WHEN input_tokens IS NULL THEN 0 WHEN input_tokens > 1000000000000 THEN 1000000000000 ELSE input_tokens END),
       sum(CASE WHEN cached_input_tokens IS NULL THEN 0 WHEN cached_input_tokens > 1000000000000 THEN 1000000000000 ELSE cached_input_tokens END),
       sum(CASE WHEN cache_write_tokens IS NULL THEN 0 WHEN cache_write_tokens > 1000000000000 THEN 1000000000000 ELSE cache_write_tokens END),
       sum(CASE WHEN output_tokens IS NULL THEN 0 WHEN output_tokens > 1000000000000 THEN 1000000000000 ELSE output_tokens END),
       sum(CASE WHEN reasoning_tokens IS NULL THEN 0 WHEN reasoning_tokens > 1000000000000 THEN 1000000000000 ELSE reasoning_tokens END),
       sum(CASE WHEN cost IS NULL THEN 0 WHEN cost > 1000000000000000 THEN 1000000000000000 ELSE cost END),
       sum(CASE WHEN pricing = 'unpriced' THEN 1 ELSE 0 END),
       sum(CASE WHEN charge > 1000000000000000 THEN 1000000000000000 ELSE charge END),
       sum(latency_ms),
       sum(COALESCE(first_byte_ms, 0)),
       sum(CASE WHEN first_byte_ms IS NULL THEN 0 ELSE 1 END)
FROM usage
GROUP BY workspace_id, at / 86400000, COALESCE(provider, ''), COALESCE(model, ''), COALESCE(key_source, ''),
         COALESCE(provider_key_id, ''), api_key_id, user_id, account_id;

CREATE INDEX usage_days_by_account ON usage_days (account_id, day);

CREATE INDEX usage_days_by_day ON usage_days (day);

-- The list of calls, narrowed down by one of these, newest first.
CREATE INDEX usage_by_api_key ON usage (workspace_id, api_key_id, at);

CREATE INDEX usage_by_user ON usage (workspace_id, user_id, at);

CREATE INDEX usage_by_provider_key ON usage (workspace_id, provider_key_id, at);

CREATE INDEX usage_by_model ON usage (workspace_id, model, at);

CREATE INDEX usage_by_provider ON usage (workspace_id, provider, at);

CREATE INDEX usage_by_key_source ON usage (workspace_id, key_source, at);

CREATE INDEX usage_of_failures ON usage (workspace_id, at) WHERE status >= 400;

-- How provider keys fared, by hour. There is a slot for each of 25 hours, which the next hour with its number takes over,
-- so that a key never has more rows than that.
CREATE TABLE provider_key_hours (
    provider_key_id TEXT   NOT NULL,
    slot            BIGINT NOT NULL CHECK (slot BETWEEN 0 AND 24),
    hour            BIGINT NOT NULL,
    calls           BIGINT NOT NULL,
    failed          BIGINT NOT NULL,
    unauthorized    BIGINT NOT NULL,
    rate_limited    BIGINT NOT NULL,
    PRIMARY KEY (provider_key_id, slot)
);

-- The log-in for which an API key was minted; with it, the key ends.
ALTER TABLE api_keys ADD COLUMN session_id TEXT REFERENCES sessions (id) ON DELETE CASCADE;

CREATE INDEX api_keys_by_session ON api_keys (session_id) WHERE session_id IS NOT NULL;
