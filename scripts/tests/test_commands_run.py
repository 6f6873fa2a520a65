"""Every command is run by a test: what counts as run."""

import pathlib
import sys

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

from commands_run import never_run  # noqa: E402

REFERENCE = "# Command line\n\n## `keybearer`\n\n## `keybearer keys`\n\n## `keybearer keys add`\n\n## `keybearer usage`\n"


def test_a_command_is_run_by_its_words_in_front():
    assert never_run(REFERENCE, "keys\tadd\topenai\nusage\t--by\tmodel\n") == []


def test_a_command_that_only_stands_among_arguments_was_not_run():
    assert never_run(REFERENCE, "man\tkeys\tadd\nusage\n") == ["keys add"]


def test_a_group_needs_no_run_of_its_own():
    assert never_run(REFERENCE, "") == ["keys add", "usage"]
