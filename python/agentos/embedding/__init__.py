"""AgentOS as a library: a system, its agents, their tools and results, in trio.

Names of it are reached through `agentos` itself; `agentos.blocking` and `agentos.aio` give the same ones to
programs without an event loop and to asyncio.
"""
