"""Notices in the studio: the strip and the list on Overview, and the webhook in Settings."""

from collections.abc import Sequence

import gradio as gr

from arena import notices
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, act, may_act, panel, told, wanted
from arena.web.pages.studio.markup import Cell, Chip, note, render, table
from arena.web.sessions import now
from db.notices import Notice, count_unseen, get_webhook, list_notices, mark_seen, set_webhook

SHOWN, LISTED = 4, 60
KINDS = {"target_met": "good", "job_ended": "plain", "alarm": "bad"}


def strip(context: Context) -> str:
    """The newest notices that nobody has marked as read; nothing where there are none."""
    db = context.readers.get()
    unseen = list_notices(db, SHOWN, unseen=True)
    return (
        render("notices", unseen=unseen, kinds=KINDS, more=count_unseen(db) - len(unseen)) if unseen else ""
    )


def notice_table(context: Context) -> str:
    """The newest notices, and how far each is on its way to the webhook."""
    db = context.readers.get()
    since = hook.since if (hook := get_webhook(db)) else None
    rows: list[Sequence[Cell]] = [
        (n.at[:19].replace("T", " "), Chip(n.kind.value.replace("_", " "), KINDS[n.kind]), n.text, _way(n, since))
        for n in list_notices(db, LISTED)
    ]  # fmt: skip
    return table(
        ("When", "What", "In words", "Webhook"), rows, empty="Nothing to tell yet.", caption="Notices"
    )


def _way(notice: Notice, since: str | None) -> Cell:
    if notice.sent_at is not None:
        return Chip("delivered", "good")
    if notice.tries >= len(notices.WAITS):
        return Chip(f"given up: {notice.problem}", "bad")
    if since is None or notice.at < since:
        return None
    return (
        Chip(f"tried {notice.tries} times: {notice.problem}", "busy")
        if notice.tries
        else Chip("waits", "busy")
    )


def read_all(context: Context) -> None:
    """Mark every notice as read."""
    act(context, "marked the notices as read", mark_seen)


def bell(context: Context) -> Part:
    """The strip, with the button that marks all as read."""

    def refresh() -> tuple[str, gr.Button]:
        seen = strip(context)
        return seen, gr.Button(visible=bool(seen))

    with gr.Row(elem_id="bell", elem_classes="tb-buttons"):
        shown = panel(scale=1, min_width=280)
        read = gr.Button("Mark as read", visible=False, min_width=130, scale=0, elem_id="notices-read")
    outputs = [shown, read]
    read.click(told(lambda: read_all(context)), api_visibility="private").success(
        refresh, outputs=outputs, api_visibility="private"
    )
    return Part(refresh, outputs)


def all_notices(context: Context) -> Part:
    """The list of the newest notices, folded."""
    with gr.Accordion("All notices", open=False):
        listed = panel()
    return Part(lambda: notice_table(context), [listed])


# -- the webhook -----------------------------------------------------------------------------------------------


def webhook_words(context: Context) -> str:
    """Where notices go; only the host, the rest of an address can hold a secret."""
    hook = get_webhook(context.readers.get())
    if hook is None:
        return note("Notices are shown here and sent nowhere.")
    return note(
        f"Notices go to {notices.host_of(hook.url)}, signed, since {hook.since[:16].replace('T', ' ')}.",
        "good",
    )


def keep_webhook(context: Context, url: str | None, own_network: bool) -> str:
    """Send notices to an address from now on; the secret that signs them."""
    address = wanted(
        url, "the webhook has no address", "give one such as https://example.org/hooks/tastebench"
    )
    host = notices.host_of(str(notices.checked_address(address)))
    return act(
        context,
        f"set the webhook to {host}{', in the own network' if own_network else ''}",
        lambda db: notices.set_webhook(db, address, now(), own_network=own_network),
    )


def stop_webhook(context: Context) -> str:
    """Send notices nowhere."""
    act(context, "took the webhook away", lambda db: set_webhook(db, None))
    return "Notices are sent nowhere from now on."


def try_webhook(context: Context) -> str:
    """Send a made-up notice now and say what came of it."""
    may_act(context)
    notices.send_test(get_webhook(context.readers.get()))
    act(context, "sent a test to the webhook", lambda _: None)
    return "Delivered."


def build(context: Context) -> Part:
    """The webhook's components and what its buttons do."""
    with gr.Accordion("Notices to a webhook", open=False):
        shown = panel()
        url = gr.Textbox(label="Address", info="Gets a signed POST when a target is met, a job ends or an alarm rises.",
                         max_length=2000)  # fmt: skip
        own = gr.Checkbox(label="It is in my own network", info="Else private addresses are refused.")
        with gr.Row(elem_classes="tb-buttons"):
            keep = gr.Button("Send there from now on", variant="primary")
            test = gr.Button("Send a test")
            stop = gr.Button("Stop sending", variant="stop")
        secret = gr.Textbox(label="Secret that signs", info="Shown once: give it to the receiver now. A new address gets a new one.",
                            interactive=False, buttons=["copy"], elem_id="webhook-secret")  # fmt: skip
        said = panel()

    def words() -> str:
        return webhook_words(context)

    keep.click(told(lambda u, o: keep_webhook(context, u, bool(o))), [url, own], secret, api_visibility="private",
               ).success(words, outputs=shown, api_visibility="private")  # fmt: skip
    test.click(told(lambda: note(try_webhook(context), "good")), outputs=said, api_visibility="private")
    stop.click(told(lambda: note(stop_webhook(context), "good")), outputs=said, api_visibility="private",
               ).success(words, outputs=shown, api_visibility="private")  # fmt: skip
    return Part(words, [shown])
