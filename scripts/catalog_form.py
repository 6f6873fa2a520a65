"""The form of the price catalog: what a rule or a price of genai-prices becomes in it, and how it is looked up.

A pattern is a text in which `*` stands for any run of characters and `#` for a digit; everything else is itself. A model's
`match` is a list of patterns, one of which must fit, or of `{"like": pattern, "unlike": [patterns]}`. Names are compared in
lower case, and the first model that fits is the one. A name that fits none is tried again with `-20251211` written as
`-2025-12-11`.
"""

import datetime
import decimal
import itertools
import re

# The package's price by what it is in the catalog.
RATES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "requests_kcount": "request",
}
# Beside text in the input, or only where a client asks for it: left out, the model keeps its price.
LEFT_OUT = {
    "input_audio_mtok", "input_image_mtok", "input_video_mtok", "cache_audio_read_mtok", "cache_image_read_mtok",
    "audio_hours", "input_audio_hours", "cache_write_1h_mtok", "web_searches_kcount", "storage_searches_kcount",
}
# Output that costs otherwise than text, and other units: the cost of a call cannot be told, so the model has no price.
UNKNOWN = {
    "output_audio_mtok", "output_image_mtok", "output_video_mtok", "output_reasoning_mtok", "output_citation_mtok",
    "input_mchars", "input_document_kpages", "input_annotated_document_kpages", "input_text_messages_kcount",
}
# Behind the point; the program's decimals have no more.
DIGITS = decimal.Decimal("0.000000001")

NOT_SPEECH = r"^(?!.*-[tT][tT][sS](?:$|-))"
SPEECH = ["*-tts", "*-tts-*"]
COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)", re.ASCII)


class Unknown(Exception):
    """The package holds something that this form cannot express."""


def patterns(clause):
    """The package's rule as a list of patterns."""
    kind = type(clause).__name__
    if kind == "ClauseOr":
        return list(itertools.chain.from_iterable(patterns(inner) for inner in clause.or_))
    if kind == "ClauseAnd":
        return without_speech(clause.and_)
    if kind == "ClauseRegex":
        return digits(clause.regex)
    if kind not in WRAPPED:
        raise Unknown(f"rule {clause}")
    field, before, after = WRAPPED[kind]
    return [before + literal(getattr(clause, field)) + after]


WRAPPED = {
    "ClauseEquals": ("equals", "", ""),
    "ClauseStartsWith": ("starts_with", "", "*"),
    "ClauseEndsWith": ("ends_with", "*", ""),
    "ClauseContains": ("contains", "*", "*"),
}


def literal(text):
    if "*" in text or "#" in text:
        raise Unknown(f"text {text!r}")
    return text.lower()


def without_speech(clauses):
    """`and` stands in the package only for models that have a sister which speaks."""
    like = [clause for clause in clauses if getattr(clause, "regex", None) != NOT_SPEECH]
    if len(like) != 1 or len(clauses) != 2:
        raise Unknown(f"rule {clauses}")
    return [{"like": pattern, "unlike": SPEECH} for pattern in patterns(like[0])]


def digits(regex):
    """A regular expression that is a text with digits and at most a choice of two characters."""
    if not regex.startswith("^"):
        raise Unknown(f"expression {regex}")
    body, open_end = (regex[1:-1], "") if regex.endswith("$") else (regex[1:], "*")
    choices, rest = [""], body
    while rest:
        token = re.match(r"\\d(?:\{(\d+)\})?|\\(\.)|\[(.)(.)\]|([a-z0-9/-])", rest)
        if token is None:
            raise Unknown(f"expression {regex}")
        rest = rest[token.end():]
        count, dot, one, other, plain = token.groups()
        if one:
            steps = [one, other]
        else:
            steps = [dot or plain or "#" * int(count or 1)]
        choices = [before + step for before in choices for step in steps]
    return [choice + open_end for choice in choices]


def prices(source, free=False):
    """The package's prices as a list of `{"from": day, "price": price}`; the last that has begun holds."""
    conditional = source if isinstance(source, list) else [Always(source)]
    days = sorted({it.constraint.start_date for it in conditional if starts(it.constraint)})
    history = []
    for day in [None, *days]:
        price = dearest([rates(it.prices, free) for it in active(conditional, day)])
        if not history or history[-1].get("price") != price:
            history.append(({"from": day.isoformat()} if day else {}) | {"price": price})
    return [] if all(it["price"] is None for it in history) else history


class Always:
    """A price that always holds."""

    def __init__(self, price):
        self.prices = price
        self.constraint = None


