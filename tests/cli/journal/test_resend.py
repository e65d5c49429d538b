"""`roadside journal resend` as a process: what it refuses before it asks the agent."""

import pytest

from tests.cli.roadside import roadside


@pytest.mark.parametrize("option", [("--stream", "alarm"), ("--epoch", "9f0c5a7d31e2b846")])
def test_whose_numbers_are_meant_is_said_together_with_the_numbers(tmp_path, option):
    done = roadside("journal", "resend", "--root", tmp_path, "--uplink", "city", *option)
    assert done.returncode == 2
    assert "--numbers" in done.stderr


def test_numbers_that_no_stream_can_have_are_refused(tmp_path):
    done = roadside("journal", "resend", "--root", tmp_path, "--uplink", "city", "--numbers", "9" * 5000)
    assert done.returncode == 2
    assert "1200-1300" in done.stderr
