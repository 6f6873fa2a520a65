"""Runs last, by its name: what the instance left behind holds no provider key, and the provider never saw one of our keys."""

import base64


def spellings(key):
    raw = key.encode()
    yield raw
    yield raw.hex().encode()
    yield base64.b64encode(raw).rstrip(b"=")[:-1]
    yield raw.decode().encode("utf-16-le")


def files(directory):
    return [path for path in directory.rglob("*") if path.is_file()]


def test_a_planted_key_would_be_found(tmp_path, keys):
    for number, spelling in enumerate(spellings(keys.openai)):
        (tmp_path / str(number)).write_bytes(b"before " + spelling + b" after")
    found = [path for path in files(tmp_path) if any(s in path.read_bytes() for s in spellings(keys.openai))]
    assert len(found) == 4


def test_no_provider_key_is_in_any_file(app, keys):
    searched = 0
    for path in files(app.directory):
        content = path.read_bytes()
        searched += len(content)
        for key in keys.all():
            assert not any(spelling in content for spelling in spellings(key)), path
    assert searched > 10_000


def test_the_provider_saw_none_of_our_credentials(app, mock):
    assert mock.everything()
    for ours in ("kb_", "kbs_", "kbsetup_", app.session["cookie"]):
        assert ours not in mock.everything()
