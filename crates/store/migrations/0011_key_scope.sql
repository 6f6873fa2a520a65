-- Whose the key was that served a call: what it is called is not everybody's to know. Rows before this do not say.
ALTER TABLE usage_groups ADD COLUMN key_scope TEXT;
