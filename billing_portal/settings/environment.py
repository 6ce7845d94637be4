"""Reading the environment, strictly: every mistake is collected and told at once, one line each."""

import json
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import environ

Value = TypeVar("Value")
MISSING = "is not set: see .env.example, or set DEBUG=1 for a portal that brings its own parts"


class WrongURL(ValueError):
    """A URL that cannot be used; the text says why and quotes nothing of it."""


class Environment:
    """The variables of the process, over those of `.env`; every NAME can also be given as a file, NAME_FILE."""

    def __init__(self, dotenv: Path) -> None:
        self.problems: list[str] = []
        try:
            environ.Env.read_env(str(dotenv)) if dotenv.is_file() else None
        except OSError as error:
            self.problems.append(f"{dotenv} cannot be read: {error.strerror}")
        self.variables = environ.Env.ENVIRON
        self.debug = self.flag("DEBUG", default=False)

    def text(self, name: str, *, default: str | None = None, embedded: str | None = None) -> str:
        """Return a text. `default` always stands in for it, `embedded` only with DEBUG; without either it is required."""
        found = self._read(name)
        if found:
            return found
        if default is not None:
            return default
        if embedded is not None and self.debug:
            return embedded
        self.problems.append(f"{name} {MISSING}")
        return ""

    def is_embedded(self, name: str) -> bool:
        """Say whether DEBUG stands in for a name that is not set."""
        return self.debug and not self._read(name)

    def flag(self, name: str, *, default: bool) -> bool:
        return self._parsed(name, default, self._flag)

    def whole(self, name: str, *, default: int) -> int:
        return self._parsed(name, default, int)

    def words(self, name: str, *, default: str = "", embedded: str | None = None) -> list[str]:
        """Return a list, separated by commas in the environment; required if DEBUG has to stand in for it."""
        text = self.text(name, default=default if embedded is None else None, embedded=embedded)
        return [word.strip() for word in text.split(",") if word.strip()]

    def networks(self, name: str, *, default: str = "") -> list[str]:
        """Return addresses and networks, separated by commas."""
        found = self.words(name, default=default)
        for word in found:
            try:
                ip_network(word, strict=False)
            except ValueError:
                self.problems.append(f"{name} has {word!r}, which is neither an address nor a network")
        return found

    def names(self, name: str) -> dict[str, str]:
        """Return a JSON object of texts, empty where it is not set."""
        found = self._read(name)
        try:
            read = json.loads(found) if found else {}
        except ValueError:
            read = None
        if isinstance(read, dict) and all(isinstance(value, str) and value for value in read.values()):
            return read
        self.problems.append(f'{name} is no JSON object of texts, such as {{"chat": "api_call"}}')
        return {}

    def choice(self, name: str, *, default: str, of: tuple[str, ...]) -> str:
        found = self.text(name, default=default)
        if found not in of:
            self.problems.append(f"{name} is {found!r}: one of {', '.join(of)} is expected")
        return found

    def parsed(self, name: str, parse: Callable[[str], dict[str, Any]], *, embedded: str) -> dict[str, Any]:
        """Return what `parse` makes of a URL; what is wrong is told without the URL, which may hold a password."""
        url = self.text(name, embedded=embedded)
        try:
            return parse(url) if url else {}
        except WrongURL as error:
            self.problems.append(f"{name}: {error}")
        except (ValueError, KeyError, environ.ImproperlyConfigured):
            self.problems.append(f"{name} is not a URL that is understood: see .env.example")
        return {}

    def stop_if_wrong(self) -> None:
        """End the start with all problems, each on a line of its own, and no traceback."""
        if self.problems:
            self._exit()

    def _exit(self) -> NoReturn:
        raise SystemExit("\n".join(f"billing portal: {problem}" for problem in self.problems))

    def _read(self, name: str) -> str:
        file = self.variables.get(f"{name}_FILE", "")
        if not file:
            return str(self.variables.get(name, "")).strip()
        try:
            return Path(file).read_text().strip()
        except OSError as error:
            self.problems.append(f"{name}_FILE names {file}, which cannot be read: {error.strerror}")
            return ""

    def _parsed(self, name: str, default: Value, parse: Callable[[str], Value]) -> Value:
        found = self._read(name)
        try:
            return parse(found) if found else default
        except ValueError:
            self.problems.append(f"{name} is {found!r}: {type(default).__name__} is expected")
            return default

    @staticmethod
    def _flag(text: str) -> bool:
        known = {
            "1": True,
            "true": True,
            "on": True,
            "yes": True,
            "0": False,
            "false": False,
            "off": False,
            "no": False,
        }
        if text.lower() not in known:
            raise ValueError(text)
        return known[text.lower()]
