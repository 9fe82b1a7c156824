"""What every page wears: the theme, the colours, the bar on top; and plain pages for a message."""

import html
from pathlib import Path

import gradio as gr
from starlette.responses import HTMLResponse

from arena.web.sessions import Page
from arena.web.words import language_of, told

ASSETS = Path(__file__).parent / "assets"
NAME = "Tastebench"
OWNER_LINKS = ((Page.STUDIO, "Studio"), (Page.RESULTS, "Results"), (Page.CHAT, "Chat"), (Page.RATE, "Rate"))

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" fill="#2f5fd0"/>'
    '<rect x="7" y="8" width="7" height="16" rx="2" fill="#fff"/>'
    '<rect x="18" y="8" width="7" height="16" rx="2" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)


def theme() -> gr.themes.Base:
    """The theme of every mount: fonts that are on the machine already, the colours of base.css."""
    look = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=["ui-sans-serif", "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "monospace"],
    )
    return look.set(
        body_background_fill="#f6f5f2", body_background_fill_dark="#14161a",
        body_text_color="#1d2127", body_text_color_dark="#e7e9ed",
        body_text_color_subdued="#565f6d", body_text_color_subdued_dark="#a6aebb",
        background_fill_primary="#ffffff", background_fill_primary_dark="#1c1f25",
        background_fill_secondary="#efeeea", background_fill_secondary_dark="#23272e",
        block_background_fill="#ffffff", block_background_fill_dark="#1c1f25",
        input_background_fill_dark="#14161a",
        input_placeholder_color="#667080", input_placeholder_color_dark="#8b95a5",
        border_color_primary="#d9dce2", border_color_primary_dark="#343a44",
        button_primary_background_fill="#2f5fd0", button_primary_background_fill_dark="#2f5fd0",
        button_primary_background_fill_hover="#264fb0", button_primary_background_fill_hover_dark="#3a6bdd",
        button_primary_text_color="#ffffff", button_primary_text_color_dark="#ffffff",
        button_cancel_background_fill="#b3261e", button_cancel_background_fill_dark="#b3261e",
        button_cancel_background_fill_hover="#8f1d17", button_cancel_background_fill_hover_dark="#c93a31",
        button_cancel_text_color="#ffffff", button_cancel_text_color_dark="#ffffff",
        color_accent="#2f5fd0",
    )  # fmt: skip


def asset(name: str) -> str:
    """The text of a file beside this one."""
    return (ASSETS / name).read_text(encoding="utf-8")


def head(page: Page, root_path: str = "") -> str:
    """The head of a page: the shared style sheet and the script that puts the bar on top."""
    sheets = ("rate", "live") if page is Page.LIVE else (page,)
    style = "".join(asset(f"{name}.css") for name in sheets if (ASSETS / f"{name}.css").exists())
    bar = asset("bar.js").replace("__BAR__", _bar(page, root_path))
    return f"<style>{asset('base.css')}{style}</style><script>{bar}</script>"


def _bar(page: Page, root_path: str) -> str:
    """The bar's markup: the name, and on the owner's pages their heading, which is read aloud only, and the way to the others."""
    links = ""
    if page not in (Page.RATE, Page.LIVE, Page.LOGIN):
        links = "".join(
            f'<a href="{root_path}/{to}/"{" aria-current=page" if to is page else ""}>{words}</a>'
            for to, words in OWNER_LINKS
        )
        links = f'<h1>{dict(OWNER_LINKS)[page]}</h1><nav aria-label="Pages">{links}</nav>'
    return f'<a class="tb-name" href="{root_path}/">{ICON}<span>{NAME}</span></a>{links}'


def message_page(title: str, text: str, status: int, *, remedy: str = "", accepted: str = "") -> HTMLResponse:
    """A page of two sentences, for a person who followed a link that does not work.

    `accepted` is the request's Accept-Language: the page speaks the first of those languages that the catalogue has.
    """
    language = language_of(accepted)
    title = html.escape(told(title, language))
    words = html.escape(" ".join(_sentence(told(part, language)) for part in (text, remedy) if part))
    body = (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} - {NAME}</title><style>{asset('base.css')}</style>"
        f'<body class="tb-message"><main>{ICON}<h1>{title}</h1><p>{words}</p></main>'
    )
    response = HTMLResponse(body, status)
    response.headers["content-security-policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
    )
    return response


def _sentence(words: str) -> str:
    """The words with a capital and an end."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")
