from drivers.debounce import Debounce, Level


def test_a_level_counts_from_when_it_began_once_it_has_lasted():
    contact = Debounce(0.01)
    contact.edge(1.0, active=True)
    assert contact.tick(1.005) is None
    assert contact.tick(contact.due()) == Level(1.0, active=True)
    assert contact.due() is None


def test_bouncing_begins_anew_each_time():
    contact = Debounce(0.01)
    for at, active in [(1.0, True), (1.004, False), (1.008, True)]:
        assert contact.edge(at, active) is None
    assert contact.tick(1.02) == Level(1.008, active=True)


def test_a_short_pulse_never_was():
    contact = Debounce(0.01)
    contact.edge(0.0, active=False)
    assert contact.tick(0.5) == Level(0.0, active=False)
    contact.edge(1.0, active=True)
    contact.edge(1.009, active=False)
    assert contact.due() is None
    assert contact.tick(2.0) is None


def test_edges_that_are_told_late_come_to_the_same():
    contact = Debounce(0.01)
    contact.edge(0.0, active=False)
    assert contact.edge(1.0, active=True) == Level(0.0, active=False)
    assert contact.edge(1.5, active=False) == Level(1.0, active=True)
    assert contact.tick(1.6) == Level(1.5, active=False)


def test_a_level_told_twice_lasts_from_the_second_time():
    contact = Debounce(0.01)
    contact.edge(1.0, active=True)
    contact.edge(1.005, active=True)
    assert contact.tick(1.012) is None
    assert contact.tick(1.015) == Level(1.005, active=True)


def test_due_is_never_in_vain():
    contact = Debounce(0.03)
    for at in (0.1, 1234567.1, 1e9 + 0.7):
        contact = Debounce(0.03)
        contact.edge(at, active=True)
        assert contact.tick(contact.due()) is not None
