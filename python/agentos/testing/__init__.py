"""What tests of programs that embed AgentOS need: a model that follows a script, a network that is not there,
time that stands still, and a system on a private kernel with all of them.

    async with agentos.testing.system([Reply(text="four")]) as system:
        agent = await system.spawn("adder", budget="0.10")
        assert (await agent.run("what is 2 + 2?")).text == "four"

Everything of our own in it is real: the kernel, the broker and the wire.
"""

from __future__ import annotations

from agentos.testing.clock import Clock as Clock
from agentos.testing.loopback import Framing as Framing
from agentos.testing.loopback import Request as Request
from agentos.testing.network import FakeNetwork as FakeNetwork
from agentos.testing.network import HttpReply as HttpReply
from agentos.testing.scripted_model import ScriptedModel as ScriptedModel
from agentos.testing.scripted_model import tool_results as tool_results
from agentos.testing.scripted_wire import Reply as Reply
from agentos.testing.scripted_wire import ToolCall as ToolCall
from agentos.testing.scripted_wire import Usage as Usage
from agentos.testing.system import system as system
