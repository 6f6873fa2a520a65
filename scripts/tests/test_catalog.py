"""A rule or a price of the package becomes what it means in the catalog, or the generator stops."""

import datetime
import json
import pathlib
import subprocess
import sys
from decimal import Decimal

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

import catalog  # noqa: E402
import catalog_form as form  # noqa: E402


def package(name, **fields):
    """An object of a class of the package, which the form tells apart by name."""
    made = type(name, (), {})()
    vars(made).update(fields)
    return made


def equals(text):
    return package("ClauseEquals", equals=text)


def regex(text):
    return package("ClauseRegex", regex=text)


def tiers(base, *above):
    steps = [package("Tier", start=start, price=Decimal(price)) for start, price in above]
    return package("TieredPrices", base=Decimal(base), tiers=steps)


def price(**units):
    return package("ModelPrice", **{unit: Decimal(rate) if isinstance(rate, str) else rate for unit, rate in units.items()})


def when(constraint, **units):
    return package("ConditionalPrice", constraint=constraint, prices=price(**units))


def since(text):
    return package("StartDateConstraint", start_date=datetime.date.fromisoformat(text))


def by_day(*times):
    return package("TimeOfDateConstraint", times=times)


def only(source, **more):
    (entry,) = form.prices(source, **more)
    return entry["price"]


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        (equals("GPT-5"), ["gpt-5"]),
        (package("ClauseStartsWith", starts_with="a"), ["a*"]),
        (package("ClauseEndsWith", ends_with="a"), ["*a"]),
        (package("ClauseContains", contains="a"), ["*a*"]),
        (package("ClauseOr", or_=[equals("a"), package("ClauseOr", or_=[equals("b"), equals("c")])]), ["a", "b", "c"]),
        (regex(r"^a-5\.6-\d{4}-\d{2}$"), ["a-5.6-####-##"]),
        (regex(r"^a[-@]\d{2}$"), ["a-##", "a@##"]),
        (regex(r"^x/a-\d"), ["x/a-#*"]),
        (
            package("ClauseAnd", and_=[package("ClauseStartsWith", starts_with="g"), regex(form.NOT_SPEECH)]),
            [{"like": "g*", "unlike": ["*-tts", "*-tts-*"]}],
        ),
    ],
)
def test_rules_become_patterns(clause, expected):
    assert form.patterns(clause) == expected


@pytest.mark.parametrize(
    "clause",
    [
        equals("a*"),
        equals("a#"),
        regex("a"),
        regex("^a.b$"),
        regex("^a|b$"),
        regex("^a+$"),
        package("ClauseAnd", and_=[equals("a"), equals("b")]),
        package("ClauseNew", new="a"),
    ],
)
def test_rules_that_no_pattern_can_express_stop_the_generator(clause):
    with pytest.raises(form.Unknown):
        form.patterns(clause)


def test_rates_are_decimals_without_needless_zeros():
    assert only(price(input_mtok="3.00", output_mtok="15", cache_read_mtok="0.30", cache_write_mtok="3.75")) == {
        "input": "3", "output": "15", "cache_read": "0.3", "cache_write": "3.75",
    }
    assert only(price(input_mtok="1E+1", output_mtok="0.00000000049", requests_kcount="5")) == {
        "input": "10", "output": "0", "request": "5",
    }
    assert only(price(input_mtok="0.08333333333333334", output_mtok="0.0000000005"))["input"] == "0.083333333"
    # Embeddings have no output.
    assert only(price(input_mtok="0.02")) == {"input": "0.02", "output": "0"}


def test_units_beside_text_are_left_out_and_output_of_another_kind_has_no_price():
    plain = {"input_mtok": "1", "output_mtok": "2"}
    for unit in sorted(form.LEFT_OUT):
        assert only(price(**plain, **{unit: "9"})) == {"input": "1", "output": "2"}, unit
    for unit in sorted(form.UNKNOWN):
        assert form.prices(price(**plain, **{unit: "9"})) == [], unit
    assert form.prices(price(audio_hours="1")) == []
    with pytest.raises(form.Unknown):
        form.prices(price(**plain, thoughts_mtok="1"))


def test_a_model_without_rates_is_free_only_where_its_name_says_so():
    assert form.prices(price()) == []
    assert only(price(), free=True) == {"input": "0", "output": "0"}
    assert only(price(input_mtok="1", output_mtok="2"), free=True) == {"input": "1", "output": "2"}


