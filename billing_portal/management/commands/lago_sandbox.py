"""Runs the Lago sandbox alone."""

import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    """Becomes the sandbox's process: it has a database of its own and nothing of this one."""

    help = "Run the Lago sandbox, an emulator of Lago's API, until Ctrl-C. Only with DEBUG."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8001, help="on 127.0.0.1 (default 8001)")
        parser.add_argument(
            "--folder", type=Path, default=settings.BASE_DIR / "var" / "sandbox", help="where its file lies"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The sandbox is an emulator: it starts only with DEBUG=1.")
        command = [
            sys.executable,
            "-m",
            "lago_sandbox",
            "--port",
            str(options["port"]),
            "--folder",
            str(options["folder"]),
        ]
        os.chdir(settings.BASE_DIR)
        os.execve(sys.executable, command, os.environ | {"DEBUG": "1"})  # noqa: S606 - this very process goes on as the sandbox
