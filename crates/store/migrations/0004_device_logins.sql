-- Log-ins that a program began and a person approves elsewhere. Both codes are kept as keyed hashes only. The approval
-- lasts as long as the session that gave it; with a log-in or its refusal the row goes.
CREATE TABLE device_logins (
    hash       BYTEA  PRIMARY KEY,
    user_hash  BYTEA  NOT NULL UNIQUE,
    client     TEXT   NOT NULL,
    address    TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    session_id TEXT   REFERENCES sessions (id) ON DELETE CASCADE
);

CREATE INDEX device_logins_by_expiry ON device_logins (expires_at);

CREATE INDEX device_logins_by_session ON device_logins (session_id);
