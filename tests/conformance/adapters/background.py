"""Work in the background is jobs."""

from __future__ import annotations

from tests.conformance.adapters.cron import run as run
