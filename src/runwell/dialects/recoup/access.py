"""Who is calling: the one credential of a request, and the account that it names."""

from runwell.auth.authenticator import Authenticator
from runwell.dialects.recoup.errors import Failed
from runwell.dialects.recoup.requests import UUID, invalid
from runwell.dialects.recoup.words import account_word
from runwell.domain.principal import Principal, Scope

EXACTLY_ONE = "Exactly one of x-api-key or Authorization must be provided"
NO_BEARER = "Authorization header with Bearer token required"


async def admit(authenticator: Authenticator, headers: dict[bytes, bytes], scope: Scope) -> Principal:
    """The caller, who has `scope`. Raises `Failed`, `Unauthenticated`, `Forbidden`, `RateLimited`."""
    key, bearer = headers.get(b"x-api-key"), headers.get(b"authorization")
    if key is not None:
        if bearer is not None:
            raise Failed(401, EXACTLY_ONE)
        return await authenticator.admit(key.strip().decode("latin-1"), scope)
    if bearer is not None:
        scheme, _, credential = bearer.partition(b" ")
        if scheme.lower() != b"bearer":
            raise Failed(401, NO_BEARER)
        return await authenticator.admit(credential.strip().decode("latin-1"), scope)
    if not authenticator.local_mode:
        raise Failed(401, EXACTLY_ONE)
    return await authenticator.admit(None, scope)


def check_account(owner: str, account_id: str | None) -> None:
    """Nobody acts for another account here. Raises `Failed`."""
    if account_id is not None and account_id.lower() != account_word(owner):
        raise Failed(403, "Access denied to specified account_id")


def check_queried_account(owner: str, query: dict[str, str]) -> None:
    """The same for a query. Raises `Failed`."""
    account_id = query.get("account_id")
    if account_id is not None and not UUID.match(account_id):
        raise invalid("account_id must be a valid UUID", "account_id")
    check_account(owner, account_id)


def check_organization(organization_id: str | None) -> None:
    """There are no organisations here, so none is the caller's. Raises `Failed`."""
    if organization_id is not None:
        raise Failed(403, "Access denied to specified organization_id")
