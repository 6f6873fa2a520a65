-- What happened to one thing of a workspace.
CREATE INDEX audit_by_subject ON audit (workspace_id, subject, sequence);
