"""What a process leaves behind of the device it was busy with."""

from agent.host.breadcrumb import SIZE, MappedCrumb, culprit, note_end


def test_the_crumb_names_the_culprit_when_the_watchdog_ended_the_process(tmp_path):
    MappedCrumb(tmp_path).put(b"air-1")
    note_end(tmp_path, "watchdog")
    assert culprit(tmp_path) == "air-1"


def test_nobody_is_suspected_when_the_process_ended_otherwise(tmp_path):
    MappedCrumb(tmp_path).put(b"air-1")
    assert culprit(tmp_path) == ""
    for result in ("signal", "success", "", "oom-kill"):
        note_end(tmp_path, result)
        assert culprit(tmp_path) == ""


def test_a_process_that_was_busy_with_no_device_leaves_none(tmp_path):
    crumb = MappedCrumb(tmp_path)
    crumb.put(b"air-1")
    crumb.put(b"")
    note_end(tmp_path, "watchdog")
    assert culprit(tmp_path) == ""


def test_a_new_process_begins_with_an_empty_crumb_and_a_long_id_is_cut(tmp_path):
    MappedCrumb(tmp_path).put(b"x" * 200)
    note_end(tmp_path, "watchdog")
    assert culprit(tmp_path) == "x" * SIZE
    MappedCrumb(tmp_path)
    assert culprit(tmp_path) == ""


def test_no_folder_no_culprit(tmp_path):
    assert culprit(tmp_path / "none") == ""
