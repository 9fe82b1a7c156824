"""A merged model behind an OpenAI-compatible server, asked by LangChain's client and by our own endpoint player."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from arena.generating import player_of
from arena.players import GenerationSettings
from arena.players.endpoint import EndpointPlayer
from db.catalog import add_model, get_model
from db.connection import Home, open_writer
from db.entities.catalog import ModelKind
from tests.tiny import tiny_adapter
from tests.workshop import run, weights

ASKED = "What is the capital of France?"


@pytest.mark.slow
def test_a_merged_model_is_asked_by_langchains_client(home: Home, tmp_path: Path) -> None:
    langchain = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    db = open_writer(home)
    base, adapter = weights() / "one", tmp_path / "adapter"
    tiny_adapter(base, adapter)
    add_model(db, "tuned", ModelKind.ADAPTER, source=str(base), adapter=str(adapter))
    assert run(home, "merge", "tuned", "--as", "whole").code == 0
    whole = get_model(db, "whole")
    folder = home.locate(whole.source or "")
    settings = GenerationSettings(temperature=0, max_new_tokens=12)
    [alone] = player_of(home, whole).respond([[{"role": "user", "content": ASKED}]], settings)
    db.conn.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        Path(sys.executable).parent / "transformers",
        "serve",
        folder,
        "--port",
        str(port),
        "--device",
        "cpu",
    ]
    log = tmp_path / "serve.log"
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        url = f"http://127.0.0.1:{port}"
        ends = time.monotonic() + 240
        while not _healthy(url):
            assert server.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < ends, log.read_text()[-2000:]
            time.sleep(0.5)
        client = langchain.ChatOpenAI(
            base_url=f"{url}/v1", api_key="none", model=str(folder), temperature=0, max_tokens=12
        )
        assert str(client.invoke(ASKED).content).strip() == alone.text
        far = EndpointPlayer(f"{url}/v1", str(folder))
        assert far.respond([[{"role": "user", "content": ASKED}]], settings)[0].text.strip() == alone.text
    finally:
        server.terminate()
        server.wait(20)


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
