from drivers.contract import Measurement
from drivers.devices.siren import DRIVER, Settings

ON = Measurement("on", value=True)
OFF = Measurement("on", value=False)


def siren(**settings):
    return DRIVER.make(Settings(pin=22, **settings))


def test_it_is_off_until_asked():
    device = siren()
    assert not device.level()
    assert device.due() <= 100.0
    assert device.tick(100.0) == [OFF]
    assert device.due() == 400.0


def test_it_tells_each_change_and_nothing_else():
    device = siren()
    device.tick(0.0)
    assert device.set(1.0, on=True) == [ON]
    assert device.level()
    assert device.set(2.0, on=True) == []
    assert device.set(3.0, on=False) == [OFF]
    assert device.set(4.0, on=False) == []
    assert not device.level()


def test_it_goes_off_by_itself_however_often_it_is_asked():
    device = siren(longest_on=180)
    device.set(0.0, on=True)
    device.set(179.0, on=True)
    assert device.due() == 180.0
    assert device.tick(180.0) == [OFF]
    assert not device.level()


def test_it_can_be_asked_again_after_it_went_off():
    device = siren(longest_on=180)
    device.set(0.0, on=True)
    device.tick(180.0)
    assert device.set(181.0, on=True) == [ON]
    assert device.due() == 361.0


def test_it_tells_its_state_again_and_again():
    device = siren(report=60, longest_on=1000)
    device.set(10.0, on=True)
    assert device.tick(device.due()) == [ON]
    assert device.due() == 130.0
