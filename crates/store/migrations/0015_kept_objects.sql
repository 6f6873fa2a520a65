-- With which provider key something was made that its provider keeps: a response, a file, a batch. Only that key finds
-- it again. An id is no secret: it opens nothing without the key.
CREATE TABLE kept_objects (
    workspace_id    TEXT   NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    object_id       TEXT   NOT NULL,
    provider        TEXT   NOT NULL,
    provider_key_id TEXT   NOT NULL,
    made_at         BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, object_id)
);
CREATE INDEX kept_objects_by_age ON kept_objects (made_at);
