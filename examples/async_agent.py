"""An async agent: streams, and remembers its steps across crashes.

Serve it: runwell serve examples/async_agent.py
"""

import httpx

from runwell import Context, agent


@agent
async def fetch_title(ctx: Context, url: str) -> str:
    """Fetch a page and say its title."""
    page: str = await ctx.step("fetch", fetch, url)
    title = page.partition("<title>")[2].partition("</title>")[0].strip() or "(no title)"
    await ctx.text(f"{url} is called {title}.")
    return title


async def fetch(url: str) -> str:
    async with httpx.AsyncClient(follow_redirects=True, timeout=30) as client:
        return (await client.get(url)).raise_for_status().text
