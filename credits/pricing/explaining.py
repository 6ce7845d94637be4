"""Why something cost what it cost: the explanation that is kept with a hold or usage record, as lines for a screen.

Pure: the explanation says all, so that a price that changed since, or another plan, tells no other story. An explanation
of an older shape gives what it can.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, Protocol

from credits import amounts
from credits.amounts import ZERO

Kind = Literal["part", "sum", "remark"]

_COUNTED: Final = {
    "input": ("input token", "input tokens"),
    "output": ("output token", "output tokens"),
    "cached_input": ("cached input token", "cached input tokens"),
    "images": ("image", "images"),
}
_OUTPUT_FROM: Final = {
    "organization": "No maximum was named: as many output tokens as 95 % of your organization's recent answers stay within",
    "everybody": "No maximum was named: as many output tokens as 95 % of everybody's recent answers stay within",
    "model": "No maximum was named: as many output tokens as the price table expects of this model",
}
_CORRECTIONS: Final = {
    "reversal": "Given back of an earlier charge",
    "settlement": "Taken for what an earlier charge had left owing",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of plain text; a sum stands out, a remark has no amount."""

    label: str
    amount: str = ""
    kind: Kind = "part"


class Record(Protocol):
    """What is read of a usage record, in the table or on its way there."""

    kind: str
    credits: Decimal
    cost: Decimal
    shortfall: Decimal
    late: bool
    after_the_fact: bool
    price: dict[str, Any]


def of_record(record: Record) -> list[Line]:
    """Return why a usage record took what it took: a charge, or what corrects one."""
    if record.kind == "charge":
        return [*of_explanation(record.price, credits=record.cost), *_outcome(record)]
    lines = []
    if record.credits or record.kind != "forgiveness":
        label = _CORRECTIONS.get(record.kind, record.kind.capitalize())
        lines.append(Line(label, _credits(record.credits), "sum"))
    if record.kind in ("forgiveness", "reversal") and record.shortfall:
        lines.append(Line("No longer owed for an earlier charge", _credits(record.shortfall), "sum"))
    return lines


def of_explanation(explanation: Mapping[str, Any], *, credits: Decimal) -> list[Line]:
    """Return how these credits came about: for a hold, an estimate, or the cost of a charge."""
    lines = [*_parts(explanation), *_remarks(explanation), *_worth(explanation)]
    if explanation.get("byok"):
        return [*lines, *_byok(explanation), Line("Charged here", _credits(credits), "sum")]
    if "unpriced" in explanation:
        return [*lines, Line(_unpriced(explanation), _credits(credits), "sum")]
    if explanation.get("form") == "credits":
        return [*lines, Line("Stated in credits by whoever made the request", _credits(credits), "sum")]
    return [*lines, Line("Cost", _credits(credits), "sum")]


def _parts(explanation: Mapping[str, Any]) -> Iterator[Line]:
    """Return what was counted, each at its price, or the money that was stated."""
    currency = explanation.get("currency", "")
    for what, count, each in explanation.get("lines", ()):
        number, price = _number(count), _number(each)
        one, many = _COUNTED.get(what, (what, what))
        named = one if number == 1 else many
        label = f"{amounts.display(number)} {named} × {amounts.display(price)} {currency}".rstrip()
        if number or what != "output":
            yield Line(label, f"{amounts.display(amounts.times(number, price))} {currency}".rstrip())
    if explanation.get("form") == "money" and "cost" in explanation:
        yield Line("Stated in money by whoever made the request", _money(explanation, "cost"))


def _remarks(explanation: Mapping[str, Any]) -> Iterator[Line]:
    """Return by which price, and where a number of tokens came from that nobody named."""
    if "price" in explanation:
        yield Line(_price(explanation), kind="remark")
    said = _OUTPUT_FROM.get(explanation.get("output_tokens_from", ""))
    if said is not None:
        yield Line(said, kind="remark")


def _price(explanation: Mapping[str, Any]) -> str:
    own, name = explanation.get("own"), explanation["price"]
    whose = "Your organization's own price" if own else "List price"
    wanted = [str(explanation[one]) for one in ("size", "quality") if explanation.get(one)]
    if name == "*":
        return f"{whose} of everything that has no other"
    return ", ".join([f"{whose} of {name}", *wanted])


def _worth(explanation: Mapping[str, Any]) -> Iterator[Line]:
    """Return the markup and the rate by which money became credits."""
    cost, percent = _number(explanation.get("cost", 0)), _number(explanation.get("markup_percent", 0))
    if explanation.get("byok") or not cost:
        return
    if percent:
        added = amounts.share(percent, cost)
        currency = explanation.get("currency", "")
        yield Line(
            f"Markup of the plan: {amounts.display(percent)} %",
            f"{amounts.display(added)} {currency}".rstrip(),
        )
    if "credits_per_unit" in explanation:
        rate = amounts.display(_number(explanation["credits_per_unit"]))
        unit = explanation.get("currency", "")
        yield Line(f"1 {unit} is {rate} credits; rounded up to the 6th decimal place", kind="remark")


def _byok(explanation: Mapping[str, Any]) -> Iterator[Line]:
    """Return what the provider asks whoever owns the key."""
    label = "Made with your own provider key: the provider asks you for"
    if "stated_credits" in explanation:
        yield Line(label, f"what {_credits(_number(explanation['stated_credits']))} are worth")
    elif "cost" in explanation:
        yield Line(label, _money(explanation, "cost"))
    else:
        yield Line(
            "Made with your own provider key; what the provider asks for it is not known", kind="remark"
        )


def _unpriced(explanation: Mapping[str, Any]) -> str:
    name = explanation["unpriced"]
    if explanation.get("charged") == "flat":
        return f"{name} has no price; your organization charges a flat amount for such requests"
    return f"{name} has no price; charged what was held for the request"


def _outcome(record: Record) -> Iterator[Line]:
    """Return what the rows beside the price say: when it was charged, and what the payer could not give."""
    if record.late:
        yield Line("Captured after the hold had expired", kind="remark")
    if record.after_the_fact:
        yield Line("Charged after the call had happened", kind="remark")
    if record.shortfall:
        yield Line("Owed by the organization: more than the payer could give", _credits(record.shortfall))
        yield Line("Taken from the payer", _credits(record.credits), "sum")


def _money(explanation: Mapping[str, Any], name: str) -> str:
    return f"{amounts.display(_number(explanation[name]))} {explanation.get('currency', '')}".rstrip()


def _credits(amount: Decimal) -> str:
    return f"{amounts.display(amount)} {'credit' if amount == 1 else 'credits'}"


def _number(value: object) -> Decimal:
    """Return a number of an explanation; what is none counts as 0, since a page must show the rest."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return ZERO
    return number if number.is_finite() else ZERO
