#!/usr/bin/env python3
"""Writes the price catalog from the data of the package genai-prices, or proves it fresh.

    scripts/catalog.py                 writes crates/llm/catalog.json and crates/llm/src/catalog/agreement.txt
    scripts/catalog.py --check         changes nothing; exits with 1 if a file is not what it would write
    scripts/catalog.py --lock VERSION  takes another version of the package into scripts/catalog_requirements.txt

The package comes into a throw-away environment, exactly as scripts/catalog_requirements.txt says. Before anything is
written, every name that the package knows, and variants of it, is looked up both in the package and in the new catalog:
they must find the same model. `agreement.txt` takes a part of that, with costs, into the tests of the program itself.

What is left out, because a call's usage does not tell it: other rates for audio, image and video input (priced as text),
for cache writes that last an hour (priced as those of five minutes), for batches and for service tiers, fees of tools such
as web search. A price that depends on the time of day is the dearest of the day. A model whose output has a rate beside
that of text, or that is sold by other units than tokens, has no price.
"""

import decimal
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

import catalog_form as form

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "scripts" / "catalog_requirements.txt"
CATALOG = ROOT / "crates" / "llm" / "catalog.json"
AGREEMENT = ROOT / "crates" / "llm" / "src" / "catalog" / "agreement.txt"

# Our providers by the names that the package has for them; `None`: it has no prices for it.
SOURCES = {
    "anthropic": "anthropic",
    "brave": None,
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "google": "google",
    "groq": "groq",
    "jina": None,
    "mistral": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together": "together",
    "xai": "x-ai",
}
# Where a model without a rate is given away, and says so in its name.
FREE = {"openrouter": ":free"}

INSIDE = "KEYBEARER_CATALOG_ENVIRONMENT"


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--lock":
        return lock(arguments[1])
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    if INSIDE not in os.environ:
        return in_throw_away_environment(arguments)
    from genai_prices import __version__, data

    sources = {provider.id: provider for provider in data.providers}
    listed = listed_models()
    version = (__version__, hashlib.sha256(pathlib.Path(data.__file__).read_bytes()).hexdigest())
    catalog = build(sources, listed, version)
    compared = compare(catalog, data.providers, listed)
    print(f"{compared} names find the same model in the package and in the catalog")
    return finish({CATALOG: render(catalog), AGREEMENT: agreement(catalog, data.providers, listed)}, arguments)


def in_throw_away_environment(arguments):
    """Runs this script again where the package is installed."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = f"{folder}/bin/python"
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
        subprocess.run([*install, "--require-hashes", "-r", REQUIREMENTS], check=True)
        command = [python, __file__, *arguments]
        return subprocess.run(command, env=os.environ | {INSIDE: folder}, check=False).returncode


def lock(version):
    """Writes the exact versions, and the hashes of their files, of what a version of the package needs."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [f"{folder}/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "pip-tools==7.6.2"], check=True)
        wanted, found = pathlib.Path(folder, "requirements.in"), pathlib.Path(folder, "requirements.txt")
        wanted.write_text(f"genai-prices=={version}\n")
        options = [
            "--quiet", "--generate-hashes", "--strip-extras", "--allow-unsafe", "--no-header", "--no-annotate",
            "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host",
        ]
        subprocess.run([f"{folder}/bin/pip-compile", *options, "-o", found, wanted], check=True)
        head = "# Written by `scripts/catalog.py --lock`: exact versions with the hashes of their files.\n"
        REQUIREMENTS.write_text(head + found.read_text())
    return 0


def listed_models():
    """The models in each provider file, by the provider's id."""
    listed = {}
    for file in sorted((ROOT / "providers").glob("*.toml")):
        provider = tomllib.loads(file.read_text())
        listed[provider["id"]] = [model["id"] for model in provider.get("models", [])]
    if listed.keys() != SOURCES.keys():
        sys.exit(f"name the source of prices for: {sorted(listed.keys() ^ SOURCES.keys())}")
    return listed


def build(sources, listed, version):
    """The catalog as it stands in JSON."""
    ours = {source: provider for provider, source in SOURCES.items() if source}
    providers = []
    for provider in sorted(listed):
        source = sources.get(SOURCES[provider])
        if source is None:
            continue
        free = FREE.get(provider)
        models = [
            {
                "id": model.id,
                "match": form.patterns(model.match),
                "prices": form.prices(model.prices, free is not None and model.id.endswith(free)),
            }
            for model in source.models
        ]
        fallback = [ours[other] for other in source.fallback_model_providers or [] if other in ours]
        providers.append({"id": provider, "fallback": fallback, "models": models})
    package, data_sha256 = version
    return {"source": "genai-prices", "version": package, "data_sha256": data_sha256, "providers": providers}


