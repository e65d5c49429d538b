"""The one table of what is measured: name, SenML unit (RFC 8428 and its registry) and the words a person reads.

The same quantity from two makers has the same name and the same unit; a driver converts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Quantity(NamedTuple):
    """A thing that is measured."""

    unit: str  # SenML unit; "" for a state or a plain number without unit
    title: str


QUANTITIES: dict[str, Quantity] = {
    # particles in air
    "pm1": Quantity("ug/m3", N_("Particulate matter up to 1 um")),
    "pm2_5": Quantity("ug/m3", N_("Particulate matter up to 2.5 um")),
    "pm4": Quantity("ug/m3", N_("Particulate matter up to 4 um")),
    "pm10": Quantity("ug/m3", N_("Particulate matter up to 10 um")),
    "pm100": Quantity("ug/m3", N_("Particulate matter up to 100 um")),
    "n0_3": Quantity("1/cm3", N_("Particles larger than 0.3 um")),
    "n0_5": Quantity("1/cm3", N_("Particles up to 0.5 um, or larger than it: see the driver")),
    "n1": Quantity("1/cm3", N_("Particles up to 1 um, or larger than it: see the driver")),
    "n2_5": Quantity("1/cm3", N_("Particles up to 2.5 um, or larger than it: see the driver")),
    "n4": Quantity("1/cm3", N_("Particles up to 4 um")),
    "n5": Quantity("1/cm3", N_("Particles larger than 5 um")),
    "n10": Quantity("1/cm3", N_("Particles up to 10 um, or larger than it: see the driver")),
    "particle_size": Quantity("um", N_("Typical size of the particles")),
    # gases
    "co2": Quantity("ppm", N_("Carbon dioxide")),
    "co": Quantity("ppb", N_("Carbon monoxide")),
    "no2": Quantity("ppb", N_("Nitrogen dioxide")),
    "o3": Quantity("ppb", N_("Ozone")),
    "so2": Quantity("ppb", N_("Sulphur dioxide")),
    "h2s": Quantity("ppb", N_("Hydrogen sulphide")),
    "nh3": Quantity("ppb", N_("Ammonia")),
    "hcho": Quantity("ppb", N_("Formaldehyde")),
    # weather
    "temperature": Quantity("Cel", N_("Air temperature")),
    "humidity": Quantity("%RH", N_("Relative humidity")),
    "dew_point": Quantity("Cel", N_("Dew point")),
    "pressure": Quantity("hPa", N_("Air pressure where the sensor stands")),
    "pressure_sea_level": Quantity("hPa", N_("Air pressure reduced to sea level")),
    "wind_speed": Quantity("m/s", N_("Wind speed")),
    "wind_speed_average": Quantity("m/s", N_("Wind speed, mean of the last ten minutes")),
    "wind_gust": Quantity("m/s", N_("Strongest gust")),
    "wind_lull": Quantity("m/s", N_("Weakest wind")),
    "wind_direction": Quantity("deg", N_("Direction the wind comes from, clockwise from north")),
    "wind_direction_min": Quantity("deg", N_("Wind direction, furthest to the left")),
    "wind_direction_max": Quantity("deg", N_("Wind direction, furthest to the right")),
    "rain": Quantity("mm", N_("Rain since the gauge was installed")),
    "rain_rate": Quantity("mm/h", N_("Rain rate")),
    "rain_rate_max": Quantity("mm/h", N_("Strongest rain rate")),
    "rain_today": Quantity("mm", N_("Rain since midnight")),
    "rain_storm": Quantity("mm", N_("Rain of the present storm")),
    "rain_duration": Quantity("s", N_("How long it has rained")),
    "hail": Quantity("1/cm2", N_("Hits of hail")),
    "hail_duration": Quantity("s", N_("How long it has hailed")),
    "hail_rate": Quantity("1/cm2/h", N_("Hits of hail an hour")),
    "hail_rate_max": Quantity("1/cm2/h", N_("Most hits of hail an hour")),
    "solar_radiation": Quantity("W/m2", N_("Global radiation of the sun")),
    "uv_index": Quantity("", N_("UV index")),
    "illuminance": Quantity("lx", N_("Illuminance")),
    "noise": Quantity("dB", N_("Sound level, A-weighted")),
    # water
    "water_distance": Quantity("m", N_("Distance down to the water")),
    "water_level": Quantity("m", N_("Water level")),
    "water_speed": Quantity("m/s", N_("Speed of the water")),
    # distance
    "distance": Quantity("m", N_("Distance")),
    "signal_strength": Quantity("", N_("Strength of the echo, in the device's own numbers")),
    # traffic
    "vehicles": Quantity("count", N_("Vehicles since the sensor was installed")),
    "vehicles_toward": Quantity("count", N_("Vehicles that came, since the sensor was installed")),
    "vehicles_away": Quantity("count", N_("Vehicles that went, since the sensor was installed")),
    "vehicle_speed": Quantity("m/s", N_("Speed of a vehicle; negative: away, or the wrong way")),
    "vehicle_distance": Quantity("m", N_("Distance to a vehicle")),
    "vehicle_angle": Quantity("deg", N_("Angle to a vehicle, clockwise from straight ahead")),
    "vehicle_toward": Quantity("", N_("A vehicle comes nearer")),
    "vehicle_snr": Quantity("", N_("Strength of a vehicle's echo, in the device's own numbers")),
    "vehicle_length": Quantity("m", N_("Length of a vehicle")),
    "vehicle_range": Quantity("m", N_("Distance from the sensor to a vehicle's lane")),
    "vehicle_duration": Quantity("s", N_("How long a vehicle was seen")),
    "vehicle_class": Quantity("", N_("Class of a vehicle, in the device's own numbers")),
    "vehicle_lane": Quantity("", N_("Lane of a vehicle, counted from 0")),
    "wrong_way": Quantity("", N_("A vehicle drives the wrong way")),
    "targets": Quantity("count", N_("Vehicles in sight")),
    "occupancy": Quantity("%", N_("Share of the time in which something stood on the loop")),
    "occupied": Quantity("", N_("Something stands on the loop")),
    # electricity
    "voltage": Quantity("V", N_("Voltage")),
    "current": Quantity("A", N_("Current")),
    "active_power": Quantity("W", N_("Active power")),
    "apparent_power": Quantity("VA", N_("Apparent power")),
    "reactive_power": Quantity("var", N_("Reactive power")),
    "power_factor": Quantity("/", N_("Power factor")),
    "phase_angle": Quantity("deg", N_("Angle between voltage and current")),
    "frequency": Quantity("Hz", N_("Frequency")),
    "energy_import": Quantity("kWh", N_("Energy taken")),
    "energy_export": Quantity("kWh", N_("Energy given back")),
    "reactive_energy_import": Quantity("kvarh", N_("Reactive energy taken")),
    "reactive_energy_export": Quantity("kvarh", N_("Reactive energy given back")),
    "voltage_l1": Quantity("V", N_("Voltage of phase 1")),
    "voltage_l2": Quantity("V", N_("Voltage of phase 2")),
    "voltage_l3": Quantity("V", N_("Voltage of phase 3")),
    "current_l1": Quantity("A", N_("Current of phase 1")),
    "current_l2": Quantity("A", N_("Current of phase 2")),
    "current_l3": Quantity("A", N_("Current of phase 3")),
    "active_power_l1": Quantity("W", N_("Active power of phase 1")),
    "active_power_l2": Quantity("W", N_("Active power of phase 2")),
    "active_power_l3": Quantity("W", N_("Active power of phase 3")),
    "apparent_power_l1": Quantity("VA", N_("Apparent power of phase 1")),
    "apparent_power_l2": Quantity("VA", N_("Apparent power of phase 2")),
    "apparent_power_l3": Quantity("VA", N_("Apparent power of phase 3")),
    "reactive_power_l1": Quantity("var", N_("Reactive power of phase 1")),
    "reactive_power_l2": Quantity("var", N_("Reactive power of phase 2")),
    "reactive_power_l3": Quantity("var", N_("Reactive power of phase 3")),
    "power_factor_l1": Quantity("/", N_("Power factor of phase 1")),
    "power_factor_l2": Quantity("/", N_("Power factor of phase 2")),
    "power_factor_l3": Quantity("/", N_("Power factor of phase 3")),
    "over_power": Quantity("", N_("More power than the meter's limit")),
    "loop_current": Quantity("mA", N_("Current in a 4-20 mA loop")),
    # a solar pole
    "battery_voltage": Quantity("V", N_("Voltage of the battery")),
    "battery_current": Quantity("A", N_("Current into the battery; negative: out of it")),
    "battery_power": Quantity("W", N_("Power into the battery; negative: out of it")),
    "battery_temperature": Quantity("Cel", N_("Temperature of the battery")),
    "state_of_charge": Quantity("%", N_("Charge of the battery")),
    "time_to_go": Quantity("min", N_("Time until the battery is empty")),
    "starter_voltage": Quantity("V", N_("Voltage of the second battery")),
    "consumed_charge": Quantity("Ah", N_("Charge taken from the battery")),
    "pv_voltage": Quantity("V", N_("Voltage of the solar panel")),
    "pv_power": Quantity("W", N_("Power of the solar panel")),
    "load_current": Quantity("A", N_("Current of the load")),
    "load_on": Quantity("", N_("The load is switched on")),
    "yield_total": Quantity("kWh", N_("Energy of the solar panel since it was installed")),
    "yield_today": Quantity("kWh", N_("Energy of the solar panel today")),
    "yield_yesterday": Quantity("kWh", N_("Energy of the solar panel yesterday")),
    "power_max_today": Quantity("W", N_("Most power of the solar panel today")),
    "charger_state": Quantity("", N_("What the charger does")),
    "tracker_state": Quantity("", N_("What the search for the panel's best power does")),
    "off_reason": Quantity("", N_("Why the charger is off, in the device's own bits; 0: it is not")),
    "charger_error": Quantity("", N_("Error of the charger, in the device's own numbers")),
    "alarm": Quantity("", N_("The device itself raises an alarm")),
    # the device itself
    "device_temperature": Quantity("Cel", N_("Temperature inside the device")),
    "device_voltage": Quantity("V", N_("Supply voltage of the device")),
    "heater_temperature": Quantity("Cel", N_("Temperature of the heater")),
    "heater_voltage": Quantity("V", N_("Voltage of the heater")),
    "reference_voltage": Quantity("V", N_("Reference voltage of the device")),
    # position
    "latitude": Quantity("lat", N_("Latitude")),
    "longitude": Quantity("lon", N_("Longitude")),
    "altitude": Quantity("m", N_("Altitude above mean sea level")),
    "speed": Quantity("m/s", N_("Speed over ground")),
    "course": Quantity("deg", N_("Course over ground, clockwise from north")),
    "satellites": Quantity("count", N_("Satellites used")),
    "satellites_in_view": Quantity("count", N_("Satellites in view")),
    "hdop": Quantity("", N_("Horizontal dilution of precision")),
    # states of inputs and outputs
    "pressed": Quantity("", N_("Pressed")),
    "open": Quantity("", N_("Open")),
    "tampered": Quantity("", N_("Tampered with")),
    "mains_failed": Quantity("", N_("Mains have failed")),
    "test_due": Quantity("", N_("The yearly test is due")),
    "pulses": Quantity("count", N_("Pulses since the counter was installed")),
    "pulse_rate": Quantity("1/min", N_("Pulses a minute")),
    "on": Quantity("", N_("Switched on")),
    # the gateway itself
    "cpu_temperature": Quantity("Cel", N_("Temperature of the Pi's processor")),
    "undervoltage": Quantity("", N_("The Pi's supply is below 4.63 V")),
    "undervoltages": Quantity("count", N_("How often the Pi's supply fell below 4.63 V since it started")),
    "throttled": Quantity("", N_("The Pi runs slower because of heat or low voltage")),
    "disk_life_used": Quantity("%", N_("Share of the card's life that is used up")),
    "disk_written": Quantity("MB", N_("Written to the card since the Pi started")),
    "disk_written_total": Quantity("GB", N_("Written to the card since it was formatted")),
    "disk_free": Quantity("%", N_("Free space on the card")),
    "memory_available": Quantity("MiB", N_("Memory that programs can still have")),
    "load": Quantity("", N_("Processes that want the processor, mean of a minute")),
    "link_latency": Quantity("ms", N_("Time to the broker and back")),
    "link_loss": Quantity("%", N_("Share of attempts that did not get through")),
    "wifi_signal": Quantity("dBm", N_("Signal of the wireless network")),
    "mobile_signal": Quantity("dBm", N_("Signal of the mobile network")),
}


def unit(quantity: str) -> str:
    """Return the SenML unit of a quantity of the table."""
    return QUANTITIES[quantity].unit


def always(*names: str) -> Callable[[object], Mapping[str, str]]:
    """Return `Driver.quantities` of a driver that measures the same whatever its settings."""
    units = {name: unit(name) for name in names}
    return lambda _settings: units
