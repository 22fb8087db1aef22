"""Renders templates with Jinja2, for the test that holds this package against it.

Reads a JSON list of [template, payload] and writes one of [kind, text]: "out" with what was rendered, "undefined" or
"error" with the message. The filters and functions that Home Assistant adds are written here as its documentation
describes them: https://www.home-assistant.io/docs/configuration/templating/ and /template-functions/.
"""

import base64
import datetime as dt
import json
import math
import re
import statistics
import sys

from jinja2 import TemplateError, Undefined, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

ZONE = dt.timezone(dt.timedelta(hours=1), "CET")
NOW = dt.datetime(2026, 3, 1, 12, 30, 45, 123456, tzinfo=ZONE)
NOTHING = object()


def fallback(default, name, value):
    if default is NOTHING:
        raise ValueError(f"{name} got invalid input {value!r} and no default")
    return default


def forgiving(name, convert):
    """A filter that gives its default for what cannot be converted."""

    def function(value, default=NOTHING):
        try:
            return convert(value)
        except (ValueError, TypeError):
            return fallback(default, name, value)

    return function


def to_int(value, default=NOTHING, base=10):
    try:
        return int(value, base) if isinstance(value, str) else int(value)
    except (ValueError, TypeError, OverflowError):
        pass
    try:
        return int(float(value))
    except (ValueError, TypeError, OverflowError):
        return fallback(default, "int", value)


def boolean(value):
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.lower().strip()
        if word in ("1", "true", "yes", "on", "enable"):
            return True
        if word in ("0", "false", "no", "off", "disable"):
            return False
        raise ValueError(word)
    if isinstance(value, (int, float)):
        return value != 0
    raise ValueError(value)


def rounded(value, precision=0, method="common", default=NOTHING):
    try:
        number = float(value)
        scale = 10.0**precision
        if method == "ceil":
            number = math.ceil(number * scale) / scale
        elif method == "floor":
            number = math.floor(number * scale) / scale
        elif method == "half":
            number = round(number * 2) / 2
        else:
            number = round(number, precision)
        return int(number) if precision == 0 else number
    except (ValueError, TypeError):
        return fallback(default, "round", value)


def is_number(value):
    try:
        return math.isfinite(float(value))
    except (ValueError, TypeError):
        return False


def amount(name, operation):
    def function(value, amount, default=NOTHING):
        try:
            return operation(float(value), amount)
        except (ValueError, TypeError):
            return fallback(default, name, value)

    return function


def log(value, base=math.e, default=NOTHING):
    try:
        return math.log(float(value), float(base))
    except (ValueError, TypeError):
        return fallback(default, "log", value)


def mean_of(name, measure):
    def function(*args, default=NOTHING):
        numbers = args
        if not isinstance(args[0], (int, float)):
            numbers = args[0]
            if len(args) > 1 and default is NOTHING:
                default = args[1]
        try:
            return measure(numbers)
        except (TypeError, statistics.StatisticsError):
            return fallback(default, name, args)

    return function


def is_defined(value):
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    return value


def iif(value, if_true=True, if_false=False, if_none=NOTHING):
    if value is None and if_none is not NOTHING:
        return if_none
    return if_true if value else if_false


def flags(ignorecase):
    return re.IGNORECASE if ignorecase else 0


def regex_match(value, find="", ignorecase=False):
    return re.compile(find, flags(ignorecase)).match(str(value)) is not None


def regex_search(value, find="", ignorecase=False):
    return re.compile(find, flags(ignorecase)).search(str(value)) is not None


def regex_findall(value, find="", ignorecase=False):
    return re.compile(find, flags(ignorecase)).findall(str(value))


def regex_findall_index(value, find="", index=0, ignorecase=False):
    return regex_findall(value, find, ignorecase)[index]


def regex_replace(value="", find="", replace="", ignorecase=False):
    return re.compile(find, flags(ignorecase)).sub(replace, str(value))


def reject_constant(name):
    raise ValueError(name)


def strict_json(text):
    return json.loads(text, parse_constant=reject_constant)


def from_json(value, default=NOTHING):
    try:
        return strict_json(value)
    except (ValueError, TypeError):
        return fallback(default, "from_json", value)


def to_json(value, ensure_ascii=False, pretty_print=False, sort_keys=False):
    separators = None if ensure_ascii else (",", ": " if pretty_print else ":")
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        sort_keys=sort_keys,
        indent=2 if pretty_print else None,
        separators=separators,
    )


ISO = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,6})\d*)?)?(Z|[+-]\d{2}(?::?\d{2})?)?)?$"
)


def parse_datetime(text):
    found = ISO.match(text)
    if not found:
        raise ValueError(text)
    year, month, day, hour, minute, second, micro, zone = found.groups()
    info = None
    if zone == "Z":
        info = dt.timezone.utc
    elif zone:
        minutes = int(zone[1:3]) * 60 + int(zone[3:].strip(":") or 0)
        info = dt.timezone(dt.timedelta(minutes=-minutes if zone[0] == "-" else minutes))
    return dt.datetime(
        int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
        int((micro or "0").ljust(6, "0")), info,
    )  # fmt: skip


