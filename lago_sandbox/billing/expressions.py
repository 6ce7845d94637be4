"""Expressions of metrics: arithmetic over an event's properties, evaluated when the event comes."""

import ast
import operator
import re
from collections.abc import Callable
from decimal import Decimal, DecimalException
from typing import Any, Final

_VARIABLE: Final = re.compile(r"event\.properties\.(\w+)")
_OPERATIONS: Final[dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Unusable(ValueError):
    """Why an expression has no value for an event."""


def evaluate(expression: str, properties: dict[str, Any]) -> Decimal:
    """Return the value of numbers, `event.properties.x`, + - * / and parentheses; Unusable where there is none."""
    for name in _VARIABLE.findall(expression):
        if name not in properties:
            raise Unusable(f"Variable: {name} not found")
    try:
        tree = ast.parse(_VARIABLE.sub(r"\1", expression), mode="eval")
        return _value(tree.body, properties)
    except (SyntaxError, DecimalException) as error:
        raise Unusable(str(error)) from None


def _value(node: ast.expr, properties: dict[str, Any]) -> Decimal:
    match node:
        case ast.Constant(value=int() | float() as number):
            return Decimal(str(number))
        case ast.Name(id=name):
            return Decimal(str(properties[name]))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left, properties), _value(right, properties))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, properties)
        case _:
            raise Unusable("Invalid expression")
