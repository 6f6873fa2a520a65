-- A person's way to a new password without the old one: at most one link each, kept as a keyed hash only. `made_by` is the
-- admin of the instance who made it, with whose standing it ends; NULL is the operator, at the machine.
CREATE TABLE password_links (
    user_id    TEXT   PRIMARY KEY REFERENCES users (id),
    hash       BYTEA  NOT NULL UNIQUE,
    made_by    TEXT   REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX password_links_by_expiry ON password_links (expires_at);
