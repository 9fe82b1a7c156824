"""The rating page in a real browser: keys, undo, reload, lost connections, the end; and that it tells nothing."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from db.assignments import get_assignment
from db.campaigns import set_status
from db.connection import open_reader
from db.entities.campaigns import CampaignSettings, CampaignStatus
from db.entities.catalog import Message
from db.entities.votes import Choice
from db.seats import list_seats, revoke_seat
from labeling.ballot import outcome_of
from tests.browser.conftest import RATING
from tests.factories import make_home
from tests.payloads import PAYLOADS
from tests.serving import Running, running

Open = Callable[..., Page]
SETTLED = 320  # the page takes no vote in the first moment of a ballot: a double press is one vote


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("browser") / "home"
    with running(make_home(folder, prompts=8, settings=CampaignSettings(overlap=50))) as served:
        yield served


def another(web: Running, open_rate: Open, name: str, *, ready: bool = True, **home: Any) -> Page:
    """The first ballot of one more campaign on this server."""
    make_home(web.home.root, campaign=name, **home)
    return open_rate(web, name, ready=ready)


def asks(word: str) -> Callable[[int], list[Message]]:
    """Prompts that no other campaign here has."""
    return lambda i: [{"role": "user", "content": f"Question {i}, {word}?"}]


def assignment(page: Page) -> str:
    return str(page.get_attribute(".tb-rate", "data-assignment"))


def press(page: Page, key: str) -> str:
    """Press a key on the ballot that is shown; its assignment."""
    shown = assignment(page)
    page.wait_for_timeout(SETTLED)
    page.keyboard.press(key)
    if key == "s":  # the drawer for a reason is open: the same again sends
        page.keyboard.press(key)
    return shown


def vote(page: Page, key: str) -> str:
    """Vote by a key and wait until it is saved and something else is shown."""
    shown = press(page, key)
    page.wait_for_function(
        "a => document.querySelector('.tb-rate').dataset.assignment !== a || document.querySelector('.tb-rate').dataset.state === 'screen'",
        arg=shown,
    )
    expect(page.locator("[data-role=saved]")).to_have_attribute("data-kind", "ok")
    return shown


def outcomes(web: Running) -> dict[str, tuple[str, str]]:
    """{assignment: (outcome, which slot stood left)} of every vote that is not taken back."""
    db = open_reader(web.home)
    rows = db.execute(
        "SELECT v.assignment, v.outcome FROM votes v WHERE v.id NOT IN (SELECT vote FROM retractions)"
    )
    found = {a: (o, get_assignment(db, a).left_is) for a, o in rows.fetchall()}
    db.conn.close()
    return found


def test_every_choice_has_its_key_and_is_stored_as_pressed(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    keys = {
        "ArrowLeft": "left",
        "ArrowRight": "right",
        "ArrowDown": "tie",
        "t": "tie",
        "g": "both_good",
        "B": "both_bad",
        "s": "skip",
    }
    pressed = {vote(page, key): choice for key, choice in keys.items()}
    assert len(pressed) == len(keys)
    stored = outcomes(web)
    for one, choice in pressed.items():
        outcome, left_is = stored[one]
        assert outcome == outcome_of(Choice(choice), left_is)
    expect(page.locator("[data-role=count]")).to_have_text("7 of 8")


def test_buttons_vote_too(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    for choice in Choice:
        shown = assignment(page)
        page.wait_for_timeout(SETTLED)
        page.click(f'button[data-choice="{choice}"]')
        if choice is Choice.SKIP:
            page.click("[data-do=send]")
        expect(page.locator(".tb-rate")).not_to_have_attribute("data-assignment", shown)
        expect(page.locator("[data-role=saved]")).to_have_text("Saved")
        outcome, left_is = outcomes(web)[shown]
        assert outcome == outcome_of(choice, left_is)


def test_reloading_keeps_the_ballot_and_its_sides(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    vote(page, "t")
    before = assignment(page), page.inner_text("[data-role=left]"), page.inner_text("[data-role=right]")
    page.reload()
    page.wait_for_selector(RATING)
    assert (
        assignment(page),
        page.inner_text("[data-role=left]"),
        page.inner_text("[data-role=right]"),
    ) == before
    expect(page.locator("[data-role=count]")).to_have_text("1 of 8")


def test_undo_brings_the_ballot_back_with_the_same_sides(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    texts = page.inner_text("[data-role=left]"), page.inner_text("[data-role=right]")
    expect(page.locator(".tb-votes [data-do=undo]")).to_be_disabled()
    first = vote(page, "ArrowLeft")
    second = assignment(page)
    page.keyboard.press("u")
    expect(page.locator("[data-role=saved]")).to_have_text("Vote taken back")
    assert assignment(page) not in (first, second)
    assert (page.inner_text("[data-role=left]"), page.inner_text("[data-role=right]")) == texts
    assert first not in outcomes(web)
    again = vote(page, "ArrowRight")
    assert assignment(page) == second
    assert outcomes(web)[again][0] in ("a", "b")


def test_undo_works_after_a_reload(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    text = page.inner_text("[data-role=left]")
    first = vote(page, "g")
    page.reload()
    page.wait_for_selector(RATING)
    page.keyboard.press("u")
    expect(page.locator("[data-role=saved]")).to_have_text("Vote taken back")
    assert page.inner_text("[data-role=left]") == text
    assert first not in outcomes(web)


def test_votes_given_without_a_connection_are_sent_once_it_is_back(
    web: Running, open_rate: Open, context: BrowserContext
) -> None:
    page = open_rate(web)
    with page.expect_response("**/api/next*") as ahead:
        vote(page, "t")
    ahead.value.finished()  # the next two ballots are here
    context.set_offline(True)
    first = press(page, "ArrowLeft")
    expect(page.locator(".tb-rate")).not_to_have_attribute("data-assignment", first)
    second = press(page, "ArrowRight")
    expect(page.locator("[data-role=saved]")).to_contain_text("2 votes not saved yet")
    expect(page.locator("[data-role=title]")).to_have_text("The next ballot has to wait")
    expect(page.locator("[data-role=words]")).to_contain_text("Your unsent votes are kept")
    assert not {first, second} & set(outcomes(web))
    context.set_offline(False)
    expect(page.locator("[data-role=saved]")).to_have_text("Saved")
    assert {first, second} <= set(outcomes(web))
    page.wait_for_selector(RATING)


def test_a_vote_whose_answer_is_lost_is_stored_once(
    web: Running, open_rate: Open, context: BrowserContext
) -> None:
    page = open_rate(web)
    lost: list[str] = []

    def lose_first(route: object, request: Request) -> None:
        if lost:
            route.continue_()
            return
        lost.append(request.post_data or "")
        route.fetch()  # the server stores it
        route.abort()  # the answer does not arrive

    page.route("**/api/vote", lose_first)
    one = vote(page, "ArrowLeft")
    assert json.loads(lost[0])["assignment"] == one
    db = open_reader(web.home)
    assert db.execute("SELECT count(*) FROM votes WHERE assignment = ?", [one]).fetchone()[0] == 1
    db.conn.close()


def test_unsent_votes_survive_closing_the_tab(web: Running, open_rate: Open, context: BrowserContext) -> None:
    page = open_rate(web)
    page.route("**/api/vote", lambda route: route.abort())
    one = press(page, "ArrowLeft")
    expect(page.locator("[data-role=saved]")).to_contain_text("1 vote not saved yet")
    warned: list[str] = []
    page.on("dialog", lambda dialog: (warned.append(dialog.type), dialog.accept()))
    page.close(run_before_unload=True)
    page.wait_for_event("close") if not page.is_closed() else None
    assert warned == ["beforeunload"]
    again = context.new_page()
    again.goto(f"{web.base}/rate/")
    expect(again.locator("[data-role=saved]")).to_have_text("Saved")
    assert one in outcomes(web)


def test_a_browser_without_room_votes_all_the_same(web: Running, open_rate: Open) -> None:
    page = another(
        web,
        open_rate,
        "no room",
        prompts=3,
        settings=CampaignSettings(overlap=3, target=3),
        messages=asks("full"),
    )
    page.evaluate("""() => {
      for (const store of [localStorage, sessionStorage])
        for (let size = 2 ** 23, n = 0; size >= 1; n += 1)
          try { store.setItem(`filling ${n}`, "x".repeat(size)); } catch { size = Math.floor(size / 2); }
    }""")
    assert (
        page.evaluate(
            "(() => { try { localStorage.setItem('z', 'x'.repeat(100)) } catch { return true } })()"
        )
        is True
    )
    given = [vote(page, "t"), vote(page, "s"), vote(page, "g")]  # a skip opens the drawer, and keeps a draft
    assert set(given) <= set(outcomes(web))
    page.evaluate("() => [localStorage, sessionStorage].forEach((store) => store.clear())")


def test_the_end_is_clear(web: Running, open_rate: Open) -> None:
    page = another(web, open_rate, "short", prompts=2)
    before = outcomes(web)
    vote(page, "t")
    vote(page, "t")
    expect(page.locator("[data-role=title]")).to_have_text("All done")
    expect(page.locator("[data-role=words]")).to_contain_text("Every vote you gave is saved")
    expect(page.locator(".tb-bar")).to_be_hidden()
    page.click(".tb-screen [data-do=undo]")
    page.wait_for_selector(RATING)
    vote(page, "g")
    expect(page.locator("[data-role=title]")).to_have_text("All done")
    given = {a: o for a, (o, _) in outcomes(web).items() if a not in before}
    assert sorted(given.values()) == ["both_good", "tie"]


def test_a_pause_a_closed_seat_and_a_lost_session_are_said(
    web: Running, open_rate: Open, context: BrowserContext
) -> None:
    page = another(web, open_rate, "paused")
    web.writer.call(lambda db: set_status(db, "paused", CampaignStatus.PAUSED))
    press(page, "t")
    expect(page.locator("[data-role=alert]")).to_contain_text("This session is paused")
    page.reload()
    expect(page.locator("[data-role=words]")).to_contain_text("The owner has paused this session")
    web.writer.call(lambda db: set_status(db, "paused", CampaignStatus.OPEN))
    page.click("[data-do=again]")
    page.wait_for_selector(RATING)
    web.writer.call(lambda db: revoke_seat(db, list_seats(db)[-1].seat))
    press(page, "t")
    expect(page.locator("[data-role=alert]")).to_contain_text("closed by the owner")
    context.clear_cookies()
    page.reload()
    expect(page.locator(".tb-login")).to_contain_text("Came here to rate?")


def test_a_vote_without_a_session_is_kept_and_said(
    web: Running, open_rate: Open, context: BrowserContext
) -> None:
    page = open_rate(web)
    cookies = context.cookies()
    context.clear_cookies()
    one = press(page, "t")
    expect(page.locator("[data-role=title]")).to_have_text("You are not signed in here")
    expect(page.locator("[data-role=words]")).to_contain_text("Your unsent votes are kept")
    expect(page.locator("[data-role=saved]")).to_be_empty()
    page.wait_for_timeout(400)
    expect(page.locator("[data-role=title]")).to_be_visible()
    context.add_cookies(cookies)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("[data-role=saved]")).to_have_text("Saved")
    assert one in outcomes(web)


def test_consent_is_asked_before_the_first_ballot(web: Running, open_rate: Open) -> None:
    settings = CampaignSettings(
        consent_text="We keep **your votes**.", consent_version="1", guidelines="Be *fair*."
    )
    page = another(web, open_rate, "consent", ready=False, settings=settings)
    expect(page.locator("[data-role=words] strong")).to_have_text("your votes")
    page.click("[data-do=agree]")
    page.wait_for_selector(RATING)
    # shown the first time, a key away ever after
    expect(page.locator("[data-role=guide-text] em")).to_be_visible()
    page.click("[data-do=guide]")
    expect(page.locator("[data-role=guide-text]")).to_be_hidden()
    page.reload()
    page.wait_for_selector(RATING)
    expect(page.locator("[data-role=guide-text]")).to_be_hidden()
    page.keyboard.press("i")
    expect(page.locator("[data-role=guide-text] em")).to_have_text("fair")


def test_keys_are_off_while_typing_repeating_and_reading_the_key_map(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    shown = assignment(page)
    page.wait_for_timeout(SETTLED)
    page.evaluate("document.body.append(Object.assign(document.createElement('input'), {id: 'typing'}))")
    page.focus("#typing")
    page.keyboard.press("t")
    page.evaluate("document.getElementById('typing').remove()")
    page.keyboard.press("Control+ArrowLeft")
    page.evaluate("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', repeat: true}))")
    page.keyboard.press("?")
    expect(page.locator("[data-role=keymap]")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("Escape")
    expect(page.locator("[data-role=keymap]")).to_be_hidden()
    page.wait_for_timeout(SETTLED)
    assert assignment(page) == shown
    assert shown not in outcomes(web)


def test_a_double_press_is_one_vote(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    before = len(outcomes(web))
    page.evaluate("""() => { const press = () => document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}));
      const rate = document.querySelector('.tb-rate'), shown = rate.dataset.assignment;
      new MutationObserver((_, seen) => { if (rate.dataset.assignment !== shown) { seen.disconnect(); press(); window.pressed = true; } })
        .observe(rate, {attributes: true});
      setTimeout(press, 300); }""")
    page.wait_for_function("window.pressed")  # the second press came the moment the next ballot was there
    expect(page.locator("[data-role=saved]")).to_have_text("Saved")
    page.wait_for_timeout(300)
    assert len(outcomes(web)) == before + 1


def test_raw_text_shows_what_was_written(web: Running, open_rate: Open) -> None:
    page = another(
        web, open_rate, "bold", messages=asks("raw"), answer=lambda model, i: f"**bold** {i} of {model[-3:]}"
    )
    expect(page.locator("[data-role=left] strong")).to_have_text("bold")
    page.keyboard.press("r")
    expect(page.locator("[data-role=left] pre.tb-raw")).to_contain_text("**bold**")
    page.keyboard.press("r")
    expect(page.locator("[data-role=left] strong")).to_have_text("bold")


def test_earlier_turns_are_told_apart_from_the_last(web: Running, open_rate: Open) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "One?"},
             {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Two?"}]  # fmt: skip
    page = another(web, open_rate, "turns", prompts=1, messages=lambda _: turns)
    assert page.locator(".tb-earlier").count() == 3
    expect(page.locator(".tb-asked .tb-text")).to_have_text("Two?")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_two_answers_have_equal_rank_and_everything_fits(
    web: Running, open_rate: Open, scheme: str, width: int
) -> None:
    page = open_rate(web)
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    left, right = (page.locator(f"[data-side={side}]") for side in ("left", "right"))
    style = "e => { const c = getComputedStyle(e); return [c.fontSize, c.fontFamily, c.color, c.backgroundColor, c.width, c.borderColor]; }"
    assert left.evaluate(style) == right.evaluate(style)
    a, b = left.bounding_box(), right.bounding_box()
    assert (
        (a["y"] == b["y"] and a["height"] == b["height"])
        if width == 1280
        else (a["x"] == b["x"] and b["y"] > a["y"])
    )
    expect(page.locator(".tb-switch")).to_be_visible(visible=width == 390)
    for button in page.locator(".tb-votes button").all():
        assert button.bounding_box()["height"] >= 44


def test_hostile_texts_run_nothing_load_nothing_and_cover_nothing(web: Running, open_rate: Open) -> None:
    texts = [t for t in PAYLOADS if len(t) < 3000 and t.strip()]
    per = 12
    packs = ["\n\n".join(texts[i : i + per]) for i in range(0, len(texts), per)]
    page = another(web, open_rate, "hostile", prompts=len(packs), answer=lambda model, i: packs[i] + f"\n\n{model[-3:]}",
                   messages=lambda i: [{"role": "user", "content": packs[i]}])  # fmt: skip
    for _ in packs:
        assert page.evaluate("window.hit") is None
        assert (
            page.evaluate(
                "document.querySelectorAll('.tb-text :is(script, img, iframe, video, audio, form, button, input, style, svg, [id], [style])').length"
            )
            == 0
        )
        assert page.locator("#tb-bar").count() == 1
        page.wait_for_timeout(SETTLED)
        shown = assignment(page)
        page.click('button[data-choice="tie"]')
        page.wait_for_function(
            "a => document.querySelector('.tb-rate').dataset.assignment !== a || document.querySelector('.tb-rate').dataset.state === 'screen'",
            arg=shown,
        )
    expect(page.locator("[data-role=title]")).to_have_text("All done")
