-- Credits: a balance for each account, the cards that it is made of, holds for running calls, and the ledger
-- that explains every change of it. Amounts are nano-USD. For each account, at every commit:
--   sum of its ledger entries = available + reserved = sum of its cards' remaining - debt
--   sum of its holds          = reserved

-- `next_event_at`: when included credits come or a card lapses; until then the row can be trusted as it is.
-- `rate` multiplies what the account is charged, in billionths.
CREATE TABLE credit_accounts (
    account_id    TEXT   PRIMARY KEY REFERENCES accounts (id),
    available     BIGINT NOT NULL,
    reserved      BIGINT NOT NULL CHECK (reserved >= 0),
    debt          BIGINT NOT NULL CHECK (debt >= 0),
    monthly       BIGINT NOT NULL CHECK (monthly >= 0),
    anchor_at     BIGINT NOT NULL,
    next_event_at BIGINT NOT NULL,
    rate          BIGINT NOT NULL CHECK (rate >= 0)
);

INSERT INTO credit_accounts (account_id, available, reserved, debt, monthly, anchor_at, next_event_at, rate)
SELECT id, 0, 0, 0, 2500000000, created_at, 0, 1000000000 FROM accounts;

-- Never removed, so that a reference is known for ever. What is merged leaves nothing in its parts.
CREATE TABLE credit_cards (
-- @sqlite
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
-- @postgres
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
-- @both
    account_id TEXT   NOT NULL REFERENCES credit_accounts (account_id),
    kind       TEXT   NOT NULL CHECK (kind IN ('included', 'grant', 'top_up', 'refund')),
    granted    BIGINT NOT NULL CHECK (granted > 0),
    remaining  BIGINT NOT NULL CHECK (remaining >= 0 AND remaining <= granted),
    granted_at BIGINT NOT NULL,
    expires_at BIGINT,
    reference  TEXT,
    UNIQUE (account_id, reference)
);

CREATE INDEX credit_cards_with_something_left ON credit_cards (account_id) WHERE remaining > 0;

CREATE INDEX credit_cards_by_kind ON credit_cards (account_id, kind, expires_at);

-- `usage` is the usage row of a call whose node dies, and `interrupted` what such a call is charged once it was
-- forwarded. `month` is where a managed fallback is counted.
CREATE TABLE credit_holds (
    request_id   TEXT   PRIMARY KEY,
    account_id   TEXT   NOT NULL REFERENCES credit_accounts (account_id),
    workspace_id TEXT   NOT NULL,
    node         TEXT   NOT NULL,
    amount       BIGINT NOT NULL CHECK (amount >= 1),
    overuse      TEXT   NOT NULL CHECK (overuse IN ('block', 'debt', 'forgive')),
    forwarded    BIGINT NOT NULL CHECK (forwarded IN (0, 1)),
    interrupted  BIGINT NOT NULL CHECK (interrupted >= 0),
    month        TEXT,
    usage        TEXT   NOT NULL,
    created_at   BIGINT NOT NULL
);

CREATE INDEX credit_holds_by_account ON credit_holds (account_id);

CREATE INDEX credit_holds_by_node ON credit_holds (node, created_at);

-- Who may still settle the holds that it made.
CREATE TABLE nodes (
    id          TEXT   PRIMARY KEY,
    lease_until BIGINT NOT NULL
);

-- What a workspace's failed own keys cost in credits, by UTC month.
CREATE TABLE fallback_spend (
    workspace_id TEXT   NOT NULL,
    month        TEXT   NOT NULL,
    spent        BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, month)
);

-- Which values of provider keys were once replaced by credits, so that the first time is audited.
CREATE TABLE managed_fallbacks (
    provider_key_id TEXT   NOT NULL,
    version         BIGINT NOT NULL,
    at              BIGINT NOT NULL,
    PRIMARY KEY (provider_key_id, version)
);

-- The ledger names accounts and requests without foreign keys: it outlives them.
CREATE TABLE ledger_transactions (
-- @sqlite
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
-- @postgres
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
-- @both
    at         BIGINT NOT NULL,
    account_id TEXT   NOT NULL,
    kind       TEXT   NOT NULL CHECK (kind IN ('grant', 'charge', 'expiry', 'forgiveness', 'refund')),
    request_id TEXT,
    reference  TEXT,
    card_id    BIGINT,
    note       TEXT   NOT NULL,
    UNIQUE (request_id, kind)
);

-- Amounts of one transaction sum to zero. An account is an account's id, or one of the instance's own: issued,
-- revenue, expired, forgiven.
CREATE TABLE ledger_entries (
    ledger_account TEXT   NOT NULL,
    transaction_id BIGINT NOT NULL REFERENCES ledger_transactions (id),
    amount         BIGINT NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (ledger_account, transaction_id)
);

CREATE INDEX ledger_entries_by_transaction ON ledger_entries (transaction_id);

-- `cost` is the list price, `charge` what was taken in credits. `attempts` is a JSON list.
ALTER TABLE usage ADD COLUMN cost BIGINT;

ALTER TABLE usage ADD COLUMN pricing TEXT;

ALTER TABLE usage ADD COLUMN catalog_version TEXT;

ALTER TABLE usage ADD COLUMN charge BIGINT NOT NULL DEFAULT 0;

ALTER TABLE usage ADD COLUMN attempts TEXT NOT NULL DEFAULT '[]';

ALTER TABLE usage ADD COLUMN fallback BIGINT NOT NULL DEFAULT 0;

CREATE INDEX usage_by_account ON usage (account_id, at);

-- @sqlite
CREATE TRIGGER ledger_transactions_refuse_update BEFORE UPDATE ON ledger_transactions
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never changed');
END;

CREATE TRIGGER ledger_transactions_refuse_delete BEFORE DELETE ON ledger_transactions
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never removed');
END;

CREATE TRIGGER ledger_transactions_refuse_replace BEFORE INSERT ON ledger_transactions
WHEN EXISTS (SELECT 1 FROM ledger_transactions WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM ledger_transactions WHERE request_id = NEW.request_id AND kind = NEW.kind)
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never replaced');
END;

CREATE TRIGGER ledger_entries_refuse_update BEFORE UPDATE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never changed');
END;

CREATE TRIGGER ledger_entries_refuse_delete BEFORE DELETE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never removed');
END;

CREATE TRIGGER ledger_entries_refuse_replace BEFORE INSERT ON ledger_entries
WHEN EXISTS (
    SELECT 1 FROM ledger_entries
    WHERE ledger_account = NEW.ledger_account AND transaction_id = NEW.transaction_id
)
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never replaced');
END;
-- @postgres
CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger rows are never changed or removed';
END
$$;

CREATE TRIGGER ledger_transactions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();

CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
-- @both