def test_tiers_become_brackets_of_whole_rates():
    source = price(
        input_mtok=tiers("0", (200_000, "6"), (500_000, "9")), output_mtok=tiers("15", (500_000, "30")), cache_read_mtok="1",
    )
    assert only(source) == {
        "input": "0", "output": "15", "cache_read": "1",
        "brackets": [
            {"over_input_tokens": 200_000, "rates": {"input": "6", "output": "15", "cache_read": "1"}},
            {"over_input_tokens": 500_000, "rates": {"input": "9", "output": "30", "cache_read": "1"}},
        ],
    }


def test_prices_with_a_history_begin_on_their_days():
    one, two = {"input_mtok": "1", "output_mtok": "1"}, {"input_mtok": "2", "output_mtok": "1"}
    history = form.prices([when(None, **one), when(since("2026-03-01"), **two), when(since("2026-05-01"), **two)])
    assert [(it.get("from"), it["price"]["input"]) for it in history] == [(None, "1"), ("2026-03-01", "2")]
    assert form.price_at({"prices": history}, "2026-02-28")["input"] == "1"
    assert form.price_at({"prices": history}, "2026-03-01")["input"] == "2"
    # Before all days the first one holds, as in the package.
    history = form.prices([when(since("2026-03-01"), **one), when(since("2026-05-01"), **two)])
    assert [(it.get("from"), it["price"]["input"]) for it in history] == [(None, "1"), ("2026-05-01", "2")]


def test_a_price_by_the_time_of_day_is_the_dearest():
    day, night = {"input_mtok": "9", "output_mtok": "20"}, {"input_mtok": "10", "output_mtok": "5"}
    assert only([when(None, **night), when(by_day(1, 2), **day)]) == {"input": "10", "output": "20"}
    later = {"input_mtok": "30", "output_mtok": "1"}
    history = form.prices([when(None, **night), when(since("2026-03-01"), **later), when(by_day(1, 2), **day)])
    assert [it["price"] for it in history] == [{"input": "10", "output": "20"}, {"input": "30", "output": "20"}]
    with pytest.raises(form.Unknown):
        form.prices([when(None, **night), when(package("WeekdayConstraint"), **day)])


def test_names_are_looked_up_in_order_in_lower_case_and_with_dashed_dates():
    models = [
        {"id": "speech", "match": ["g-tts*"], "prices": []},
        {"id": "text", "match": [{"like": "g*", "unlike": ["*-tts-*"]}, "d-2025-12-11", "n-##"], "prices": []},
    ]
    other = [{"id": "other", "match": ["*x*"], "prices": []}]
    made = {"providers": [
        {"id": "a", "fallback": ["b"], "models": models}, {"id": "b", "fallback": [], "models": other},
    ]}
    for name, found in [
        ("G", "text"), ("g-tts-1", "speech"), ("g-2-tts-1", None), ("d-20251211", "text"), ("d-20251311", None),
        ("n-12", "text"), ("n-1a", None), ("x", "other"), ("gx", "text"),
    ]:
        model = form.find(made, "a", name)
        assert (model and model["id"]) == found, name
    assert form.find(made, "b", "g") is None


def test_the_committed_catalog_is_in_the_form_that_the_generator_writes():
    text = catalog.CATALOG.read_text()
    read = json.loads(text)
    assert catalog.render(read) == text
    assert [it["id"] for it in read["providers"]] == sorted(our for our, source in catalog.SOURCES.items() if source)
    assert f"genai-prices=={read['version']} " in catalog.REQUIREMENTS.read_text()
    assert catalog.listed_models().keys() == catalog.SOURCES.keys()


def test_another_argument_is_refused():
    done = subprocess.run([SCRIPTS / "catalog.py", "--chek"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--check" in done.stderr


def test_a_stale_file_is_told_and_left_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(catalog, "ROOT", tmp_path)
    file = tmp_path / "catalog.json"
    file.write_text("old")
    assert catalog.finish({file: "new"}, ["--check"]) == 1
    assert "catalog.json" in capsys.readouterr().err
    assert file.read_text() == "old"
    assert catalog.finish({file: "new"}, []) == 0
    assert catalog.finish({file: "new"}, ["--check"]) == 0
