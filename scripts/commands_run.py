"""Which commands of `docs/cli.md` no integration test ran."""


def never_run(reference, record):
    """`reference`: the text of `docs/cli.md`; `record`: a line for each run, its arguments with tabs between them."""
    names = [
        line.removeprefix("## `keybearer ").removesuffix("`")
        for line in reference.splitlines()
        if line.startswith("## `keybearer ")
    ]
    runs = {tuple(line.split("\t")) for line in record.splitlines()}

    def is_group(name):
        return any(other.startswith(f"{name} ") for other in names)

    def was_run(name):
        words = tuple(name.split(" "))
        return any(run[: len(words)] == words for run in runs)

    return [name for name in names if not is_group(name) and not was_run(name)]
