"""Callbacks that stand, what they are signed with, and the deliveries that came of them."""

import base64
import binascii
import secrets
from collections.abc import Sequence

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from runwell.domain.callback import (
    ENDINGS,
    Callback,
    Delivery,
    DeliveryStatus,
    Post,
    SigningSecret,
    StandingCallback,
)
from runwell.domain.errors import InvalidInput
from runwell.domain.ids import new_id
from runwell.domain.instant import Instant, after
from runwell.engine.core import Core
from runwell.engine.submit import check_callbacks
from runwell.ports.signals import SignalKind

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32
OVERLAP = 24 * 3600.0
"""Seconds for which an old secret stays valid beside the new one, unless told otherwise."""
MOST_STANDING = 100
"""Callbacks of one owner: each is looked at in every commit that ends a run of theirs."""
MOST_AGENTS = 100
"""Names that a callback chooses by, for the same reason."""
REDELIVERED_AT_ONCE = 500


def spell_secret(secret: SigningSecret) -> str:
    """As receivers' libraries take it: `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(secret.secret).decode()


def read_secret(text: str, path: str = "$.secret") -> bytes:
    """A secret that the caller brought. Raises `InvalidInput`."""
    try:
        value = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(path, "is no base64", "Send whsec_ and base64 of 24 to 64 bytes.") from error
    if not 24 <= len(value) <= 64:
        raise InvalidInput(path, f"has {len(value)} bytes", "Send whsec_ and base64 of 24 to 64 bytes.")
    return value


async def create(
    core: Core,
    owner: str,
    *,
    url: str,
    events: Sequence[str] = ENDINGS,
    agents: Sequence[str] = (),
    description: str = "",
    secret: bytes | None = None,
) -> tuple[StandingCallback, SigningSecret]:
    """A callback for every run of the owner from now on. Raises `InvalidInput`."""
    now = core.clock.now()
    callback = StandingCallback(
        id=new_id(now),
        owner=owner,
        url=url,
        created_at=now,
        events=tuple(dict.fromkeys(events)),
        agents=tuple(dict.fromkeys(agents)),
        description=description,
    )
    _check(callback)
    if len(await core.store.callbacks.all(owner)) >= MOST_STANDING:
        raise InvalidInput("$", f"an owner may have at most {MOST_STANDING} callbacks", "Delete one first.")
    made = _secret(owner, callback.id, secret, now)
    await core.store.callbacks.add(callback, made)
    return callback, made


async def update(
    core: Core,
    owner: str,
    callback_id: str,
    *,
    url: str | UnsetType = UNSET,
    events: Sequence[str] | UnsetType = UNSET,
    agents: Sequence[str] | UnsetType = UNSET,
    description: str | UnsetType = UNSET,
    paused: bool | UnsetType = UNSET,
) -> StandingCallback:
    """Change what is given. Raises `CallbackNotFound`, `InvalidInput`."""

    def change(callback: StandingCallback) -> StandingCallback:
        changed = replace(
            callback,
            url=callback.url if url is UNSET else url,
            events=callback.events if events is UNSET else tuple(dict.fromkeys(events)),
            agents=callback.agents if agents is UNSET else tuple(dict.fromkeys(agents)),
            description=callback.description if description is UNSET else description,
            paused=callback.paused if paused is UNSET else paused,
        )
        _check(changed)
        return changed

    return await core.store.callbacks.update(callback_id, owner, change)


def _check(callback: StandingCallback) -> None:
    # One of a run's has the same limits; the place in a list of them is not the caller's.
    try:
        check_callbacks([Callback(url=callback.url, events=callback.events)])
    except InvalidInput as error:
        path = error.path.replace("$.callbacks[0]", "$")
        raise InvalidInput(path, error.message.removeprefix(f"{error.path}: "), error.hint) from error
    if len(callback.agents) > MOST_AGENTS:
        raise InvalidInput("$.agents", f"must name at most {MOST_AGENTS} agents", "None means all of them.")
    if len(callback.description) > 500:
        raise InvalidInput("$.description", "must have at most 500 characters")


async def rotate(
    core: Core,
    owner: str,
    callback_id: str | None,
    *,
    secret: bytes | None = None,
    overlap: float = OVERLAP,
) -> SigningSecret:
    """A new secret; the old one is valid beside it for `overlap` seconds. `callback_id` None: the
    owner's own. Raises `CallbackNotFound`, `InvalidInput`."""
    if not 0 <= overlap <= 30 * 86_400:
        raise InvalidInput("$.overlap", "must be between 0 seconds and 30 days")
    if callback_id is not None:
        await core.store.callbacks.get(callback_id, owner)
    now = core.clock.now()
    made = _secret(owner, callback_id, secret, now)
    await core.store.callbacks.rotate(made, after(now, overlap))
    return made


async def own_secret(core: Core, owner: str) -> SigningSecret:
    """The one that callbacks of single runs are signed with; made when it is first asked for."""
    return await core.store.callbacks.first_secret(_secret(owner, None, None, core.clock.now()))


async def valid_secrets(core: Core, owner: str, callback_id: str | None) -> list[SigningSecret]:
    """Newest first: what a post is signed with now. Empty for a callback that is gone."""
    found = await core.store.callbacks.secrets(owner, callback_id, core.clock.now())
    if not found and callback_id is None:
        return [await own_secret(core, owner)]
    return found


def _secret(owner: str, callback_id: str | None, secret: bytes | None, now: Instant) -> SigningSecret:
    return SigningSecret(
        id=new_id(now),
        owner=owner,
        callback_id=callback_id,
        secret=secret if secret is not None else secrets.token_bytes(SECRET_BYTES),
        created_at=now,
    )


async def deliveries_of(core: Core, owner: str, run_id: str) -> list[tuple[Delivery, list[Post]]]:
    """A run's deliveries with their posts. Raises `RunNotFound`."""
    run = await core.store.runs.get(run_id, owner)
    return [
        (each, await core.store.deliveries.posts(each.id)) for each in await core.store.deliveries.of(run.id)
    ]


async def redeliver(core: Core, owner: str, delivery_id: str) -> Delivery:
    """Post it once more, from the beginning of its schedule. Raises `DeliveryNotFound`."""
    delivery = await core.store.deliveries.get(delivery_id, owner)
    await core.store.deliveries.redeliver([delivery.id], owner, core.clock.now())
    core.signals.publish(SignalKind.DELIVERY_DUE, delivery.run_id)
    return await core.store.deliveries.get(delivery_id, owner)


async def redeliver_range(
    core: Core,
    owner: str,
    *,
    statuses: frozenset[DeliveryStatus],
    callback_id: str | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
) -> int:
    """The same for all of the owner's deliveries that fit; how many.

    A batch at a time: what was made due stays so when the process dies in between, and asking again
    does the rest.
    """
    before, count = None, 0
    while page := await core.store.deliveries.page(
        owner, statuses=statuses, callback_id=callback_id, since=since, until=until, before=before,
        limit=REDELIVERED_AT_ONCE,
    ):  # fmt: skip
        now = core.clock.now()
        count += await core.store.deliveries.redeliver([each.id for each in page], owner, now)
        core.signals.publish(SignalKind.DELIVERY_DUE, page[-1].run_id)
        before = page[-1].id
    return count