def starts(constraint):
    return type(constraint).__name__ == "StartDateConstraint"


def active(conditional, day):
    """All that may hold at some time of a day, before all days if it is `None`: later ones go before earlier ones."""
    found = []
    for it in reversed(conditional):
        if starts(it.constraint):
            if day is None or it.constraint.start_date > day:
                continue
        elif it.constraint is not None:
            # At other times of the day an earlier one holds.
            if type(it.constraint).__name__ != "TimeOfDateConstraint":
                raise Unknown(f"condition {it.constraint}")
            found.append(it)
            continue
        found.append(it)
        break
    return found or [conditional[0]]


def dearest(candidates):
    """Each rate as dear as it gets, so that no cost is understated."""
    if any(price is None for price in candidates) or len(candidates) == 1:
        return candidates[0] if len(candidates) == 1 else None
    if any("brackets" in price for price in candidates) or len({tuple(price) for price in candidates}) > 1:
        raise Unknown(f"prices by the time of day {candidates}")
    return {rate: max((price[rate] for price in candidates), key=decimal.Decimal) for rate in candidates[0]}


def rates(price, free):
    """One price as it stands in the catalog; `None`: it cannot be told."""
    known = {name: value for name, value in vars(price).items() if value is not None and not name.startswith("_")}
    strange = known.keys() - RATES.keys() - LEFT_OUT - UNKNOWN
    if strange:
        raise Unknown(f"units {strange}")
    if not known and free:
        return {"input": "0", "output": "0"}
    if known.keys() & UNKNOWN or "input_mtok" not in known:
        return None
    known = {RATES[name]: value for name, value in known.items() if name in RATES}
    # Embeddings and the like: the package has no rate for output because there is none.
    known.setdefault("output", decimal.Decimal(0))
    overs = sorted({tier.start for value in known.values() for tier in getattr(value, "tiers", [])})
    brackets = [{"over_input_tokens": over, "rates": rates_over(known, over)} for over in overs]
    return rates_over(known, None) | ({"brackets": brackets} if brackets else {})


def rates_over(known, over):
    """The rates of a call with more input than `over`."""
    found = {}
    for name in RATES.values():
        if name in known:
            value = known[name]
            tiers = [tier.price for tier in getattr(value, "tiers", []) if over is not None and tier.start <= over]
            found[name] = text(tiers[-1] if tiers else getattr(value, "base", value))
    return found


def text(value):
    """A decimal without needless zeros, to the ninth digit."""
    rounded = decimal.Decimal(value).quantize(DIGITS, decimal.ROUND_HALF_UP)
    written = f"{rounded:f}"
    return written.rstrip("0").rstrip(".") or "0"


def price_at(model, day):
    """The price that holds on a day, written like 2026-11-20."""
    begun = [it["price"] for it in model["prices"] if it.get("from", "") <= day]
    return begun[-1] if begun else None


def find(catalog, provider, name):
    """The entry that the catalog has for a model of a provider."""
    name = name.lower()
    found = find_exactly(catalog, provider, name)
    dashed = COMPACT_DATE.sub(dash, name)
    if found is None and dashed != name:
        found = find_exactly(catalog, provider, dashed)
    return found


def dash(match):
    year, month, day = match.groups()
    try:
        return "-" + datetime.date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return match.group(0)


def find_exactly(catalog, provider, name):
    by_id = {it["id"]: it for it in catalog["providers"]}
    for place in [provider, *by_id[provider]["fallback"]]:
        for model in by_id[place]["models"]:
            if any(fits(rule, name) for rule in model["match"]):
                return model
    return None


def fits(rule, name):
    if isinstance(rule, str):
        if "*" not in rule and "#" not in rule:
            return rule == name
        return expression(rule).fullmatch(name) is not None
    return fits(rule["like"], name) and not any(fits(pattern, name) for pattern in rule["unlike"])


EXPRESSIONS = {}


def expression(pattern):
    if pattern not in EXPRESSIONS:
        special = {"*": ".*", "#": "[0-9]"}
        parts = [special.get(char) or re.escape(char) for char in pattern]
        EXPRESSIONS[pattern] = re.compile("".join(parts), re.DOTALL)
    return EXPRESSIONS[pattern]


def examples(match):
    """Names that the rules speak of."""
    for rule in match:
        pattern = rule if isinstance(rule, str) else rule["like"]
        yield pattern.replace("*", "").replace("#", "1")
        yield pattern.replace("*", "x").replace("#", "9")
        yield pattern.replace("*", "-tts-x").replace("#", "0")
