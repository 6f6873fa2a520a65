-- When the value of a provider key was last handed out, sealed, to run a program with. A replaced value was not.
ALTER TABLE provider_keys ADD COLUMN last_released_at BIGINT;