def as_local(value):
    return value.replace(tzinfo=ZONE) if value.tzinfo is None else value.astimezone(ZONE)


def from_timestamp(value):
    return dt.datetime.fromtimestamp(value, dt.timezone.utc)


def as_timestamp(value):
    parsed = value if isinstance(value, dt.datetime) else parse_datetime(str(value))
    return (parsed.replace(tzinfo=ZONE) if parsed.tzinfo is None else parsed).timestamp()


def as_datetime(value, default=NOTHING):
    if isinstance(value, dt.datetime):
        return value
    try:
        return from_timestamp(float(value))
    except (ValueError, TypeError):
        pass
    try:
        return parse_datetime(value)
    except (ValueError, TypeError):
        if default is NOTHING and isinstance(value, str):
            return None
        return fallback(default, "as_datetime", value)


def timestamp_custom(value, format_string="%Y-%m-%d %H:%M:%S", local=True, default=NOTHING):
    try:
        moment = from_timestamp(value)
        return (as_local(moment) if local else moment).strftime(format_string)
    except (ValueError, TypeError):
        return fallback(default, "timestamp_custom", value)


def strptime(string, format, default=NOTHING):
    try:
        return dt.datetime.strptime(string, format)
    except (ValueError, TypeError, AttributeError):
        return fallback(default, "strptime", string)


def today_at(time_str=""):
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    if not time_str:
        return midnight
    time = dt.time.fromisoformat(time_str)
    return midnight.replace(hour=time.hour, minute=time.minute, second=time.second)


def several(pick):
    def function(*args, **named):
        return pick(ENV, args[0] if len(args) == 1 else args, **named)

    return function


class Dict(dict):
    from_keys = staticmethod(dict)


ENV = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"])
BOTH = {
    "float": forgiving("float", float),
    "int": to_int,
    "bool": forgiving("bool", boolean),
    "is_number": is_number,
    "iif": iif,
    "log": log,
    "sqrt": forgiving("sqrt", lambda value: math.sqrt(float(value))),
    "sin": forgiving("sin", lambda value: math.sin(float(value))),
    "cos": forgiving("cos", lambda value: math.cos(float(value))),
    "average": mean_of("average", statistics.fmean),
    "median": mean_of("median", statistics.median),
    "bitwise_and": lambda first_value, second_value: first_value & second_value,
    "bitwise_or": lambda first_value, second_value: first_value | second_value,
    "bitwise_xor": lambda first_value, second_value: first_value ^ second_value,
    "clamp": lambda value, min_value, max_value: max(float(min_value), min(float(max_value), float(value))),
    "as_timestamp": forgiving("as_timestamp", as_timestamp),
    "as_datetime": as_datetime,
    "as_local": as_local,
    "typeof": lambda value: type(value).__name__,
}
ENV.filters.update(BOTH)
ENV.filters.update(
    round=rounded,
    add=amount("add", lambda value, other: value + other),
    multiply=amount("multiply", lambda value, other: value * other),
    is_defined=is_defined,
    regex_match=regex_match,
    regex_search=regex_search,
    regex_findall=regex_findall,
    regex_findall_index=regex_findall_index,
    regex_replace=regex_replace,
    from_json=from_json,
    to_json=to_json,
    ord=ord,
    contains=lambda value, item: item in value,
    base64_decode=lambda value: base64.b64decode(value, validate=True).decode(),
    base64_encode=lambda value: base64.b64encode(value.encode()).decode(),
    timestamp_custom=timestamp_custom,
    timestamp_local=forgiving("timestamp_local", lambda value: as_local(from_timestamp(value)).isoformat()),
    timestamp_utc=forgiving("timestamp_utc", lambda value: from_timestamp(value).isoformat()),
)
ENV.globals.update(BOTH)
ENV.globals.update(
    min=several(ENV.filters["min"]),
    max=several(ENV.filters["max"]),
    now=lambda: NOW,
    utcnow=lambda: NOW.astimezone(dt.timezone.utc),
    timedelta=dt.timedelta,
    strptime=strptime,
    today_at=today_at,
    tuple=tuple,
    zip=zip,
    dict=Dict,
    pi=math.pi,
    e=math.e,
    tau=math.tau,
)
ENV.tests.update(
    match=regex_match,
    search=regex_search,
    is_number=is_number,
    contains=lambda value, item: item in value,
    list=lambda value: isinstance(value, list),
    tuple=lambda value: isinstance(value, tuple),
    datetime=lambda value: isinstance(value, dt.datetime),
    string_like=lambda value: isinstance(value, (str, bytes)),
)


FAILURES = (
    TemplateError, ArithmeticError, AttributeError, LookupError, SyntaxError, TypeError, ValueError, re.error,
)  # fmt: skip


def render(source, payload):
    variables = {"value": payload}
    try:
        variables["value_json"] = strict_json(payload)
    except ValueError:
        pass
    try:
        return ["out", ENV.from_string(source.strip()).render(variables).strip()]
    except UndefinedError as error:
        return ["undefined", str(error)]
    except FAILURES as error:
        return ["error", f"{type(error).__name__}: {error}"]


json.dump([render(*case) for case in json.load(sys.stdin)], sys.stdout)
