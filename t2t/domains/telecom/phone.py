"""The caller's side: what they can do with the phone in their hand, and what can be wrong with it."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from t2t.domain.tool import tool
from t2t.domains.telecom.schema import (
    NetworkMode,
    Phone,
    PhoneId,
    Setting,
    SimNumber,
    Switch,
    TelecomDB,
)
from t2t.errors import ToolError

Cause = Literal[
    "airplane mode",
    "mobile data",
    "data roaming",
    "data saver",
    "network mode",
    "access point",
    "stuck",
    "loose SIM",
    "new SIM",
    "suspended",
    "line roaming",
    "data used up",
]
Symptom = Literal["no internet", "slow internet", "no service"]

_FIELDS: dict[Setting, str] = {
    "airplane mode": "airplane_mode",
    "mobile data": "mobile_data",
    "data roaming": "data_roaming",
    "data saver": "data_saver",
}


class Fault(NamedTuple):
    """Something that keeps a phone from working."""

    cause: Cause
    symptom: Symptom


@dataclass(frozen=True, slots=True)
class StatusBar:
    """The top of the screen."""

    shows: str


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The settings for mobile networks."""

    network_mode: NetworkMode
    access_point: str


@dataclass(frozen=True, slots=True)
class SimCard:
    """The SIM in the phone."""

    sim_number: SimNumber


@dataclass(frozen=True, slots=True)
class SpeedTest:
    """Megabits per second."""

    download: str


@dataclass(frozen=True, slots=True)
class Changed:
    """What the phone is like after a change."""

    now: str
    shows: str


def is_on(phone: Phone, setting: Setting) -> bool:
    """True when a setting of the phone is on."""
    return bool(getattr(phone, _FIELDS[setting]))


def faults(db: TelecomDB, phone: Phone) -> list[Fault]:
    """Everything that keeps a phone from working, on the phone or on its line."""
    line = db.lines[phone.line_id]
    found: list[tuple[bool, Cause, Symptom]] = [
        (phone.airplane_mode, "airplane mode", "no internet"),
        (not phone.mobile_data, "mobile data", "no internet"),
        (phone.country != "" and not phone.data_roaming, "data roaming", "no internet"),
        (phone.country != "" and not line.roaming, "line roaming", "no internet"),
        (phone.access_point != "standard", "access point", "no internet"),
        (phone.stuck, "stuck", "no internet"),
        (phone.data_saver, "data saver", "slow internet"),
        (phone.network_mode == "3G only", "network mode", "slow internet"),
        (db.data_left(line) == 0, "data used up", "slow internet"),
        (not phone.sim_seated, "loose SIM", "no service"),
        (phone.sim_number != line.sim_number, "new SIM", "no service"),
        (line.status == "suspended", "suspended", "no service"),
    ]
    return [Fault(cause, symptom) for holds, cause, symptom in found if holds]


def status_bar(db: TelecomDB, phone: Phone) -> str:
    """What the top of the screen shows, in a caller's words."""
    line = db.lines[phone.line_id]
    if phone.airplane_mode:
        return "a little plane"
    if not phone.sim_seated:
        return "the words No SIM"
    if phone.sim_number != line.sim_number or line.status == "suspended":
        return "the words No service"
    generation = {"automatic": "5G", "4G only": "4G", "3G only": "3G"}[phone.network_mode]
    signs = ["full bars", generation if phone.mobile_data else "no data sign"]
    if phone.country:
        signs.append("an R" if phone.data_roaming else "a crossed-out R")
    if phone.data_saver:
        signs.append("a leaf")
    return f"{', '.join(signs[:-1])} and {signs[-1]}"


def _download(db: TelecomDB, phone: Phone) -> str:
    symptoms = {fault.symptom for fault in faults(db, phone)}
    if symptoms & {"no internet", "no service"}:
        return "0.0"
    return "0.9" if symptoms else "84.2"


def _find_phone(db: TelecomDB, phone_id: str) -> Phone:
    found = db.phones.get(phone_id)
    if found is None:
        raise ToolError(f"no phone {phone_id!r}; ids look like 'H100001'")
    return found


def _change(db: TelecomDB, phone: Phone, now: str) -> Changed:
    db.phones.put(phone)
    return Changed(now, status_bar(db, phone))


@tool(writes=False)
def check_status_bar(db: TelecomDB, phone_id: PhoneId) -> StatusBar:
    """Look at the top of the screen.

    Args:
        phone_id: The phone.
    """
    return StatusBar(status_bar(db, _find_phone(db, phone_id)))


@tool(writes=False)
def check_network_settings(db: TelecomDB, phone_id: PhoneId) -> NetworkSettings:
    """Look up the network mode and the access point.

    Args:
        phone_id: The phone.
    """
    phone = _find_phone(db, phone_id)
    return NetworkSettings(phone.network_mode, phone.access_point)


@tool(writes=False)
def show_sim_number(db: TelecomDB, phone_id: PhoneId) -> SimCard:
    """Look up the number of the SIM in the phone.

    Args:
        phone_id: The phone.
    """
    return SimCard(_find_phone(db, phone_id).sim_number)


@tool(writes=False)
def run_speed_test(db: TelecomDB, phone_id: PhoneId) -> SpeedTest:
    """Measure the speed of the mobile internet.

    Args:
        phone_id: The phone.
    """
    return SpeedTest(_download(db, _find_phone(db, phone_id)))


@tool(writes=True)
def switch_setting(db: TelecomDB, phone_id: PhoneId, setting: Setting, state: Switch) -> Changed:
    """Switch a setting on or off.

    Args:
        phone_id: The phone.
        setting: Which setting.
        state: On or off.
    """
    phone = _find_phone(db, phone_id)
    return _change(db, replace(phone, **{_FIELDS[setting]: state == "on"}), f"{setting} {state}")


@tool(writes=True)
def set_network_mode(db: TelecomDB, phone_id: PhoneId, mode: NetworkMode) -> Changed:
    """Choose the networks that the phone uses.

    Args:
        phone_id: The phone.
        mode: The network mode.
    """
    return _change(db, replace(_find_phone(db, phone_id), network_mode=mode), f"network mode {mode}")


@tool(writes=True)
def reseat_sim(db: TelecomDB, phone_id: PhoneId) -> Changed:
    """Take the SIM card out and put it back in.

    Args:
        phone_id: The phone.
    """
    phone = _find_phone(db, phone_id)
    now = "there is no card to take out, it is an eSIM" if phone.esim else "the SIM card is back in"
    return _change(db, replace(phone, sim_seated=True), now)


@tool(writes=True)
def reset_access_point(db: TelecomDB, phone_id: PhoneId) -> Changed:
    """Set the access point back to standard.

    Args:
        phone_id: The phone.
    """
    return _change(db, replace(_find_phone(db, phone_id), access_point="standard"), "the access point is standard")


@tool(writes=True)
def restart_phone(db: TelecomDB, phone_id: PhoneId) -> Changed:
    """Switch the phone off and on again.

    Args:
        phone_id: The phone.
    """
    return _change(db, replace(_find_phone(db, phone_id), stuck=False), "restarted")


PHONE_TOOLS = (
    check_status_bar,
    check_network_settings,
    show_sim_number,
    run_speed_test,
    switch_setting,
    set_network_mode,
    reseat_sim,
    reset_access_point,
    restart_phone,
)