def render(catalog):
    """JSON with one line for each model."""
    compact = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))  # noqa: E731
    lines = ["{"]
    lines += [f'"{name}":{compact(catalog[name])},' for name in ("source", "version", "data_sha256")]
    lines.append('"providers":[')
    for at, provider in enumerate(catalog["providers"]):
        lines.append(f'{{"id":{compact(provider["id"])},"fallback":{compact(provider["fallback"])},"models":[')
        lines.append(",\n".join(compact(model) for model in provider["models"]))
        lines.append("]}" + ("," if at + 1 < len(catalog["providers"]) else ""))
    lines.append("]}")
    return "\n".join(lines) + "\n"


def compare(catalog, everyone, listed):
    """Looks up every name in the package and in the catalog. Returns how many there were."""
    compared = 0
    for provider in catalog["providers"]:
        source = next(it for it in everyone if it.id == SOURCES[provider["id"]])
        for name in names(provider, listed):
            theirs = source.find_model(name, all_providers=everyone)
            found = form.find(catalog, provider["id"], name)
            if (theirs and theirs.id) != (found and found["id"]):
                sys.exit(f"{provider['id']} {name}: the package has {theirs and theirs.id}, the catalog {found}")
            compared += 1
    return compared


def names(provider, listed):
    """Every name that the provider's models are known by, and variants that may or may not be."""
    known = set(listed[provider["id"]])
    for model in provider["models"]:
        known.add(model["id"])
        known.update(form.examples(model["match"]))
    for name in list(known):
        known |= {name.upper(), name + "-20251211", name + "-2025-12-11", name + "-20251341", name + "-latest"}
        known |= {name + "x", name + "-tts", name[:-1], name[1:], "x" + name, name.replace(".", "-")}
        known |= {name + "-20251211:free", name.replace("-", "")}
    known.discard("")
    return sorted(known)


def agreement(catalog, everyone, listed):
    """Names, usages and what they cost by the package, as lines for the program's own tests."""
    from datetime import UTC, datetime

    from genai_prices import Usage

    # At two o'clock the prices that depend on the time of day are the dearest.
    times = [datetime(2026, 11, 20, 2, tzinfo=UTC), datetime(2025, 7, 1, 2, tzinfo=UTC)]
    usages = [(1000, 0, 0, 500), (12, 100_003, 7, 41), (3, 199_990, 8, 1), (150_000, 0, 150_001, 77), (0, 0, 0, 0)]
    lines = [
        "# Written by `make catalog`: provider, model, milliseconds, tokens of input, cached input, cache writes and output,",
        "# then the model that genai-prices finds and the cost in nano-USD by its arithmetic; `-`: none.",
    ]
    for provider in catalog["providers"]:
        source = next(it for it in everyone if it.id == SOURCES[provider["id"]])
        every = 8 if provider["id"] == "openrouter" else 2
        models = [model["id"] for model in provider["models"]][::every] + listed[provider["id"]]
        probes = [*models, *(model + "-20251211" for model in models[::4]), models[0].upper(), "no-such-model"]
        for at, name in enumerate(probes):
            when, usage = times[at % 3 // 2], usages[at % len(usages)]
            found = source.find_model(name, all_providers=everyone)
            price = found and form.price_at(form.find(catalog, provider["id"], name), when.date().isoformat())
            cost = "-"
            if price:
                plain, read, written, output = usage
                counted = Usage(
                    input_tokens=plain + read + written, cache_read_tokens=read, cache_write_tokens=written,
                    output_tokens=output,
                )
                total = found.calc_price(counted, source, genai_request_timestamp=when).total_price
                nanos = (total * 10**9).quantize(decimal.Decimal(1), decimal.ROUND_HALF_UP)
                cost = f"{nanos:f}"
            columns = [provider["id"], name, int(when.timestamp() * 1000), *usage, found.id if found else "-", cost]
            lines.append(" ".join(map(str, columns)))
    return "\n".join(lines) + "\n"


def finish(files, arguments):
    """Writes the files, or says which are stale."""
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text() != text]
    if arguments == ["--check"]:
        for path in stale:
            print(f"stale: {path.relative_to(ROOT)}; run `make catalog`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(files[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
