"""`runwell deliveries`."""

from datetime import UTC, datetime

import click

from runwell.cli import terminal
from runwell.cli.callbacks import CallbackId
from runwell.cli.connect import AS_JSON, RunId, with_client
from runwell.cli.lazy import Failure
from runwell.cli.run_submit import Moment
from runwell.client import Client, Delivery, Post
from runwell.domain.callback import DeliveryStatus
from runwell.domain.errors import InvalidId
from runwell.domain.ids import parse_id, spell

USAGE = 2
COLOURS = {"pending": "cyan", "delivered": "green", "given_up": "red"}


class DeliveryId(click.ParamType[str]):
    """An id in any spelling; given on in the native one."""

    name = "delivery_id"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return spell("msg", parse_id(str(value)))
        except InvalidId as error:
            self.fail(f"{error.message}. `runwell deliveries list` shows them.", param, ctx)


STATUS = click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in DeliveryStatus]),
    help="Only these; may be repeated.",
)
CALLBACK = click.option(
    "--callback", "callback_id", metavar="ID", type=CallbackId(), help="Only of this one."
)
SINCE = click.option("--since", type=Moment(), help="Made then or later, 2026-11-22T22:30:00Z.")
UNTIL = click.option("--until", type=Moment(), help="Made before.")


@click.group()
def deliveries() -> None:
    """See what was posted to callbacks, and post it again.

    \b
      runwell deliveries list --status given_up
      runwell deliveries show msg_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
      runwell deliveries redeliver --since 2026-11-22T00:00:00Z
    """


@deliveries.command("list")
@click.option("--run", "run_id", metavar="ID", type=RunId(), help="All of this run's, oldest first.")
@STATUS
@CALLBACK
@SINCE
@UNTIL
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@AS_JSON
@with_client
def list_deliveries(
    client: Client,
    run_id: str | None,
    statuses: tuple[str, ...],
    callback_id: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List deliveries, newest first.

    \b
      runwell deliveries list --status pending --status given_up
      runwell deliveries list --run $id --json | jq .deliveries[].history
    """
    if run_id is not None:
        if statuses or callback_id or since or until:
            raise Failure("--run shows all of a run's deliveries", "Leave the other options out.", USAGE)
        found = list(client.deliveries.of(run_id))
    else:
        found = list(
            client.deliveries.list(
                status=statuses, callback_id=callback_id, since=since, until=until, limit=limit
            )
        )
    if as_json:
        terminal.print_json({"deliveries": found})
    elif not found:
        click.echo("no deliveries", err=True)
    else:
        now = datetime.now(UTC)
        rows = [_row(delivery, now) for delivery in found]
        terminal.table(["DELIVERY", "STATUS", "EVENT", "AGE", "POSTS", "URL", ""], rows)


def _row(delivery: Delivery, now: datetime) -> list[str]:
    failed = delivery.last is not None and delivery.status != DeliveryStatus.DELIVERED
    return [
        delivery.id,
        _status(delivery),
        delivery.event,
        terminal.duration(max((now - delivery.created_at).total_seconds(), 0.0)),
        str(delivery.posts),
        terminal.short(delivery.url, 50),
        terminal.short(_came(delivery.last), 60) if delivery.last is not None and failed else "",
    ]


@deliveries.command()
@click.argument("delivery_id", metavar="ID", type=DeliveryId())
@AS_JSON
@with_client
def show(client: Client, delivery_id: str, as_json: bool) -> None:
    """Show a delivery and every post that was made. ID is what the receiver saw as webhook-id.

    \b
      runwell deliveries show msg_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """
    delivery = client.deliveries.get(delivery_id)
    if as_json:
        terminal.print_json(delivery)
        return
    now = datetime.now(UTC)
    terminal.fields(
        [
            ("Delivery", delivery.id),
            ("Status", _status(delivery)),
            ("Run", delivery.run_id),
            ("Event", f"{delivery.event}, number {delivery.seq}"),
            ("URL", delivery.url),
            ("Callback", delivery.callback_id or "the run's own"),
            ("Created", terminal.instant(delivery.created_at, now)),
            ("Next post", terminal.instant(delivery.next_at, now)),
            ("Posts", "\n".join(_line(post, now) for post in delivery.history)),
        ]
    )


def _line(post: Post, now: datetime) -> str:
    return (
        f"{post.number}. {terminal.instant(post.at, now)}: {_came(post)}, {terminal.duration(post.duration)}"
    )


def _came(post: Post) -> str:
    return post.error or str(post.status_code)


@deliveries.command()
@click.argument("delivery_ids", metavar="[ID]...", type=DeliveryId(), nargs=-1)
@STATUS
@CALLBACK
@SINCE
@UNTIL
@AS_JSON
@with_client
def redeliver(
    client: Client,
    delivery_ids: tuple[str, ...],
    statuses: tuple[str, ...],
    callback_id: str | None,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Post again: the deliveries named, or all in a range; those given up, unless --status says more.

    The receiver gets the same body under the same id.

    \b
      runwell deliveries redeliver msg_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
      runwell deliveries redeliver --since 2026-11-22T00:00:00Z
      runwell deliveries redeliver --status given_up --callback $id
    """
    ranged = bool(statuses or callback_id or since or until)
    if ranged == bool(delivery_ids):
        # Neither would be everything there is: nobody means that by saying nothing.
        raise Failure(
            "name deliveries, or say which range of them",
            "`runwell deliveries redeliver ID...`, or with --status, --callback, --since or --until.",
            USAGE,
        )
    if ranged:
        count = client.deliveries.redeliver_range(
            status=statuses, callback_id=callback_id, since=since, until=until
        )
    else:
        count = len([client.deliveries.redeliver(delivery_id) for delivery_id in delivery_ids])
    if as_json:
        terminal.print_json({"redelivered": count})
    else:
        click.echo(f"{count} {'delivery is' if count == 1 else 'deliveries are'} posted again")


def _status(delivery: Delivery) -> str:
    return click.style(delivery.status.replace("_", " "), fg=COLOURS.get(delivery.status))
