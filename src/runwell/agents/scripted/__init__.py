"""The scripted model: an OpenAI-compatible server on loopback that does what the prompt says.

For tests, demonstrations and benchmarks: real HTTP, real streaming, no key, no chance. `python -m
runwell.agents.scripted` runs it, `ScriptedModel` runs it in a thread. The same seed, prompt and turn
give the same answer, byte for byte.

Directives stand anywhere in the last user message and are played in order; other text is ignored:

    [[say: text]]            stream this text, word by word
    [[words: 200]]           stream 200 made-up words
    [[reason: text]]         stream this reasoning
    [[pace: 50/s]]           from here on, 50 words per second; without it, as fast as it can be read
    [[tool: name {"a": 1}]]  call this tool; neighbours are called together. The turn ends here
    [[error: 429]]           fail with this HTTP status, or in mid-stream when something was streamed
    [[error: 500 times=2]]   the same for the first two requests of this turn, then go on
    [[drop]]                 close the connection in the middle of the answer
    [[hang]]                 say nothing more, and keep the connection open

`error`, `drop` and `hang` take `after=N`: when N words of this turn have been streamed.

When tool results come back, the next turn plays what stands behind the tools; when nothing does, the
answer names the results. Without any directive the answer is a sentence made of the prompt. A word
that is no directive, `[[like this]]`, is plain text; a directive that makes no sense is answered with
status 400 and the reason.

Usage is counted in words: `prompt_tokens` of all messages, of these `cached_tokens` those before the
last user message; `completion_tokens` of text, reasoning (`reasoning_tokens`), tool names and
arguments. With `stream_options.continuous_usage_stats` every chunk says what has been used so far.
`max_tokens` cuts the text off with `finish_reason` "length".

    POST /v1/chat/completions   stream or not, `stream_options`, tool calls
    GET  /v1/models             one model, `scripted`; any other name is taken as well
    GET  /stats                 {"requests", "disconnects", "open", "errors"}
"""

from runwell.agents.scripted.model import ScriptedModel
from runwell.agents.scripted.server import Stats

__all__ = ["ScriptedModel", "Stats"]
