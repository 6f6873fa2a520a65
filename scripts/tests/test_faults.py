"""What a fault run would take for lost, and that a short one on the built binary finds nothing."""

import contextlib
import os
import pathlib
import sqlite3
import subprocess
import sys

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", SCRIPTS.parent / "target")) / "debug" / "keybearer"
sys.path.insert(0, str(SCRIPTS))

import faults  # noqa: E402
import faults_store  # noqa: E402

BOOKS_OF_TWO_CALLS = """
    CREATE TABLE credit_accounts (account_id TEXT, available BIGINT, reserved BIGINT);
    CREATE TABLE credit_holds (request_id TEXT, amount BIGINT);
    CREATE TABLE ledger_transactions (id BIGINT, kind TEXT);
    CREATE TABLE ledger_entries (ledger_account TEXT, transaction_id BIGINT, amount BIGINT);
    CREATE TABLE usage_groups (id BIGINT, key_source TEXT, model TEXT);
    CREATE TABLE usage (request_id TEXT, group_id BIGINT, status BIGINT, charge BIGINT);
    INSERT INTO credit_accounts VALUES ('acc', 72000, 0);
    INSERT INTO ledger_transactions VALUES (1, 'grant'), (2, 'charge'), (3, 'charge');
    INSERT INTO ledger_entries VALUES ('acc', 1, 100000), ('issued', 1, -100000), ('acc', 2, -14000), ('revenue', 2, 14000),
        ('acc', 3, -14000), ('revenue', 3, 14000);
    INSERT INTO usage_groups VALUES (1, 'managed', 'small'), (2, 'byok', 'small');
    INSERT INTO usage VALUES ('a', 1, 200, 14000), ('b', 1, 200, 14000), ('c', 2, 200, 0), ('d', 1, 502, 0);
"""


@pytest.fixture
def store(tmp_path):
    (tmp_path / "data").mkdir()
    store = faults_store.Sqlite(tmp_path)
    with contextlib.closing(sqlite3.connect(store.path)) as database:
        database.executescript(BOOKS_OF_TWO_CALLS)
    return store


def change(store, text):
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as database:
        database.execute(text)


def test_books_that_agree_have_nothing_wrong(store):
    assert faults_store.wrong_in_the_books(store) is None
    assert faults_store.wrong_in_the_charges(store, 2, 14_000) is None


@pytest.mark.parametrize("leak", [
    "INSERT INTO credit_holds VALUES ('x', 1)",
    "UPDATE credit_accounts SET available = available - 1, reserved = 1",
    "UPDATE credit_accounts SET available = available - 1",
    "UPDATE usage SET charge = charge + 1 WHERE request_id = 'd'",
    "DELETE FROM usage WHERE request_id = 'a'",
    "UPDATE ledger_entries SET amount = amount + 1 WHERE transaction_id = 1 AND ledger_account = 'acc'",
])
def test_a_nano_usd_that_leaks_is_seen(store, leak):
    change(store, leak)
    assert faults_store.wrong_in_the_books(store)


@pytest.mark.parametrize("wrong", [
    "DELETE FROM usage WHERE request_id = 'a'",
    "UPDATE usage SET charge = 13999 WHERE request_id = 'a'",
    "UPDATE usage SET charge = 28000 WHERE request_id = 'b'",
])
def test_a_call_that_was_not_charged_what_it_costs_is_seen(store, wrong):
    change(store, wrong)
    assert faults_store.wrong_in_the_charges(store, 2, 14_000)


def test_an_answer_that_is_cut_off_is_not_taken_for_a_whole_one():
    whole = b"3\r\nabc\r\n1;x\r\nd\r\n0\r\n\r\n".replace(b";x", b"")
    assert faults.unchunked(whole) == b"abcd"
    assert all(faults.unchunked(whole[:end]) is None for end in range(len(whole) - 1))


@pytest.mark.skipif(not BUILT.exists(), reason="the binary is not built")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at the memory and the files of the process")
@pytest.mark.parametrize("name", list(faults_store.STORES))
def test_a_short_fault_run_loses_nothing(name):
    faults_of_seconds = ["lying_provider", "locked_database", "full_disk"]
    command = [sys.executable, SCRIPTS / "faults.py", "--store", name, "--seconds", "2"]
    command += [word for fault in faults_of_seconds for word in ("--only", fault)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            told, errors = running.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            # Not at once: it has servers of its own.
            running.terminate()
            told, errors = running.communicate(timeout=60)
    assert running.returncode == 0, told + errors
    assert told.count(f"ok     {name} ") == len(faults_of_seconds) + 1, told
