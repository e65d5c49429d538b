from agent.host.random import SystemRandom


def test_numbers_lie_where_they_were_asked_for() -> None:
    random = SystemRandom()
    assert all(2.0 <= random.uniform(2.0, 3.0) <= 3.0 for _ in range(100))
    assert all(0 <= random.bits(64) < 2**64 for _ in range(100))
    assert random.bits(64) != random.bits(64)
